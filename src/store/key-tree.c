/* SPDX-License-Identifier: MIT */
#include "store/key-tree.h"

#include "base/error.h"

#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

typedef struct {
    const char *root;
    SpTreeKind kind;
    GHashTable *seen; /* directories, by device and inode: links may form a circle */
    GPtrArray *paths;
} Walk;

static bool add_seen(Walk *walk, const struct stat *st)
{
    return g_hash_table_add(walk->seen, g_strdup_printf("%" G_GUINT64_FORMAT ":%" G_GUINT64_FORMAT,
                                            (guint64)st->st_dev, (guint64)st->st_ino));
}

/* Python imports these from any directory: a package may have any name without a dot. */
static bool is_importable(const char *name)
{
    return g_str_has_suffix(name, ".py") || g_str_has_suffix(name, ".so");
}

/* A test's own script, which other tests do not import. */
static bool is_script(const char *dir, const char *name)
{
    g_autofree char *conf = g_build_filename(dir, "test.conf", NULL);

    return g_str_equal(name, "script.py") && g_file_test(conf, G_FILE_TEST_EXISTS);
}

static bool wants_file(const Walk *walk, const char *dir, const char *below, const char *name)
{
    return walk->kind == SP_TREE_ALL || !*below || (is_importable(name) && !is_script(dir, name));
}

/* @below is the path of the directory relative to the root, "" for the root itself. */
static bool walk_directory(Walk *walk, const char *below, GError **error)
{
    g_autofree char *dir = g_build_filename(walk->root, below, NULL);
    g_autoptr(GError) local = NULL;
    g_autoptr(GDir) entries = g_dir_open(dir, 0, &local);
    const char *name;
    struct stat st;

    if (!entries) {
        /* a directory that has vanished since it was listed */
        if (*below && g_error_matches(local, G_FILE_ERROR, G_FILE_ERROR_NOENT))
            return true;
        g_set_error(error, SP_ERROR,
            g_error_matches(local, G_FILE_ERROR, G_FILE_ERROR_ACCES) ? SP_ERROR_DENIED
                                                                     : SP_ERROR_HOST,
            "%s", local->message);
        return false;
    }
    while ((name = g_dir_read_name(entries))) {
        g_autofree char *path = g_build_filename(dir, name, NULL);
        g_autofree char *relative = *below ? g_build_filename(below, name, NULL) : g_strdup(name);

        /* a dangling link does not count */
        if (*name == '.' || stat(path, &st) < 0)
            continue;
        if (S_ISREG(st.st_mode) && wants_file(walk, dir, below, name))
            g_ptr_array_add(walk->paths, g_steal_pointer(&relative));
        else if (S_ISDIR(st.st_mode) && !g_str_equal(name, "__pycache__") && add_seen(walk, &st) &&
                 !walk_directory(walk, relative, error))
            return false;
    }
    return true;
}

static int compare_paths(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

GPtrArray *sp_tree_list(const char *dir, SpTreeKind kind, GError **error)
{
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);
    Walk walk = {dir, kind, seen, paths};
    struct stat st;

    if (stat(dir, &st) == 0)
        add_seen(&walk, &st);
    if (!walk_directory(&walk, "", error))
        return NULL;
    g_ptr_array_sort(paths, compare_paths);
    return g_steal_pointer(&paths);
}
