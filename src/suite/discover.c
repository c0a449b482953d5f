/* SPDX-License-Identifier: MIT */
#include "suite/discover.h"

#include "base/error.h"
#include "base/near.h"
#include "suite/test-conf.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

const char *sp_tests_dir(const char *option)
{
    return option ? option : SP_TESTS_DEFAULT;
}

static int compare_test_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names of the directories in @tests that have a test.conf, sorted and ended by NULL. */
static char **list_names(const char *tests, GError **error)
{
    g_autoptr(GError) local = NULL;
    g_autoptr(GDir) dir = g_dir_open(tests, 0, &local);
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    const char *name;

    if (!dir) {
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
            "no tests: %s (run slotproof where %s is, or name the directory with --tests)",
            local->message, tests);
        return NULL;
    }
    while ((name = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename(tests, name, "test.conf", NULL);
        if (g_file_test(path, G_FILE_TEST_EXISTS))
            g_ptr_array_add(names, g_strdup(name));
    }
    g_ptr_array_sort(names, compare_test_names);
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

static bool refuse_checkpoint(const char *name, GError **error)
{
    g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
        "'%s' is a checkpoint, which tests start from, not a test", name);
    return false;
}

/* Whatever is named must be a test; among all, checkpoints are skipped. */
static bool add_test(
    GPtrArray *list, const char *tests, const char *name, bool is_named, GError **error)
{
    g_autofree char *dir = g_build_filename(tests, name, NULL);
    g_autoptr(SpTestConf) conf = sp_test_conf_load(dir, error);

    if (!conf)
        return false;
    if (conf->is_checkpoint && is_named)
        return refuse_checkpoint(name, error);
    if (!conf->is_checkpoint)
        g_ptr_array_add(list, g_steal_pointer(&conf));
    return true;
}

/* The test that @given names: by its name, or by the path of its directory, as a shell completes
 * it. NULL if there is none. */
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

bool sp_test_name_is_pattern(const char *name)
{
    return strpbrk(name, "*?[") != NULL;
}

/* The names among @all that are not of checkpoints, ended by NULL: only these can be run. */
static GPtrArray *list_tests_of(const char *tests, const char *const *all)
{
    GPtrArray *names = g_ptr_array_new();

    for (; *all; all++) {
        g_autofree char *dir = g_build_filename(tests, *all, NULL);
        g_autoptr(SpTestConf) conf = sp_test_conf_load(dir, NULL);
        /* an invalid one may be a test */
        if (!conf || !conf->is_checkpoint)
            g_ptr_array_add(names, (char *)*all);
    }
    g_ptr_array_add(names, NULL);
    return names;
}

/* Whether @name has, in this order, a word that begins with each word of @given. */
static bool is_shortened(const char *given, const char *name)
{
    g_auto(GStrv) wanted = g_strsplit(given, "-", -1);
    g_auto(GStrv) words = g_strsplit(name, "-", -1);
    char **next = wanted;

    for (char **word = words; *word && *next; word++) {
        if (**next && g_str_has_prefix(*word, *next))
            next++;
    }
    return *wanted && !*next;
}

char *sp_test_name_complete(const char *tests, const char *given)
{
    g_auto(GStrv) all = list_names(tests, NULL);
    g_autoptr(GPtrArray) names = all ? list_tests_of(tests, (const char *const *)all) : NULL;
    const char *found = NULL;

    if (!names || g_strv_contains((const char *const *)names->pdata, given))
        return g_strdup(given);
    for (guint i = 0; i + 1 < names->len; i++) {
        const char *name = names->pdata[i];
        if (is_shortened(given, name) && (!found || strlen(name) < strlen(found)))
            found = name;
    }
    return g_strdup(found ? found : given);
}

/* The end of an error message: what @given may have been meant to be. */
static char *suggest(const char *given, const char *const *known)
{
    g_autofree char *near = sp_near_words(given, known);
    g_autofree char *all = NULL;

    if (near)
        return g_strdup_printf("did you mean %s?", near);
    all = g_strjoinv(", ", (char **)known);
    return g_strdup_printf("expected one of %s", all);
}

