/* SPDX-License-Identifier: MIT */
#include "store/result-store.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

#define MAGIC "slotproof result "
#define VERSION "1"
#define DIGEST_LENGTH 64
#define HEAD_LENGTH (sizeof MAGIC VERSION " " - 1 + DIGEST_LENGTH + 1)
/* Writing a result takes less: an older temporary file belongs to a process that died. */
#define LEFTOVER_S 3600

static char *format_head(const char *text, gsize length)
{
    g_autofree char *digest =
        g_compute_checksum_for_data(G_CHECKSUM_SHA256, (const guchar *)text, length);

    return g_strdup_printf("%s%s %s\n", MAGIC, VERSION, digest);
}

static bool refuse_result(const char *path, const char *fault, GError **error)
{
    g_set_error(error, SP_ERROR, SP_ERROR_PROTOCOL, "'%s' %s", path, fault);
    return false;
}

static bool check_result(const char *path, const char *text, gsize length, GError **error)
{
    g_autofree char *head = NULL;

    if (length < strlen(MAGIC) || memcmp(text, MAGIC, strlen(MAGIC)) != 0)
        return refuse_result(path, "is not a result that slotproof has kept", error);
    if (!g_str_has_prefix(text + strlen(MAGIC), VERSION " "))
        return refuse_result(path, "is a result of another version of slotproof", error);
    if (length >= HEAD_LENGTH)
        head = format_head(text + HEAD_LENGTH, length - HEAD_LENGTH);
    if (!head || memcmp(text, head, HEAD_LENGTH) != 0)
        return refuse_result(path, "is cut off or was changed", error);
    return true;
}

char *sp_result_read(const char *dir, const char *key, gsize *ret_length, GError **error)
{
    g_autofree char *path = g_build_filename(dir, key, NULL);
    g_autoptr(GError) local = NULL;
    g_autofree char *text = NULL;
    gsize length;

    if (!g_file_get_contents(path, &text, &length, &local)) {
        if (!g_error_matches(local, G_FILE_ERROR, G_FILE_ERROR_NOENT))
            refuse_result(path, "can't be read", error);
        return NULL;
    }
    if (!check_result(path, text, length, error))
        return NULL;
    *ret_length = length - HEAD_LENGTH;
    return g_memdup2(text + HEAD_LENGTH, length - HEAD_LENGTH + 1); /* with the NUL */
}

void sp_result_note_use(const char *dir, const char *key)
{
    g_autofree char *path = g_build_filename(dir, key, NULL);

    /* it only decides what is evicted first */
    (void)utimensat(AT_FDCWD, path, NULL, 0);
}

bool sp_result_write(
    const char *dir, const char *key, const char *text, gsize length, GError **error)
{
    g_autofree char *path = g_build_filename(dir, key, NULL);
    g_autofree char *head = format_head(text, length);
    g_autoptr(GString) whole = g_string_new(head);
    g_autoptr(GError) local = NULL;

    g_string_append_len(whole, text, (gssize)length);
    if (g_mkdir_with_parents(dir, 0700) == 0 &&
        g_file_set_contents_full(
            path, whole->str, (gssize)whole->len, G_FILE_SET_CONTENTS_CONSISTENT, 0600, &local))
        return true;
    g_set_error(error, SP_ERROR, SP_ERROR_HOST, "'%s' can't be written: %s", path,
        local ? local->message : g_strerror(errno));
    return false;
}

/* Does not count as use. */
static bool describe_result(const char *dir, SpCacheEntry *entry)
{
    g_autofree char *path = g_build_filename(dir, entry->key, NULL);
    g_autofree char *text = NULL;
    g_autoptr(SpRecord) record = NULL;
    gsize length;
    struct stat st;

    if (lstat(path, &st) < 0 || !S_ISREG(st.st_mode))
        return false;
    entry->size = (guint64)st.st_blocks * 512;
    entry->used_s = st.st_mtim.tv_sec;
    if (g_file_get_contents(path, &text, &length, NULL) && check_result(path, text, length, NULL)) {
        record = sp_record_parse("?", text + HEAD_LENGTH, length - HEAD_LENGTH);
        entry->time_s = record->began_s;
    }
    entry->name = g_strdup(record ? record->name : "?");
    return true;
}

static bool verify_result(const char *dir, const char *key, GError **error)
{
    g_autoptr(GError) local = NULL;
    gsize length;

    g_free(sp_result_read(dir, key, &length, &local));
    if (!local)
        return true;
    g_propagate_error(error, g_steal_pointer(&local));
    return false;
}

static int remove_result(const char *dir, const char *key)
{
    g_autofree char *path = g_build_filename(dir, key, NULL);

    return g_unlink(path) == 0 || errno == ENOENT ? 0 : -errno;
}

void sp_result_remove(const char *dir, const char *key)
{
    (void)remove_result(dir, key);
}

/* A temporary file's name is a key with something behind it. */
static void remove_old_temporaries(const char *dir)
{
    g_autoptr(GDir) entries = g_dir_open(dir, 0, NULL);
    gint64 now = g_get_real_time() / G_USEC_PER_SEC;
    const char *name;
    struct stat st;

    while (entries && (name = g_dir_read_name(entries))) {
        g_autofree char *path = g_build_filename(dir, name, NULL);

        if (sp_cache_has_key(name) && name[SP_CACHE_KEY_LENGTH] && lstat(path, &st) == 0 &&
            S_ISREG(st.st_mode) && st.st_mtim.tv_sec + LEFTOVER_S < now)
            g_unlink(path);
    }
}

const SpCacheKind sp_result_kind = {
    .name = "results",
    .time_word = "run",
    .describe = describe_result,
    .verify = verify_result,
    .remove = remove_result,
    .remove_leftovers = remove_old_temporaries,
};
