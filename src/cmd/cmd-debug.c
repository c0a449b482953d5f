/* SPDX-License-Identifier: MIT */
#include "cmd/cmd-debug.h"

#include "cmd/cmd-options.h"
#include "cmd/commands.h"
#include "runner/out-dir.h"
#include "suite/discover.h"
#include "suite/images.h"
#include "suite/test-conf.h"
#include "worker/worker.h"

#define DEFAULT_TEST "slots"

/* What the tests of the appliance are called in passing. */
static const struct {
    const char *name;
    const char *test;
} short_names[] = {
    {"slots", "rauc-slots"},
    {"update", "rauc-update"},
    {"rollback", "rauc-rollback"},
    {"confirm", "rauc-confirm"},
    {"power-loss", "rauc-power-loss"},
    {"watchdog", "rauc-watchdog"},
    {"net-iso", "network-isolation"},
    {"ssh-toggle", "ssh-wan-toggle"},
};

/* A test of that very name goes before. */
static const char *resolve(const char *tests, const char *name)
{
    g_autofree char *path = g_build_filename(tests, name, "test.conf", NULL);

    for (gsize i = 0; i < G_N_ELEMENTS(short_names); i++) {
        if (g_str_equal(short_names[i].name, name) && !g_file_test(path, G_FILE_TEST_EXISTS))
            return short_names[i].test;
    }
    return name;
}

bool sp_debug_keeps(const char *path, const char *out)
{
    g_autofree char *folder = g_build_filename(out ? out : "out", "debug", NULL);

    if (!sp_is_within(path, folder))
        return true;
    sp_usage_error(
        "'%s' lies in '%s', which is emptied first: move it, or give another --out", path, folder);
    return false;
}

int sp_debug(const SpDebug *wanted)
{
    const char *tests = wanted->tests ? wanted->tests : "tests/e2e";
    const char *names[2] = {resolve(tests, wanted->test ? wanted->test : DEFAULT_TEST), NULL};
    const char *out = wanted->out ? wanted->out : "out";
    g_autofree char *folder = g_build_filename(out, "debug", NULL);
    g_autofree char *absolute = g_canonicalize_filename(folder, NULL);
    g_autofree char *disk = wanted->disk ? g_strdup_printf("disk=%s", wanted->disk) : NULL;
    g_autofree char *images_folder = sp_images_folder(wanted->images);
    const char *options[4] = {"prompt"};
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) list = sp_tests_load(tests, names, NULL, &error);
    g_autoptr(GPtrArray) images = list ? sp_images_load(images_folder, &error) : NULL;
    const SpTestConf *test;
    guint count = 1;
    int lock_fd;

    if (!images)
        return sp_usage_error("%s", error->message);
    if (!*out)
        return sp_usage_error("--out is empty: name a directory");
    if (wanted->disk && !sp_debug_keeps(wanted->disk, out))
        return 2;
    /* the lock is this process's to its end */
    if (!sp_out_dir_prepare(absolute, &lock_fd, &error))
        return sp_usage_error("%s", error->message);
    if (wanted->is_kept)
        options[count++] = "keep";
    if (disk)
        options[count++] = disk;
    test = g_ptr_array_index(list, 0);
    return sp_worker_main(test->dir, images_folder, absolute, options);
}

int sp_cmd_debug(int argc, char **argv)
{
    g_autofree char *name = NULL;
    g_autofree char *tests = NULL;
    g_autofree char *images_option = NULL;
    g_autofree char *out = NULL;
    g_autofree char *disk = NULL;
    gboolean is_kept = FALSE;
    const GOptionEntry options[] = {
        {"test", 't', 0, G_OPTION_ARG_STRING, &name,
            "The test whose machines are there (" DEFAULT_TEST
            "); also slots, update, rollback, confirm, power-loss, watchdog, firewall, net-iso, "
            "ssh-toggle",
            "NAME"},
        {"keep", 'k', 0, G_OPTION_ARG_NONE, &is_kept,
            "Keep the machines' disks, and go on with those that were kept", NULL},
        {"disk", 0, 0, G_OPTION_ARG_FILENAME, &disk,
            "A raw disk for the first machine in place of its image's; it is not written to",
            "FILE"},
        {"tests", 0, 0, G_OPTION_ARG_FILENAME, &tests, "The folder of tests (tests/e2e)", "DIR"},
        {"images", 'i', 0, G_OPTION_ARG_FILENAME, &images_option,
            "The folder of images ($SLOTPROOF_IMAGES, else build/images)", "DIR"},
        {"out", 'o', 0, G_OPTION_ARG_FILENAME, &out, "Where logs and files go (out)", "DIR"},
        G_OPTION_ENTRY_NULL,
    };
    SpDebug wanted;

    if (!sp_parse_options(&argc, &argv, "slotproof debug", "",
            "A Python prompt with the machines of a test, which are not started.", options))
        return 2;
    if (argc > 1)
        return sp_usage_error("'debug' takes no argument '%s': a test is named by -t", argv[1]);
    if (disk && !g_file_test(disk, G_FILE_TEST_IS_REGULAR))
        return sp_usage_error("--disk: there is no file '%s'", disk);
    if (disk && is_kept)
        return sp_usage_error("--disk and --keep are not for the same machine");
    wanted = (SpDebug){.tests = tests,
        .test = name,
        .images = images_option,
        .out = out,
        .disk = disk,
        .is_kept = is_kept};
    return sp_debug(&wanted);
}
