/* SPDX-License-Identifier: MIT */
#pragma once

#include "machine/machine.h"
#include "suite/test-conf.h"

#include <glib.h>

/**
 * Returns a name for the state that the checkpoint @conf brings its machines into, computed from
 * everything that decides it: the key of the checkpoint below it; for each of @configs
 * (SpMachineConfig, in the order of the machines) QEMU's command line and the contents of QEMU, its
 * firmware, disk, kernel and initrd (which contain the guest's agent); test.conf, script.py, and
 * everything that is beside it or that it may import (key-tree.h). Any changed byte yields a
 * different key.
 *
 * @cache_dir keeps the digests of large files, by device, inode, size and times; NULL: they are not
 * kept. Free with g_free(). SP_ERROR_DENIED if a file may not be read, SP_ERROR_HOST if it can't be
 * for another reason. A file beside the script that vanishes meanwhile counts as missing.
 */
char *sp_checkpoint_key(const SpTestConf *conf, const GPtrArray *configs, const char *cache_dir,
    GError **error) G_GNUC_WARN_UNUSED_RESULT;

/**
 * The same for a boot snapshot (machine/boot-snapshot.h): of the disk only its size counts, which
 * is all that the guest knows before it reads.
 */
char *sp_boot_snapshot_key(
    const SpMachineConfig *config, const char *cache_dir, GError **error) G_GNUC_WARN_UNUSED_RESULT;
