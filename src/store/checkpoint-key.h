/* SPDX-License-Identifier: MIT */
#pragma once

#include "machine/machine.h"
#include "suite/test-conf.h"

#include <glib.h>

/**
 * A name for the state that the checkpoint @conf brings its machines into, from all that decides
 * it: the key of the checkpoint below it; of each of @configs (SpMachineConfig, as the machines are
 * made) QEMU's command line, and the contents of QEMU, its firmware, disk, kernel and initrd (the
 * guest's agent is in there); test.conf, script.py, and all that lies beside it or that it may
 * import (key-tree.h). A byte that is another one gives another key.
 *
 * @cache_dir keeps the digests of large files, by device, inode, size and times; NULL: nowhere.
 * Free with g_free(). SP_ERROR_DENIED where a file may not be
 * read, SP_ERROR_HOST where it can't be for another reason. One beside the script that vanishes is
 * none.
 */
char *sp_checkpoint_key(
    const SpTestConf *conf, const GPtrArray *configs, const char *cache_dir, GError **error);

/**
 * The same for the state of a machine that has not read its disk yet (machine/boot-snapshot.h): of
 * the disk only what the guest is told before, its size.
 */
char *sp_boot_snapshot_key(const SpMachineConfig *config, const char *cache_dir, GError **error);

/** The SHA-256 of a file's data; holes count as such. Free with g_free(). */
char *sp_file_digest(const char *path, GError **error);
