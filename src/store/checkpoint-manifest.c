/* SPDX-License-Identifier: MIT */
#include "store/checkpoint-manifest.h"

#include "base/error.h"
#include "store/key-parts.h"
#include "store/quick-digest.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

/* The groups: the name, and in which boot of the host the files were checked; the digest of each
 * file; and what identified each then. */
#define HEAD "Checkpoint"
#define FILES "Files"
#define SEEN "Seen"

/* What identifies the file that was read. */
static char *describe_identity(const char *path, GError **error)
{
    struct stat st;

    if (stat(path, &st) < 0) {
        g_set_error(error, SP_ERROR, sp_error_code_of_errno(errno), "'%s' can't be read: %s", path,
            g_strerror(errno));
        return NULL;
    }
    return g_strdup_printf("%" G_GUINT64_FORMAT " %" G_GINT64_FORMAT " %" G_GINT64_FORMAT
                           ".%09ld %" G_GINT64_FORMAT ".%09ld",
        (guint64)st.st_ino, (gint64)st.st_size, (gint64)st.st_mtim.tv_sec, st.st_mtim.tv_nsec,
        (gint64)st.st_ctim.tv_sec, st.st_ctim.tv_nsec);
}

/* What the host has written since it was booted is not lost, even if it is not on the disk yet. */
static char *read_host_boot_id(void)
{
    char *id = NULL;

    if (!g_file_get_contents("/proc/sys/kernel/random/boot_id", &id, NULL, NULL))
        return g_strdup("");
    return g_strchomp(id);
}

static bool write_manifest(GKeyFile *manifest, const char *dir, GError **error)
{
    g_autofree char *path = g_build_filename(dir, SP_MANIFEST_FILE, NULL);
    g_autofree char *text = g_key_file_to_data(manifest, NULL, NULL);

    return g_file_set_contents_full(path, text, -1, G_FILE_SET_CONTENTS_CONSISTENT, 0600, error);
}

/* Add the digest of the file @name in @dir, and its identity. */
static bool add_file_entry(GKeyFile *manifest, const char *dir, const char *name, GError **error)
{
    g_autofree char *path = g_build_filename(dir, name, NULL);
    g_autofree char *identity = describe_identity(path, error);
    g_autofree char *digest = identity ? sp_quick_digest(path, error) : NULL;

    if (!digest)
        return false;
    g_key_file_set_string(manifest, FILES, name, digest);
    g_key_file_set_string(manifest, SEEN, name, identity);
    return true;
}

bool sp_manifest_write(const char *dir, const char *name, GError **error)
{
    g_autoptr(GKeyFile) manifest = g_key_file_new();
    g_autoptr(GDir) entries = g_dir_open(dir, 0, error);
    g_autofree char *boot = read_host_boot_id();
    const char *file;

    g_key_file_set_string(manifest, HEAD, "Name", name);
    g_key_file_set_string(manifest, HEAD, "Boot", boot);
    while (entries && (file = g_dir_read_name(entries))) {
        if (!add_file_entry(manifest, dir, file, error))
            return false;
    }
    return entries && write_manifest(manifest, dir, error);
}

static GKeyFile *load_manifest(const char *dir, GError **error)
{
    g_autoptr(GKeyFile) manifest = g_key_file_new();
    g_autofree char *path = g_build_filename(dir, SP_MANIFEST_FILE, NULL);
    g_autoptr(GError) local = NULL;

    if (g_key_file_load_from_file(manifest, path, G_KEY_FILE_NONE, &local) &&
        g_key_file_has_group(manifest, FILES))
        return g_steal_pointer(&manifest);
    g_set_error(error, SP_ERROR, SP_ERROR_HOST, "'%s' is not what was saved%s%s", path,
        local ? ": " : "", local ? local->message : "");
    return NULL;
}

/* Whether the file @name in @dir is what was saved. @ret_identity, which may be NULL, gets its
 * identity. */
static bool verify_file(
    GKeyFile *manifest, const char *dir, const char *name, char **ret_identity, GError **error)
{
    g_autofree char *path = g_build_filename(dir, name, NULL);
    g_autofree char *expected = g_key_file_get_string(manifest, FILES, name, NULL);
    g_autofree char *identity = describe_identity(path, error);
    g_autofree char *digest = NULL;

    if (!identity)
        return false;
    /* an earlier slotproof saved SHA-256 */
    digest = expected && g_str_has_prefix(expected, SP_QUICK_DIGEST_PREFIX)
                 ? sp_quick_digest(path, error)
                 : sp_file_digest(path, error);
    if (!digest)
        return false;
    if (g_strcmp0(digest, expected) != 0) {
        g_set_error(error, SP_ERROR, SP_ERROR_HOST, "'%s' is not what was saved", path);
        return false;
    }
    if (ret_identity)
        *ret_identity = g_steal_pointer(&identity);
    return true;
}

/* As far as can be said without reading it. */
static bool is_unchanged(GKeyFile *manifest, const char *dir, const char *name)
{
    g_autofree char *path = g_build_filename(dir, name, NULL);
    g_autofree char *seen = g_key_file_get_string(manifest, SEEN, name, NULL);
    g_autofree char *identity = describe_identity(path, NULL);

    return seen && g_strcmp0(seen, identity) == 0;
}

/* Whether all files of @dir are what was saved. A file is read unless it is the one that was read
 * last, in this boot of the host. */
static bool check_files(GKeyFile *manifest, const char *dir, GError **error)
{
    g_auto(GStrv) names = g_key_file_get_keys(manifest, FILES, NULL, error);
    g_autofree char *boot = read_host_boot_id();
    g_autofree char *seen_boot = g_key_file_get_string(manifest, HEAD, "Boot", NULL);
    bool is_same_boot = *boot && g_strcmp0(boot, seen_boot) == 0, is_changed = !is_same_boot;

    for (char **name = names; name && *name; name++) {
        g_autofree char *identity = NULL;

        if (is_same_boot && is_unchanged(manifest, dir, *name))
            continue;
        if (!verify_file(manifest, dir, *name, &identity, error))
            return false;
        g_key_file_set_string(manifest, SEEN, *name, identity);
        is_changed = true;
    }
    g_key_file_set_string(manifest, HEAD, "Boot", boot);
    /* a cache only: on failure the files are read again */
    if (names && is_changed)
        (void)write_manifest(manifest, dir, NULL);
    return names != NULL;
}

bool sp_manifest_check(const char *dir, GError **error)
{
    g_autofree char *path = g_build_filename(dir, SP_MANIFEST_FILE, NULL);
    g_autoptr(GKeyFile) manifest = NULL;

    if (access(path, F_OK) < 0)
        return false;
    manifest = load_manifest(dir, error);
    return manifest && check_files(manifest, dir, error);
}

static bool verify_files(GKeyFile *manifest, const char *dir, GError **error)
{
    g_auto(GStrv) names = g_key_file_get_keys(manifest, FILES, NULL, error);

    for (char **name = names; name && *name; name++) {
        if (!verify_file(manifest, dir, *name, NULL, error))
            return false;
    }
    return names != NULL;
}

bool sp_manifest_verify(const char *dir, GError **error)
{
    g_autoptr(GKeyFile) manifest = load_manifest(dir, error);

    return manifest && verify_files(manifest, dir, error);
}

char *sp_manifest_get_name(const char *dir)
{
    g_autoptr(GKeyFile) manifest = load_manifest(dir, NULL);

    return manifest ? g_key_file_get_string(manifest, HEAD, "Name", NULL) : NULL;
}
