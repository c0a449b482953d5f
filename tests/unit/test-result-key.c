/* SPDX-License-Identifier: MIT */

/* What decides a result: which changes yield a different key, and which do not. */

#include "store/result-key.h"
#include "suite/images.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#define MACHINE "[Machine gateway]\nImage=gateway\n"
#define IMAGE "[Image]\nArchitecture=x86_64\nDisk=disk\nKernel=../kernel\nInitrd=initrd\n"

typedef struct {
    char *dir;
    char *images;
    bool is_cold;
} Fixture;

static void put(Fixture *f, const char *name, const char *text)
{
    g_autofree char *path = g_build_filename(f->dir, name, NULL);
    g_autofree char *dir = g_path_get_dirname(path);

    g_assert_cmpint(g_mkdir_with_parents(dir, 0700), ==, 0);
    g_assert_true(g_file_set_contents(path, text, -1, NULL));
}

/* For each file: its contents, other contents, and whether the change decides the result of
 * "update". */
static const struct {
    const char *path, *text, *other;
    bool decides;
} files[] = {
    {"images/gateway/image.conf", IMAGE, IMAGE "Memory=256M\n", true},
    {"images/gateway/disk", "disk", "disc", true},
    {"images/gateway/initrd", "initrd", "initrb", true},
    {"images/gateway/bundles/2.raucb", "bundle", "bundlf", true},
    {"images/gateway/.hidden", "a", "b", false},
    {"images/kernel", "kernel", "kernem", true},
    {"images/other/image.conf", "[Image]\nArchitecture=x86_64\nDisk=disk\n",
        "[Image]\nArchitecture=x86_64\nDisk=disk\n\n", false},
    {"images/other/disk", "disk", "disc", false},
    {"share/seabios/bios.bin", "bios", "bias", true},
    {"tests/checkpoints/booted/test.conf", "[Checkpoint]\n" MACHINE, "[Checkpoint]\n\n" MACHINE,
        true},
    {"tests/checkpoints/booted/script.py", "gateway.start()\n", "gateway.start() \n", true},
    {"tests/updated/test.conf", "[Checkpoint]\nFrom=booted\n", "[Checkpoint]\nFrom=booted\n\n",
        true},
    {"tests/updated/script.py", "1\n", "2\n", true},
    {"tests/update/test.conf", "[Test]\nFrom=updated\n", "[Test]\nFrom=updated\nTags=nine\n", true},
    {"tests/update/script.py", "3\n", "4\n", true},
    {"tests/update/helper.py", "", "\n", true},
    {"tests/update/data/expected.json", "{}", "[]", true},
    {"tests/update/__pycache__/helper.pyc", "a", "b", false},
    {"tests/shared.py", "x = 1\n", "x = 2\n", true},
    {"tests/policy.json", "{}", "[]", true},
    {"tests/package/part/deep.py", "y = 1\n", "y = 2\n", true},
    {"tests/package/notes.txt", "a", "b", false},
    {"tests/package/fast.so", "a", "b", true},
    {"tests/größe/deep.py", "y = 1\n", "y = 2\n", true},
    {"tests/not-a-package/deep.py", "y = 1\n", "y = 2\n", true},
    {"tests/not-a-package/script.py", "y = 1\n", "y = 2\n", true},
    {"tests/another/test.conf", "[Test]\n" MACHINE, "[Test]\n\n" MACHINE, false},
    {"tests/another/script.py", "5\n", "6\n", false},
    {"tests/another/notes.txt", "a", "b", false},
    {"tests/another/helper.py", "7\n", "8\n", true},
    {"tests/another/part/script.py", "7\n", "8\n", true},
};

static void set_up(Fixture *f, gconstpointer data)
{
    g_autofree char *qemu = NULL;

    f->dir = g_dir_make_tmp("slotproof-test-XXXXXX", NULL);
    g_assert_nonnull(f->dir);
    f->images = g_build_filename(f->dir, "images", NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(files); i++)
        put(f, files[i].path, files[i].text);
    put(f, "bin/qemu", "#!/bin/sh\n");
    qemu = g_build_filename(f->dir, "bin", "qemu", NULL);
    g_assert_cmpint(g_chmod(qemu, 0755), ==, 0);
    g_setenv("SLOTPROOF_QEMU", qemu, TRUE);
}

static void tear_down(Fixture *f, gconstpointer data)
{
    const char *const argv[] = {"rm", "-rf", f->dir, NULL};

    g_assert_true(g_spawn_sync(
        NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL, NULL));
    g_free(f->images);
    g_free(f->dir);
}

