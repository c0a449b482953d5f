/* SPDX-License-Identifier: MIT */
#pragma once

#include "qemu/accel.h"
#include "qemu/image.h"

#include <glib.h>
#include <stdbool.h>

/** What a QEMU is started with. Nothing is owned. */
typedef struct {
    const char *name;
    const SpImage *image;
    const SpAccel *accel;
    const char *disk; /* a raw file in place of the image's disk; NULL: none */
    guint cpus;
    guint memory_mib;
    guint nics;
    bool has_virtual_time; /* it counts instructions for a clock (-icount, with sleep=off) */
    guint64 seed;          /* decides MAC addresses and the like */
} SpQemuConfig;

/**
 * The descriptors that QEMU inherits, by the numbers they have in it.
 */
enum {
    SP_QEMU_FD_QMP = 3,
    SP_QEMU_FD_CONSOLE,
    SP_QEMU_FD_AGENT,
    SP_QEMU_FD_DISK_RW,
    SP_QEMU_FD_DISK_RO,
    SP_QEMU_FD_DISK_BASE,
    SP_QEMU_FD_DISK_LAYER, /* only with SP_QEMU_LAYER */
    SP_QEMU_FD_MEMORY,     /* only if memory is a file */
    SP_QEMU_FD_NIC,        /* the first one's, the others follow */
};

/** The block nodes: what a disk is to the guest, and below it the overlay. */
#define SP_QEMU_DISK_NODE "disk0"
#define SP_QEMU_OVERLAY_NODE "overlay0"
#define SP_QEMU_BASE_NODE "base0"

/**
 * The path of the program for machines of @architecture: $SLOTPROOF_QEMU, else the board's from
 * PATH. SP_ERROR_USAGE if it isn't installed, naming the package, or if there is no such board.
 */
char *sp_qemu_program(const char *architecture, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/** The file that @config's overlay is based on, which is only read, and its format for QEMU. */
const char *sp_qemu_disk(const SpQemuConfig *config, const char **ret_format);

/** How QEMU is started. */
enum {
    SP_QEMU_ALLOW_REBOOT = 1 << 0,
    SP_QEMU_LAYER = 1 << 1,          /* a checkpoint's disk is between the overlay and the image */
    SP_QEMU_INCOMING = 1 << 2,       /* memory and devices come by QMP's "migrate-incoming" */
    SP_QEMU_PAUSED = 1 << 3,         /* the guest doesn't run before QMP's "cont" */
    SP_QEMU_FIRST_READ = 1 << 4,     /* stops at the first read of the disk, which isn't done */
    SP_QEMU_SHARED_MEMORY = 1 << 5,  /* memory is a file (memory-file.h), and ends up in it */
    SP_QEMU_PRIVATE_MEMORY = 1 << 6, /* memory starts as the file's contents, which don't change */
};

/**
 * The argument vector for a machine, whose architecture has a board. It contains no paths but those
 * of the image; sockets and overlay come by the descriptors above. Free with g_strfreev().
 */
char **sp_qemu_command(const char *program, const SpQemuConfig *config, guint flags);
