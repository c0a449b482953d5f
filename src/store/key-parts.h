/* SPDX-License-Identifier: MIT */
#pragma once

#include "qemu/board.h"
#include "qemu/image.h"
#include "store/key-tree.h"
#include "suite/test-conf.h"

#include <glib.h>
#include <stdbool.h>

/**
 * What the keys of checkpoints and of results are made of. Each of these adds pieces to @sum, with
 * a word for what they are and their length in front, so that no two lists of pieces look the same.
 *
 * @cache_dir keeps the digests of large files, by device, inode, size and times; NULL: nowhere.
 * SP_ERROR_HOST where a file can't be read.
 */
void sp_key_add_text(GChecksum *sum, const char *what, const char *text);
/** The contents of @path; NULL stands for no file, and is another piece than any file. */
bool sp_key_add_file(GChecksum *sum, const char *what, const char *path, const char *cache_dir,
    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** The names and contents of all that sp_tree_list() finds. */
bool sp_key_add_tree(GChecksum *sum, const char *dir, SpTreeKind kind, const char *cache_dir,
    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** QEMU's @program and the firmware that it loads. */
bool sp_key_add_qemu(GChecksum *sum, const SpBoard *board, const char *program,
    const char *cache_dir, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** An image's disk, with all that it lies on, kernel and initrd. */
bool sp_key_add_image(GChecksum *sum, const SpImage *image, const char *cache_dir,
    GError **error) G_GNUC_WARN_UNUSED_RESULT;