static char *key_of(Fixture *f, const char *name)
{
    g_autofree char *dir = g_build_filename(f->dir, "tests", name, NULL);
    g_autofree char *cache = g_build_filename(f->dir, "cache", NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(SpTestConf) conf = sp_test_conf_load(dir, &error);
    g_autoptr(GPtrArray) images = conf ? sp_images_load(f->images, &error) : NULL;
    g_autoptr(SpResultKeys) keys = NULL;
    char *key;

    g_assert_no_error(error);
    keys = sp_result_keys_new(images, f->is_cold, cache);
    key = sp_result_keys_get(keys, conf, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(strlen(key), ==, 64);
    return key;
}

static void expect(Fixture *f, const char *before, const char *what, bool differs)
{
    g_autofree char *now = key_of(f, "update");

    if (g_str_equal(before, now) == differs)
        g_error("%s: %s key", what, differs ? "the same" : "another");
}

static void test_files(Fixture *f, gconstpointer data)
{
    g_autofree char *before = key_of(f, "update");

    for (gsize i = 0; i < G_N_ELEMENTS(files); i++) {
        put(f, files[i].path, files[i].other);
        expect(f, before, files[i].path, files[i].decides);
        put(f, files[i].path, files[i].text);
        expect(f, before, files[i].path, false);
    }
}

/* Whether a file exists counts as its contents do. */
static void test_new_files(Fixture *f, gconstpointer data)
{
    static const char *const names[] = {"tests/update/new", "tests/new.py", "tests/package/new.py",
        "tests/checkpoints/booted/new.py", "images/gateway/new"};

    for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *before = key_of(f, "update");
        put(f, names[i], "");
        expect(f, before, names[i], true);
    }
}

static void test_environment(Fixture *f, gconstpointer data)
{
    static const struct {
        const char *name;
        bool decides;
    } variables[] = {
        {"PATH", true},
        {"PYTHONPATH", true},
        {"TZ", true},
        {"LC_ALL", true},
        {"SLOTPROOF_POWERCUT", true},
        {"SLOTPROOF_CACHE_MIB", false},
        {"SLOTPROOF_IMAGES", false},
        {"HOME", false},
        {"SSH_CONNECTION", false},
    };
    g_autofree char *before = key_of(f, "update");

    for (gsize i = 0; i < G_N_ELEMENTS(variables); i++) {
        g_autofree char *former = g_strdup(g_getenv(variables[i].name));
        g_setenv(variables[i].name, "/nowhere", TRUE);
        expect(f, before, variables[i].name, variables[i].decides);
        if (former)
            g_setenv(variables[i].name, former, TRUE);
        else
            g_unsetenv(variables[i].name);
        expect(f, before, variables[i].name, false);
    }
}

static void test_options(Fixture *f, gconstpointer data)
{
    g_autofree char *before = key_of(f, "update");
    g_autofree char *other = key_of(f, "another");

    g_assert_cmpstr(before, !=, other);
    f->is_cold = true;
    expect(f, before, "cold", true);
    f->is_cold = false;
    g_setenv("SLOTPROOF_ACCEL", "tcg", TRUE);
    expect(f, before, "accelerator", true);
    g_setenv("SLOTPROOF_ACCEL", "kvm", TRUE);
    put(f, "bin/qemu", "#!/bin/sh \n");
    g_assert_cmpint(g_chmod(g_getenv("SLOTPROOF_QEMU"), 0755), ==, 0);
    expect(f, before, "qemu", true);
}

/* The C library of this program is replaced by a copy. */
static char *find_libc(void)
{
    g_autofree char *maps = NULL;
    g_auto(GStrv) words = NULL;

    g_assert_true(g_file_get_contents("/proc/self/maps", &maps, NULL, NULL));
    words = g_strsplit_set(maps, " \n", -1);
    for (char **word = words; *word; word++) {
        if (g_str_has_suffix(*word, "/libc.so.6"))
            return g_strdup(*word);
    }
    g_assert_not_reached();
}

static void copy(const char *from, const char *to, gssize more)
{
    g_autofree char *text = NULL;
    gsize length;

    g_assert_true(g_file_get_contents(from, &text, &length, NULL));
    g_assert_true(g_file_set_contents(to, text, (gssize)length + more, NULL));
    g_assert_cmpint(g_chmod(to, 0755), ==, 0);
}

static void test_libraries(Fixture *f, gconstpointer data)
{
    g_autofree char *libc = find_libc();
    g_autofree char *dir = g_build_filename(f->dir, "lib", NULL);
    g_autofree char *own = g_build_filename(dir, "libc.so.6", NULL);
    g_autofree char *before = NULL;

    g_assert_cmpint(g_mkdir(dir, 0700), ==, 0);
    copy(libc, own, 0);
    copy("/bin/true", g_getenv("SLOTPROOF_QEMU"), 0);
    g_setenv("LD_LIBRARY_PATH", dir, TRUE);
    before = key_of(f, "update");
    /* the NUL at its end */
    copy(libc, own, 1);
    expect(f, before, "a library of QEMU", true);
    g_unsetenv("LD_LIBRARY_PATH");
}

static void test_programs(Fixture *f, gconstpointer data)
{
    static const char *const names[] = {"qemu-img", "tesseract"};
    g_autofree char *former = g_strdup(g_getenv("PATH"));
    g_autofree char *dir = g_build_filename(f->dir, "bin", NULL);
    g_autofree char *path = g_strdup_printf("%s:%s", dir, former);

    g_setenv("PATH", path, TRUE);
    for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *program = g_build_filename(dir, names[i], NULL);
        g_autofree char *before = NULL;

        copy("/bin/true", program, 0);
        before = key_of(f, "update");
        copy("/bin/true", program, 1);
        expect(f, before, names[i], true);
    }
    g_setenv("PATH", former, TRUE);
}