static bool refuse_name(
    const char *tests, const char *const *all, const char *given, GError **error)
{
    g_autofree char *own = g_build_filename(tests, SP_CHECKPOINTS_DIR, given, "test.conf", NULL);
    g_autoptr(GPtrArray) names = list_tests_of(tests, all);
    g_autofree char *meant = suggest(given, (const char *const *)names->pdata);
    g_autofree char *conf = g_build_filename(given, "test.conf", NULL);

    if (*given && g_file_test(own, G_FILE_TEST_EXISTS))
        return refuse_checkpoint(given, error);
    if (*given && g_file_test(conf, G_FILE_TEST_EXISTS))
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
            "there is no test '%s' in '%s': it is in another directory, to be named with --tests",
            given, tests);
    else
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE, "there is no test '%s' in '%s': %s", given,
            tests, meant);
    return false;
}

static bool refuse_pattern(
    const char *tests, const char *const *all, const char *given, GError **error)
{
    g_autoptr(GPtrArray) names = list_tests_of(tests, all);
    g_autoptr(GString) letters = g_string_new(NULL);
    g_autofree char *meant = NULL;

    for (const char *at = given; *at; at++) {
        if (!strchr("*?[]", *at))
            g_string_append_c(letters, *at);
    }
    meant = suggest(letters->str, (const char *const *)names->pdata);
    g_set_error(
        error, SP_ERROR, SP_ERROR_USAGE, "no test in '%s' matches '%s': %s", tests, given, meant);
    return false;
}

/* All that match; checkpoints are skipped. */
static bool add_matching(
    GPtrArray *list, const char *tests, const char *const *all, const char *pattern, GError **error)
{
    const char *skipped = NULL;
    bool is_matched = false;

    for (const char *const *name = all; *name; name++) {
        if (fnmatch(pattern, *name, 0) != 0)
            continue;
        if (!has_test(list, *name) && !add_test(list, tests, *name, false, error))
            return false;
        if (has_test(list, *name))
            is_matched = true;
        else
            skipped = *name;
    }
    if (!is_matched && skipped) {
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
            "'%s' matches only checkpoints such as '%s', which tests start from, and no test",
            pattern, skipped);
        return false;
    }
    return is_matched || refuse_pattern(tests, all, pattern, error);
}

/* What @given stands for: a test, or all tests that match. */
static bool add_given(
    GPtrArray *list, const char *tests, const char *const *all, const char *given, GError **error)
{
    const char *name = find_test(tests, all, given);

    if (!name && sp_test_name_is_pattern(given))
        return add_matching(list, tests, all, given, error);
    if (!name)
        return refuse_name(tests, all, given, error);
    /* a test that ran twice at once would write to one directory */
    return has_test(list, name) || add_test(list, tests, name, true, error);
}

static bool add_all(GPtrArray *list, const char *tests, const char *const *all, GError **error)
{
    for (; *all; all++) {
        if (!add_test(list, tests, *all, false, error))
            return false;
    }
    return true;
}

/* The tags of the tests @list, by name, ended by NULL. */
static GPtrArray *list_tags(const GPtrArray *list)
{
    GPtrArray *tags = g_ptr_array_new();

    for (guint i = 0; i < list->len; i++) {
        const SpTestConf *conf = g_ptr_array_index(list, i);
        for (char **tag = conf->tags; *tag; tag++) {
            if (!g_ptr_array_find_with_equal_func(tags, *tag, g_str_equal, NULL))
                g_ptr_array_add(tags, *tag);
        }
    }
    g_ptr_array_sort(tags, compare_test_names);
    g_ptr_array_add(tags, NULL);
    return tags;
}

