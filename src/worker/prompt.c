/* SPDX-License-Identifier: MIT */
#include "worker/prompt.h"

#include "base/error.h"
#include "store/out-dir.h"
#include "suite/discover.h"
#include "suite/images.h"
#include "suite/test-conf.h"
#include "worker/worker.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULT_TAG "debug"

/* Both are followed through symlinks; false if either does not exist. */
static bool is_within(const char *path, const char *dir)
{
    char *file = realpath(path, NULL), *parent = realpath(dir, NULL);
    gsize length = parent ? strlen(parent) : 0;
    bool is_it = file && parent && strncmp(file, parent, length) == 0 &&
                 (file[length] == '/' || g_str_equal(parent, "/"));

    free(file);
    free(parent);
    return is_it;
}

static char *build_log_dir(const char *out)
{
    return g_build_filename(out ? out : SP_OUT_DEFAULT, "debug", NULL);
}

bool sp_prompt_spares(const char *path, const char *out, GError **error)
{
    g_autofree char *dir = build_log_dir(out);

    if (!is_within(path, dir))
        return true;
    g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
        "'%s' is in '%s', which is emptied first: move it, or give another --out", path, dir);
    return false;
}

/* The tests to choose from if none is named: the first is the one. */
static GPtrArray *load_default(const char *dir, GError **error)
{
    const char *const tags[] = {DEFAULT_TAG, NULL};
    GPtrArray *list = sp_tests_load_valid(dir, tags, error);

    if (list && list->len == 0) {
        g_ptr_array_unref(list);
        list = sp_tests_load_valid(dir, NULL, error);
    }
    if (list && list->len == 0) {
        g_ptr_array_unref(list);
        list = sp_tests_load(dir, NULL, NULL, error); /* which says what is wrong */
    }
    return list;
}

/* The test that @prompt wants is the array's first. */
static GPtrArray *load_test(const SpPrompt *prompt, GError **error)
{
    const char *dir = sp_tests_dir(prompt->tests);
    g_autofree char *name = prompt->test ? sp_test_name_complete(dir, prompt->test) : NULL;
    const char *const names[] = {name, NULL};

    return name ? sp_tests_load(dir, names, NULL, error) : load_default(dir, error);
}

int sp_prompt_run(const SpPrompt *prompt, GError **error)
{
    g_autofree char *dir = build_log_dir(prompt->out);
    g_autofree char *out = g_canonicalize_filename(dir, NULL);
    g_autofree char *images_dir = sp_images_dir(prompt->images);
    g_autoptr(GPtrArray) list = load_test(prompt, error);
    g_autoptr(GPtrArray) images = list ? sp_images_load(images_dir, error) : NULL;
    SpWorkerOptions options = {
        .images = images_dir,
        .out = out,
        .disk = prompt->disk,
        .reuses_disks = prompt->reuses_disks,
        .is_prompt = TRUE,
    };
    int lock_fd;

    if (!images)
        return -1;
    if (prompt->disk && !sp_prompt_spares(prompt->disk, prompt->out, error))
        return -1;
    /* the lock is held until this process ends */
    if (!sp_out_dir_prepare(out, &lock_fd, error))
        return -1;
    options.test_dir = ((const SpTestConf *)g_ptr_array_index(list, 0))->dir;
    return sp_worker_main(&options);
}
