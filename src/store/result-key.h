/* SPDX-License-Identifier: MIT */
#pragma once

#include "suite/test-conf.h"

#include <glib.h>
#include <stdbool.h>

/**
 * Names for the results of tests, each computed from everything that decides the result:
 *
 * - this program and the libraries that it has loaded; the kernel's release and architecture, and
 *   the model of the CPU;
 * - the environment variables that a script's outcome may depend on: PATH, TZ, LANG, LANGUAGE,
 *   LC_*, PYTHON*, and SLOTPROOF_* except those that only say where things are;
 * - whether checkpoints are used;
 * - for each machine's image all files in its directory, and the disk with its backing files,
 *   kernel and initrd, which need not be in there; the same for all images if a script mentions
 *   create_machine;
 * - qemu-img and tesseract; for each architecture QEMU, its libraries, its firmware, and the
 *   accelerator that is used;
 * - for the test and for each checkpoint below it everything beside the script, including
 *   test.conf, and what it may import from the directory of tests (key-tree.h).
 *
 * Not covered: the date, other programs of the host that a script starts, other files that it reads
 * or imports, and the network of the host.
 *
 * What tests have in common is read once, so an object describes one moment: later changes are seen
 * by another object.
 */
typedef struct SpResultKeys SpResultKeys;

/** @images (of SpImage) is not owned. @cache_dir is as in checkpoint-key.h. */
SpResultKeys *sp_result_keys_new(GPtrArray *images, bool is_cold, const char *cache_dir);
/** NULL is accepted. */
void sp_result_keys_free(SpResultKeys *keys);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpResultKeys, sp_result_keys_free)

/** Returns the key of @conf. Free with g_free(). SP_ERROR_HOST or SP_ERROR_DENIED if a file can't
 * be read, SP_ERROR_USAGE if an image or QEMU is missing. */
char *sp_result_keys_get(
    SpResultKeys *keys, const SpTestConf *conf, GError **error) G_GNUC_WARN_UNUSED_RESULT;
