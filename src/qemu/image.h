/* SPDX-License-Identifier: MIT */
#pragma once

#include "qemu/qcow2.h"

#include <glib.h>
#include <stdbool.h>

/**
 * An image that machines start from: a directory with image.conf and the files it names.
 *
 *   [Image]
 *   Architecture=x86_64             required
 *   Disk=disk.img                   required: a raw disk, never written to. With Kernel a bare file
 *                                   system will do; without it has to have boot code for a BIOS
 *   DiskFormat=raw                  raw (default) or qcow2, which may lie on other files
 *   Kernel=selector/vmlinuz         optional: loaded by QEMU as the firmware's next stage
 *   Initrd=selector/initrd.cpio     optional, with Kernel
 *   CommandLine=console=ttyS0       optional, with Kernel
 *   VirtualTimeCommandLine=nohz=off optional: words added to it for machines with virtual time. An
 *                                   idle guest leaps to its next timer even while it waits for its
 *                                   disk, so it should have timers that are not far apart: a kernel
 *                                   that ticks all the time, or its own time-outs come too soon
 *   BootSnapshot=yes                yes or no (default), with Kernel, which has to be one that
 *                                   starts another: what precedes the first read of the disk is
 *                                   done once and kept, for tests that start from a checkpoint.
 *                                   machine/boot-snapshot.h says what it requires
 *   Memory=512M                     default for machines: number with M or G; 512M if missing
 *   CPUs=2                          default for machines; 1 if missing
 *   Agent=virtio-serial             virtio-serial (default) or none
 *   Watchdog=i6300esb               optional: the watchdog device to add; on expiry it resets
 *   [Build]
 *   Command=make disk.img           optional: brings the files up to date (argv, shell-quoted, no
 *                                   shell). It is run in the image's directory
 *
 * Relative paths start at the image's directory; where that is reached by a link, at what it leads
 * to. They stand as they are: quotes and ~ mean nothing. An unknown key or group is an error that
 * names file, line and what was expected.
 */
typedef struct {
    char *name; /* the directory's name */
    char *dir;  /* the directory, without links */
    char *architecture;
    char *disk; /* absolute paths from here on */
    char *disk_format;
    SpBacking backing;               /* of a qcow2 disk, as it was when image.conf was read */
    char *kernel;                    /* or NULL */
    char *initrd;                    /* or NULL */
    char *command_line;              /* or NULL */
    char *virtual_time_command_line; /* or NULL */
    guint memory_mib;
    guint cpus;
    bool has_agent;
    bool has_boot_snapshot;
    char *watchdog;       /* or NULL */
    char **build_command; /* or NULL */
    bool is_by_path;      /* it is not of the directory of images */
    GError *fault;        /* why image.conf can't be used, and then only name and dir are there; or
                             NULL */
} SpImage;

/** Read image.conf in the directory @dir. Of the files that it names, only the backing files of a
 * qcow2 disk are looked at, which may be missing. */
SpImage *sp_image_load(const char *dir, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/**
 * Check that each file exists, is readable and not empty. A raw disk without Kernel has to be a
 * whole number of sectors, with a partition table and boot code. A GPT has to be complete (the CRC
 * of its header, and its backup header, which a truncated file lacks) and made for 512-byte
 * sectors. A qcow2 disk and its backing files need their magic. The message of SP_ERROR_USAGE says
 * what to do.
 */
bool sp_image_check(const SpImage *image, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void sp_image_free(SpImage *image);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpImage, sp_image_free)
