/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

typedef enum {
    SP_TREE_ALL,    /* every file, at any depth */
    SP_TREE_SHARED, /* what tests share in the directory that they lie in: its files, and what
                       Python can import from the directories below it, those of other tests too,
                       but for their script.py */
} SpTreeKind;

/**
 * The regular files in the directory @dir whose contents may decide something: their paths relative
 * to it, sorted. Left out are what begins with a dot and what Python writes (__pycache__). Links
 * are followed, each directory once. SP_ERROR_HOST names a directory that can't be read.
 */
GPtrArray *sp_tree_list(const char *dir, SpTreeKind kind, GError **error) G_GNUC_WARN_UNUSED_RESULT;
