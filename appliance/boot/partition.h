/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Finding a GPT partition by its name (PARTLABEL) without udev: the kernel shows the name as
 * PARTNAME in /sys/class/block/NAME/uevent, and makes the device node itself (devtmpfs).
 */

#include <stdbool.h>
#include <stddef.h>

#define PARTITION_PATH_MAX 64u

/**
 * Open a socket on which the kernel announces new devices. Open it before loading the drivers, so
 * that no device is missed. Returns a descriptor, or a negative errno.
 */
int partition_watch_open(void);

/**
 * Find the device node of the partition @label, waiting up to @timeout_ms for it to appear. If
 * several have that name, it is the one whose device name sorts first.
 *
 * @watch_fd comes from partition_watch_open(); if it is negative, nothing is waited for. Returns 0,
 * -ENOENT if the partition did not appear, or another negative errno if /sys cannot be read.
 */
int partition_find(
    int watch_fd, const char *label, int timeout_ms, char ret_path[static PARTITION_PATH_MAX]);

/**
 * Returns whether @text, a uevent file, describes the partition @label, and if so sets @ret_path to
 * its device node. A pure function.
 */
bool partition_is_in_uevent(
    const char *text, size_t length, const char *label, char ret_path[static PARTITION_PATH_MAX]);
