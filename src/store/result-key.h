/* SPDX-License-Identifier: MIT */
#pragma once

#include "suite/test-conf.h"

#include <glib.h>
#include <stdbool.h>

/**
 * Names for the results of tests, each from all that decides one:
 *
 * - this program and the libraries that it has loaded; the kernel's release and architecture, and
 *   the processor's model;
 * - the environment variables that a script's outcome may depend on: PATH, TZ, LANG, LANGUAGE,
 * LC_*, PYTHON*, and those of SLOTPROOF_* that say more than where things are;
 * - whether checkpoints are used;
 * - of each machine's image all files in its directory, and the disk with what it lies on, kernel
 *   and initrd, which need not be in there; of all images there are, where a script speaks of
 *   create_machine;
 * - qemu-img and tesseract; for each architecture QEMU, its libraries, its firmware, and the
 * accelerator that is used;
 * - of the test and of each checkpoint that it goes on from all that lies beside the script,
 *   test.conf among it, and what it may import from the directory above (key-tree.h).
 *
 * What is not in it: the date, other programs of the host that a script starts, other files that it
 * reads or imports, and the network of the host.
 *
 * What tests have in common is looked at once. So one of these is of the moment: what changes
 * later is seen by another one.
 */
typedef struct SpResultKeys SpResultKeys;

/** @images (of SpImage) is not owned. @cache_dir is as in checkpoint-key.h. */
SpResultKeys *sp_result_keys_new(GPtrArray *images, bool is_cold, const char *cache_dir);
/** NULL is fine. */
void sp_result_keys_free(SpResultKeys *keys);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpResultKeys, sp_result_keys_free)

/** That of @conf. Free with g_free(). SP_ERROR_HOST where a file can't be read, SP_ERROR_USAGE
 * where an image or QEMU is missing. */
char *sp_result_keys_get(
    SpResultKeys *keys, const SpTestConf *conf, GError **error) G_GNUC_WARN_UNUSED_RESULT;
