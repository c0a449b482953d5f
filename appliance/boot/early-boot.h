/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the programs that are pid 1 of an initramfs share: the first mounts, kernel modules, lines
 * on the console, and the way out when nothing else is left.
 */

#include "appliance/boot/partition.h"

#include <stddef.h>
#include <sys/types.h>

struct early_boot {
    const char *program; /* stands in front of each line on the console */
    int console_fd;
    int watch_fd; /* of partition_watch_open() */
};

/**
 * Mount /proc, /sys and /dev, open the console, load the modules in /modules, and arm the watchdog,
 * which then has to be fed within half a minute by who comes after. Must be pid 1:
 * ends the process if it is not. What fails is said on the console; the parts that need it fail
 * later.
 */
void early_boot_start(struct early_boot *boot, const char *program);

/** One line on the console. */
__attribute__((format(printf, 2, 3))) void early_boot_say(
    const struct early_boot *boot, const char *format, ...);

/** Wait until the console has put out all that was said. */
void early_boot_drain(const struct early_boot *boot);

/** Read /proc/cmdline. Returns 0 or a negative errno; @ret_cmdline ends in NUL. */
int early_boot_cmdline(char *ret_cmdline, size_t size);

/** mkdir() with mode 0755, if it is not there. */
int early_boot_mkdir(const char *path);

/**
 * Mount the partition called @label on @target, which is made if it is not there. Waits up to
 * @timeout_ms for the partition. Returns 0, -ENOENT if there is none, or what mount() said.
 */
int early_boot_mount_partition(const struct early_boot *boot, const char *label, int timeout_ms,
    const char *target, const char *type, unsigned long flags);

/**
 * Say it, then reset the machine: through the watchdog, as that also resets what hangs, else by
 * reboot().
 */
__attribute__((noreturn, format(printf, 2, 3))) void early_boot_fail(
    const struct early_boot *boot, const char *format, ...);
