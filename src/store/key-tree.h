/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

typedef enum {
    SP_TREE_ALL,    /* every file, at any depth */
    SP_TREE_SHARED, /* what tests share in the directory that contains them: its files, and what
                       Python can import from the directories below it, those of other tests
                       included, but not their script.py */
} SpTreeKind;

/**
 * Returns the regular files in the directory @dir whose contents may decide a result: their paths
 * relative to it, sorted. Names that begin with a dot, and what Python writes (__pycache__), are
 * left out. Links are followed, each directory once. SP_ERROR_HOST or SP_ERROR_DENIED names a
 * directory that can't be read.
 */
GPtrArray *sp_tree_list(const char *dir, SpTreeKind kind, GError **error) G_GNUC_WARN_UNUSED_RESULT;
