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
#define KEY_LENGTH 64
#define HEAD_LENGTH (sizeof MAGIC VERSION " " - 1 + DIGEST_LENGTH + 1)
/* A record's writer needs less than that between a temporary file and its name. */
#define LEFTOVER_S 3600

char *sp_results_dir(void)
{
    return g_build_filename(g_get_user_cache_dir(), "slotproof", "results", NULL);
}

static char *format_head(const char *text, gsize length)
{
    g_autofree char *digest =
        g_compute_checksum_for_data(G_CHECKSUM_SHA256, (const guchar *)text, length);

    return g_strdup_printf("%s%s %s\n", MAGIC, VERSION, digest);
}

static bool refuse(const char *path, const char *fault, GError **error)
{
    g_set_error(error, SP_ERROR, SP_ERROR_PROTOCOL, "'%s' %s", path, fault);
    return false;
}

static bool check(const char *path, const char *text, gsize length, GError **error)
{
    g_autofree char *head = NULL;

    if (length < strlen(MAGIC) || memcmp(text, MAGIC, strlen(MAGIC)) != 0)
        return refuse(path, "is no result that slotproof has kept", error);
    if (!g_str_has_prefix(text + strlen(MAGIC), VERSION " "))
        return refuse(path, "is a result of another version of slotproof", error);
    if (length >= HEAD_LENGTH)
        head = format_head(text + HEAD_LENGTH, length - HEAD_LENGTH);
    if (!head || memcmp(text, head, HEAD_LENGTH) != 0)
        return refuse(path, "is cut off or was changed", error);
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
            refuse(path, "can't be read", error);
        return NULL;
    }
    if (!check(path, text, length, error))
        return NULL;
    *ret_length = length - HEAD_LENGTH;
    return g_memdup2(text + HEAD_LENGTH, length - HEAD_LENGTH + 1); /* with the NUL */
}

void sp_result_note_use(const char *dir, const char *key)
{
    g_autofree char *path = g_build_filename(dir, key, NULL);

    /* only for what is evicted first */
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

void sp_result_info_free(SpResultInfo *info)
{
    g_free(info->key);
    g_free(info->name);
    g_free(info);
}

static bool begins_with_key(const char *name)
{
    return strspn(name, "0123456789abcdef") == KEY_LENGTH;
}

/* Looked at without using it. */
static SpResultInfo *get_info(const char *dir, const char *key, const struct stat *st)
{
    SpResultInfo *info = g_new0(SpResultInfo, 1);
    g_autofree char *path = g_build_filename(dir, key, NULL);
    g_autofree char *text = NULL;
    g_autoptr(SpRecord) record = NULL;
    gsize length;

    info->key = g_strdup(key);
    info->size = (guint64)st->st_blocks * 512;
    info->used_s = st->st_mtim.tv_sec;
    if (g_file_get_contents(path, &text, &length, NULL) && check(path, text, length, NULL)) {
        record = sp_record_parse("?", text + HEAD_LENGTH, length - HEAD_LENGTH);
        info->ran_s = record->began_s;
    }
    info->name = g_strdup(record ? record->name : "?");
    return info;
}

static int compare_use(const void *a, const void *b)
{
    const SpResultInfo *one = *(SpResultInfo *const *)a, *other = *(SpResultInfo *const *)b;

    if (one->used_s != other->used_s)
        return one->used_s < other->used_s ? 1 : -1;
    return strcmp(one->key, other->key);
}

GPtrArray *sp_results_list(const char *dir)
{
    GPtrArray *list = g_ptr_array_new_with_free_func((GDestroyNotify)sp_result_info_free);
    g_autoptr(GDir) entries = g_dir_open(dir, 0, NULL);
    const char *name;
    struct stat st;

    while (entries && (name = g_dir_read_name(entries))) {
        g_autofree char *path = g_build_filename(dir, name, NULL);

        if (begins_with_key(name) && !name[KEY_LENGTH] && lstat(path, &st) == 0 &&
            S_ISREG(st.st_mode))
            g_ptr_array_add(list, get_info(dir, name, &st));
    }
    g_ptr_array_sort(list, compare_use);
    return list;
}

void sp_result_remove(const char *dir, const char *key)
{
    g_autofree char *path = g_build_filename(dir, key, NULL);

    g_unlink(path);
}

/* A temporary file is a key with something behind it. */
static void remove_leftovers(const char *dir)
{
    g_autoptr(GDir) entries = g_dir_open(dir, 0, NULL);
    gint64 now = g_get_real_time() / G_USEC_PER_SEC;
    const char *name;
    struct stat st;

    while (entries && (name = g_dir_read_name(entries))) {
        g_autofree char *path = g_build_filename(dir, name, NULL);

        if (begins_with_key(name) && name[KEY_LENGTH] && lstat(path, &st) == 0 &&
            S_ISREG(st.st_mode) && st.st_mtim.tv_sec + LEFTOVER_S < now)
            g_unlink(path);
    }
}

void sp_results_limit(const char *dir, guint64 size_max)
{
    g_autoptr(GPtrArray) list = sp_results_list(dir);
    guint64 size = 0;

    remove_leftovers(dir);
    for (guint i = 0; i < list->len; i++)
        size += ((const SpResultInfo *)list->pdata[i])->size;
    for (guint i = list->len; i > 0 && size > size_max; i--) {
        const SpResultInfo *info = list->pdata[i - 1];
        sp_result_remove(dir, info->key);
        size -= info->size;
    }
}
