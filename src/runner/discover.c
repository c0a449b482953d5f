/* SPDX-License-Identifier: MIT */
#include "runner/discover.h"

#include "base/error.h"
#include "runner/test-conf.h"

#include <stdlib.h>
#include <string.h>

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names of the folders in @tests that have a test.conf, sorted and ended by NULL. */
static char **list_names(const char *tests, GError **error)
{
    g_autoptr(GError) local = NULL;
    g_autoptr(GDir) dir = g_dir_open(tests, 0, &local);
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    const char *name;

    if (!dir) {
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
            "no tests: %s (run slotproof where %s is, or name the folder with --tests)",
            local->message, tests);
        return NULL;
    }
    while ((name = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename(tests, name, "test.conf", NULL);
        if (g_file_test(path, G_FILE_TEST_EXISTS))
            g_ptr_array_add(names, g_strdup(name));
    }
    g_ptr_array_sort(names, compare_names);
    g_ptr_array_add(names, NULL);
    return (char **)g_ptr_array_steal(names, NULL);
}

static bool has_test(const GPtrArray *list, const char *name)
{
    for (guint i = 0; i < list->len; i++) {
        const SpTestConf *conf = g_ptr_array_index(list, i);
        if (g_str_equal(conf->name, name))
            return true;
    }
    return false;
}

/* One that is named must be a test; of all, checkpoints are passed over. */
static bool add_test(
    GPtrArray *list, const char *tests, const char *name, bool is_named, GError **error)
{
    g_autofree char *dir = g_build_filename(tests, name, NULL);
    g_autoptr(SpTestConf) conf = sp_test_conf_load(dir, error);

    if (!conf)
        return false;
    if (conf->is_checkpoint && is_named) {
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
            "'%s' is a checkpoint, which tests go on from, and no test", name);
        return false;
    }
    if (!conf->is_checkpoint)
        g_ptr_array_add(list, g_steal_pointer(&conf));
    return true;
}

/* The test that @given names: by its name, or by the path of its folder, which a shell completes.
 * NULL for none. */
static const char *find_test(const char *tests, const char *const *all, const char *given)
{
    g_autofree char *path = realpath(given, NULL);
    g_autofree char *folder = realpath(tests, NULL);
    g_autofree char *dir = path ? g_path_get_dirname(path) : NULL;
    g_autofree char *name = path ? g_path_get_basename(path) : NULL;
    g_autofree char *bare = g_strdup(given);

    for (gsize end = strlen(bare); end > 0 && bare[end - 1] == '/'; end--)
        bare[end - 1] = 0;
    for (; *all; all++) {
        if (g_str_equal(*all, bare) ||
            (dir && g_strcmp0(dir, folder) == 0 && g_str_equal(*all, name)))
            return *all;
    }
    return NULL;
}

static bool refuse_name(
    const char *tests, const char *const *all, const char *given, GError **error)
{
    g_autofree char *known = g_strjoinv(", ", (char **)all);
    g_autofree char *conf = g_build_filename(given, "test.conf", NULL);

    if (*given && g_file_test(conf, G_FILE_TEST_EXISTS))
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
            "there is no test '%s' in '%s': it is one of another folder, which is to be named with "
            "--tests",
            given, tests);
    else
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
            "there is no test '%s' in '%s': expected one of %s", given, tests, known);
    return false;
}

GPtrArray *sp_tests_load(const char *tests, const char *const *names, GError **error)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func((GDestroyNotify)sp_test_conf_free);
    g_auto(GStrv) all = list_names(tests, error);
    bool is_named = names && *names;

    if (!all)
        return NULL;
    if (!is_named)
        names = (const char *const *)all;
    for (; *names; names++) {
        const char *name = find_test(tests, (const char *const *)all, *names);

        if (!name && !refuse_name(tests, (const char *const *)all, *names, error))
            return NULL;
        /* one that is named twice would write to its folder twice at once */
        if (!has_test(list, name) && !add_test(list, tests, name, is_named, error))
            return NULL;
    }
    if (list->len > 0)
        return g_steal_pointer(&list);
    g_set_error(error, SP_ERROR, SP_ERROR_USAGE, "there is no test in '%s'", tests);
    return NULL;
}
