/* SPDX-License-Identifier: MIT */
#pragma once

#include "qemu/board.h"
#include "qemu/image.h"
#include "store/key-tree.h"
#include "suite/test-conf.h"

#include <glib.h>
#include <stdbool.h>

/**
 * What the keys of checkpoints and of results are made of. Each function adds pieces to @sum, each
 * preceded by a word for what it is and its length, so that no two lists of pieces look the same.
 *
 * @cache_dir is as in checkpoint-key.h. SP_ERROR_HOST or SP_ERROR_DENIED if a file can't be read.
 */
void sp_key_add_text(GChecksum *sum, const char *what, const char *text);
/** The contents of @path. NULL stands for no file, which differs from any file. */
bool sp_key_add_file(GChecksum *sum, const char *what, const char *path, const char *cache_dir,
    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** The names and contents of the files that sp_tree_list() finds. */
bool sp_key_add_tree(GChecksum *sum, const char *dir, SpTreeKind kind, const char *cache_dir,
    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** QEMU's @program and the firmware that it loads. */
bool sp_key_add_qemu(GChecksum *sum, const SpBoard *board, const char *program,
    const char *cache_dir, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** An image's disk with its backing files, kernel and initrd. */
bool sp_key_add_image(GChecksum *sum, const SpImage *image, const char *cache_dir,
    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** The two parts of that. */
bool sp_key_add_kernel(GChecksum *sum, const SpImage *image, const char *cache_dir,
    GError **error) G_GNUC_WARN_UNUSED_RESULT;
bool sp_key_add_disk(GChecksum *sum, const SpImage *image, const char *cache_dir,
    GError **error) G_GNUC_WARN_UNUSED_RESULT;

/** Returns the SHA-256 of a file's data and of where its holes are. Free with g_free(). */
char *sp_file_digest(const char *path, GError **error) G_GNUC_WARN_UNUSED_RESULT;