/* A script that may create machines from any image depends on all images. */
static void test_any_image(Fixture *f, gconstpointer data)
{
    static const char *const scripts[] = {"tests/update/script.py", "tests/update/helper.py",
        "tests/updated/script.py", "tests/shared.py", "tests/package/part/deep.py"};

    for (gsize i = 0; i < G_N_ELEMENTS(scripts); i++) {
        g_autofree char *before = NULL;
        put(f, scripts[i], "create_machine('m', image='other')\n");
        before = key_of(f, "update");
        put(f, "images/other/disk", "disc");
        expect(f, before, scripts[i], true);
        put(f, "images/other/disk", "disk");
        expect(f, before, scripts[i], false);
        put(f, scripts[i], "");
    }
}

/* Links may form circles, and may dangle. */
static void test_links(Fixture *f, gconstpointer data)
{
    g_autofree char *circle = g_build_filename(f->dir, "tests/update/circle", NULL);
    g_autofree char *nothing = g_build_filename(f->dir, "tests/update/nothing", NULL);
    g_autofree char *link = g_build_filename(f->dir, "tests/update/link", NULL);
    g_autofree char *before = NULL;

    g_assert_cmpint(symlink(".", circle), ==, 0);
    g_assert_cmpint(symlink("/nowhere/at/all", nothing), ==, 0);
    g_assert_cmpint(symlink("../package/notes.txt", link), ==, 0);
    before = key_of(f, "update");
    put(f, "tests/package/notes.txt", "b");
    expect(f, before, "what a link leads to", true);
}

static void test_unreadable(Fixture *f, gconstpointer data)
{
    g_autofree char *dir = g_build_filename(f->dir, "tests/update", NULL);
    g_autoptr(GPtrArray) images = sp_images_load(f->images, NULL);
    g_autoptr(SpTestConf) conf = sp_test_conf_load(dir, NULL);
    g_autoptr(SpResultKeys) keys = sp_result_keys_new(images, false, NULL);
    g_autofree char *disk = g_build_filename(f->images, "gateway/disk", NULL);
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(g_unlink(disk), ==, 0);
    g_assert_null(sp_result_keys_get(keys, conf, &error));
    g_assert_nonnull(strstr(error->message, disk));
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*test)(Fixture *f, gconstpointer data);
    } tests[] = {
        {"/result-key/files", test_files},
        {"/result-key/new-files", test_new_files},
        {"/result-key/environment", test_environment},
        {"/result-key/options", test_options},
        {"/result-key/libraries", test_libraries},
        {"/result-key/programs", test_programs},
        {"/result-key/any-image", test_any_image},
        {"/result-key/links", test_links},
        {"/result-key/unreadable", test_unreadable},
    };

    g_test_init(&argc, &argv, NULL);
    g_setenv("SLOTPROOF_ACCEL", "kvm", TRUE);
    for (gsize i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].path, Fixture, NULL, set_up, tests[i].test, tear_down);
    return g_test_run();
}
