/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>

/**
 * A configuration file in GLib's key file format, whose errors name file, line and what was
 * expected.
 */
typedef struct SpKeyFile SpKeyFile;

/** A key allowed in a group. A group ending in " *" matches any name after the space. */
typedef struct {
    const char *group;
    const char *key;
} SpKey;

/**
 * Read @path. SP_ERROR_USAGE for a group or key that is not in @keys (which NULLs terminate), for
 * one that appears twice, and for a file that is not a key file.
 */
SpKeyFile *sp_key_file_load(
    const char *path, const SpKey *keys, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** The same from @text; @path is for error messages. */
SpKeyFile *sp_key_file_parse(const char *text, gsize length, const char *path, const SpKey *keys,
    GError **error) G_GNUC_WARN_UNUSED_RESULT;
void sp_key_file_free(SpKeyFile *file);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpKeyFile, sp_key_file_free)

/** The groups in the order of the file. Free with g_strfreev(). */
char **sp_key_file_groups(SpKeyFile *file);
/** The value without surrounding white space; NULL if it is missing or empty. */
char *sp_key_file_string(SpKeyFile *file, const char *group, const char *key);
/**
 * The path in @key, relative to @dir; NULL if the key is missing. Paths are taken literally: fails
 * if the file does not exist and the path looks as if quotes, '~' or '$' were meant to be expanded.
 */
bool sp_key_file_path(SpKeyFile *file, const char *group, const char *key, const char *dir,
    char **ret_path, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** A whole number from @min to @max; @fallback if the key is missing. */
bool sp_key_file_uint(SpKeyFile *file, const char *group, const char *key, guint fallback,
    guint min, guint max, guint *ret_value, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** A size such as "512M" or "2G", in MiB; @fallback if the key is missing. */
bool sp_key_file_size_mib(SpKeyFile *file, const char *group, const char *key, guint fallback,
    guint *ret_mib, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** Sets an error that names the file, the line of @key (or of its group) and @expected. Returns
 * false. */
bool sp_key_file_refuse(SpKeyFile *file, const char *group, const char *key, const char *expected,
    GError **error) G_GNUC_WARN_UNUSED_RESULT;
