/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Finding a GPT partition by its name (PARTLABEL), without udev: the kernel says it in
 * /sys/class/block/NAME/uevent as PARTNAME, and makes the device node itself (devtmpfs).
 */

#include <stdbool.h>
#include <stddef.h>

#define PARTITION_PATH_MAX 64u

/**
 * A socket on which the kernel tells of new devices. Open it before the drivers are loaded, so that
 * nothing is missed. Returns a descriptor, or a negative errno.
 */
int partition_watch_open(void);

/**
 * The device node of the partition called @label, waiting up to @timeout_ms for it to appear. Of
 * several, the one whose device name sorts first.
 *
 * @watch_fd is of partition_watch_open(); with a negative one nothing is waited for. Returns 0,
 * -ENOENT if the partition did not come, or another negative errno if /sys cannot be read.
 */
int partition_find(
    int watch_fd, const char *label, int timeout_ms, char ret_path[static PARTITION_PATH_MAX]);

/**
 * Whether the uevent file @text is that of the partition @label; if so, its node is put into
 * @ret_path. Pure.
 */
bool partition_is_in_uevent(
    const char *text, size_t length, const char *label, char ret_path[static PARTITION_PATH_MAX]);
