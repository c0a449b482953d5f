/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the programs that run as PID 1 of an initramfs share: the first mounts, kernel modules,
 * lines on the console, and the way out when nothing else is left.
 */

#include "appliance/boot/partition.h"

#include <stddef.h>
#include <sys/types.h>

struct early_boot {
    const char *program; /* begins each line on the console */
    int console_fd;
    int watch_fd; /* of partition_watch_open() */
};

/**
 * Mount /proc, /sys and /dev, open the console, load the modules in /modules, and arm the watchdog,
 * which whatever runs next has to feed within half a minute. Ends the process if it is not PID 1.
 * Failures are reported on the console; what depends on the missing part fails later.
 */
void early_boot_start(struct early_boot *boot, const char *program);

/** Write one line to the console. */
__attribute__((format(printf, 2, 3))) void early_boot_say(
    const struct early_boot *boot, const char *format, ...);

/** Wait until the console has put out everything that was written. */
void early_boot_drain(const struct early_boot *boot);

/** Make a directory with mode 0755, unless it exists. Returns 0 or a negative errno. */
int early_boot_mkdir(const char *path);

/**
 * Mount the partition @label on @target, which is made if it does not exist. Waits up to
 * @timeout_ms for the partition to appear. Returns 0, -ENOENT if it did not, or the negative errno
 * of mount().
 */
int early_boot_mount_partition(const struct early_boot *boot, const char *label, int timeout_ms,
    const char *target, const char *type, unsigned long flags);

/**
 * Write the line, then reset the machine: through the watchdog, which also resets hardware that
 * hangs, or else by reboot().
 */
__attribute__((noreturn, format(printf, 2, 3))) void early_boot_fail(
    const struct early_boot *boot, const char *format, ...);