/* Each must be one that a test has. */
static bool check_tags(
    const char *tests, const char *const *tags, const GPtrArray *known, GError **error)
{
    const char *const *words = (const char *const *)known->pdata;

    for (; *tags; tags++) {
        g_autofree char *meant = NULL;

        if (g_strv_contains(words, *tags))
            continue;
        meant = *words ? suggest(*tags, words)
                       : g_strdup("none of them has a tag (Tags= in test.conf)");
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE, "no test in '%s' has the tag '%s': %s", tests,
            *tags, meant);
        return false;
    }
    return true;
}

/* Remove tests from @list that have none of @tags. */
static bool choose_tagged(
    GPtrArray *list, const char *tests, const char *const *tags, GError **error)
{
    g_autofree char *wanted = g_strjoinv(", ", (char **)tags);

    for (guint i = list->len; i > 0; i--) {
        if (!sp_test_conf_has_tag(list->pdata[i - 1], tags))
            g_ptr_array_remove_index(list, i - 1);
    }
    if (list->len > 0)
        return true;
    g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
        "none of the named tests has the tag %s: 'slotproof list' shows the tags of each", wanted);
    return false;
}

/* Checked before tests are removed: a misspelt tag is an error even beside one that is not. */
static bool are_known(
    const char *tests, const char *const *all, const char *const *tags, GError **error)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func((GDestroyNotify)sp_test_conf_free);
    g_autoptr(GPtrArray) known = NULL;

    if (!add_all(list, tests, all, error))
        return false;
    known = list_tags(list);
    return check_tags(tests, tags, known, error);
}

GPtrArray *sp_tests_load(
    const char *tests, const char *const *names, const char *const *tags, GError **error)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func((GDestroyNotify)sp_test_conf_free);
    g_auto(GStrv) owned = list_names(tests, error);
    const char *const *all = (const char *const *)owned;

    if (!all)
        return NULL;
    if (!(names && *names) && !add_all(list, tests, all, error))
        return NULL;
    for (; names && *names; names++) {
        if (!add_given(list, tests, all, *names, error))
            return NULL;
    }
    if (list->len == 0) {
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE, "there is no test in '%s'", tests);
        return NULL;
    }
    if (tags && *tags &&
        !(are_known(tests, all, tags, error) && choose_tagged(list, tests, tags, error)))
        return NULL;
    return g_steal_pointer(&list);
}

/* Whether the test.conf of a test that can't be loaded has one of @tags. */
static bool is_meant_to_have_tag(const char *tests, const char *name, const char *const *tags)
{
    g_autofree char *path = g_build_filename(tests, name, "test.conf", NULL);
    g_autoptr(GKeyFile) file = g_key_file_new();
    g_autofree char *text = g_key_file_load_from_file(file, path, G_KEY_FILE_NONE, NULL)
                                ? g_key_file_get_string(file, "Test", "Tags", NULL)
                                : NULL;
    g_auto(GStrv) words = g_strsplit_set(text ? text : "", " \t", -1);

    for (; *tags; tags++) {
        if (g_strv_contains((const char *const *)words, *tags))
            return true;
    }
    return false;
}

GPtrArray *sp_tests_load_valid(const char *tests, const char *const *tags, GError **error)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func((GDestroyNotify)sp_test_conf_free);
    g_auto(GStrv) all = list_names(tests, error);

    for (char **name = all; name && *name; name++) {
        g_autofree char *dir = g_build_filename(tests, *name, NULL);
        g_autoptr(GError) local = NULL;
        g_autoptr(SpTestConf) conf = sp_test_conf_load(dir, &local);

        if (!conf && tags && is_meant_to_have_tag(tests, *name, tags)) {
            g_propagate_error(error, g_steal_pointer(&local));
            return NULL;
        }
        if (conf && !conf->is_checkpoint && (!tags || sp_test_conf_has_tag(conf, tags)))
            g_ptr_array_add(list, g_steal_pointer(&conf));
    }
    return all ? g_steal_pointer(&list) : NULL;
}
