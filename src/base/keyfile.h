/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>

/**
 * A configuration file in GLib's key file format, whose errors name file, line and what was
 * expected.
 */
typedef struct SpKeyFile SpKeyFile;

/** A key that may stand in a group; a group ending in " *" stands for any name behind the blank. */
typedef struct {
    const char *group;
    const char *key;
} SpKey;

/**
 * Read @path. A group or key that is not in @keys (ended by NULLs), one that stands twice, and what
 * is no key file at all are SP_ERROR_USAGE.
 */
SpKeyFile *sp_key_file_load(const char *path, const SpKey *keys, GError **error);
/** The same from @text, with @path for the messages. */
SpKeyFile *sp_key_file_parse(
    const char *text, gsize length, const char *path, const SpKey *keys, GError **error);
void sp_key_file_free(SpKeyFile *file);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpKeyFile, sp_key_file_free)

/** The groups in the order of the file. Free with g_strfreev(). */
char **sp_key_file_groups(SpKeyFile *file);
/** The value without white space around it, NULL where it is missing or empty. */
char *sp_key_file_string(SpKeyFile *file, const char *group, const char *key);
/**
 * The path in @key, made absolute from @dir; NULL where it is missing. A path stands as it is:
 * false with @error where one that is not there looks as if quotes, '~' or '$' were to mean
 * something.
 */
bool sp_key_file_path(SpKeyFile *file, const char *group, const char *key, const char *dir,
    char **ret_path, GError **error);
/** A whole number from @min to @max; @fallback where it is missing. */
bool sp_key_file_uint(SpKeyFile *file, const char *group, const char *key, guint fallback,
    guint min, guint max, guint *ret_value, GError **error);
/** A size "512M" or "2G" in MiB; @fallback where it is missing. */
bool sp_key_file_size_mib(SpKeyFile *file, const char *group, const char *key, guint fallback,
    guint *ret_mib, GError **error);
/** Sets an error that names the file, the line of @key (or of its group) and @expected. Returns
 * false. */
bool sp_key_file_refuse(
    SpKeyFile *file, const char *group, const char *key, const char *expected, GError **error);
