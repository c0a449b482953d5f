/* SPDX-License-Identifier: MIT */
#pragma once

#include "machine/machine.h"

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
    SP_QEMU_FD_DISK_LAYER, /* only where there is one */
    SP_QEMU_FD_MEMORY,     /* only where it is a file */
    SP_QEMU_FD_NIC,        /* the first one's, the others follow */
};

/** The block nodes: what a disk is to the guest, and below it the overlay. */
#define SP_QEMU_DISK_NODE "disk0"
#define SP_QEMU_OVERLAY_NODE "overlay0"
#define SP_QEMU_BASE_NODE "base0"

/** The program for an image's architecture: $SLOTPROOF_QEMU, else qemu-system-ARCH from PATH. */
char *sp_qemu_program(const char *architecture, GError **error);

/** The file on which @config's overlay lies, which is only read, and its format for QEMU. */
const char *sp_qemu_disk(const SpMachineConfig *config, const char **ret_format);

/** How a machine is started. */
enum {
    SP_QEMU_ALLOW_REBOOT = 1 << 0,
    SP_QEMU_LAYER = 1 << 1,         /* a checkpoint's disk lies between the overlay and the image */
    SP_QEMU_INCOMING = 1 << 2,      /* memory and devices come by QMP's "migrate-incoming" */
    SP_QEMU_PAUSED = 1 << 3,        /* does not run before QMP's "cont" */
    SP_QEMU_FIRST_READ = 1 << 4,    /* stops at the first read of its disk, which is not done */
    SP_QEMU_SHARED_MEMORY = 1 << 5, /* what is in its memory is in a file (memory-file.h) */
    SP_QEMU_PRIVATE_MEMORY = 1 << 6, /* the file is what is in there at first, and stays so */
};

/**
 * The argument vector for a machine. @config's cpus and memory are the final ones, not 0.
 * No paths but those of the image; sockets and overlay come by the descriptors above.
 */
char **sp_qemu_command(const char *program, const SpMachineConfig *config, guint flags);
