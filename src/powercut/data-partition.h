/* SPDX-License-Identifier: MIT */
#pragma once

#include "powercut/fsck-job.h"

#include <glib.h>
#include <stdbool.h>

/*
 * The data partition of the appliance: an f2fs. It promises to be, after a power cut, as at its
 * last checkpoint, and what was synced since is found again at the mount (Linux,
 * Documentation/filesystems/f2fs.rst). Whether there is such a checkpoint, and all that it refers
 * to is whole, is said by fsck.f2fs.
 */

/** Have fsck.f2fs look at a copy of the partition. */
SpProbe *sp_data_partition_check(SpProbeCopy *copy, GError **error);
/**
 * Wait for it. False with a reason of SP_ERROR_ASSERTION where the file system is not in order;
 * other errors are the host's. @ret_is_rolled_back: what was synced since the checkpoint can't be
 * found again, because a write of a block (4 KiB, which f2fs takes for atomic) was torn. The kernel
 * mounts the checkpoint then ("Cannot recover all fsync data"); fsck.f2fs looks no further.
 */
bool sp_data_partition_is_good(
    SpProbe *check, const SpInterrupt *interrupt, bool *ret_is_rolled_back, GError **error);
