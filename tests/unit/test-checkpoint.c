/* SPDX-License-Identifier: MIT */

/* Which checkpoints are the same, and how they are kept. */

#include "base/error.h"
#include "runner/durations.h"
#include "store/checkpoint-key.h"
#include "store/checkpoint-store.h"
#include "worker/checkpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <sched.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOT_LET 77
#define KEY_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define KEY_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static const char *vanishing; /* the end of the path of a file that vanishes before it is opened */

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);

int __wrap_open64(const char *path, int flags, ...)
{
    va_list arguments;
    mode_t mode;

    va_start(arguments, flags);
    mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    if (vanishing && g_str_has_suffix(path, vanishing))
        g_assert_cmpint(g_unlink(path), ==, 0);
    return __real_open64(path, flags, mode);
}

typedef struct {
    char *dir;
    char *cache;
    SpImage image;
    SpAccel accel;
    SpMachineConfig config;
    GPtrArray *configs;
} Fixture;

static char *write_file(Fixture *f, const char *name, const char *text)
{
    char *path = g_build_filename(f->dir, name, NULL);
    g_autofree char *dir = g_path_get_dirname(path);

    g_assert_cmpint(g_mkdir_with_parents(dir, 0700), ==, 0);
    g_assert_true(g_file_set_contents(path, text, -1, NULL));
    return path;
}

static void put(Fixture *f, const char *name, const char *text)
{
    g_free(write_file(f, name, text));
}

#define MACHINE "[Machine gateway]\nNetworks=1 2\n"

static void set_up(Fixture *f, gconstpointer data)
{
    f->dir = g_dir_make_tmp("slotproof-test-XXXXXX", NULL);
    g_assert_nonnull(f->dir);
    f->cache = g_build_filename(f->dir, "cache", NULL);
    f->image.architecture = (char *)"x86_64";
    f->image.disk_format = (char *)"raw";
    f->image.disk = write_file(f, "image/disk", "disk");
    f->image.kernel = write_file(f, "image/kernel", "kernel");
    f->image.initrd = write_file(f, "image/initrd", "initrd");
    f->image.command_line = (char *)"console=ttyS0";
    f->accel = (SpAccel){.name = "tcg", .argument = "tcg", .time_factor = 1};
    f->config = (SpMachineConfig){.name = "gateway",
        .image = &f->image,
        .accel = &f->accel,
        .cpus = 1,
        .memory_mib = 256,
        .nics = 2,
        .seed = 5};
    f->configs = g_ptr_array_new();
    g_ptr_array_add(f->configs, &f->config);
    put(f, "bin/qemu", "#!/bin/sh\n");
    put(f, "share/seabios/bios.bin", "bios");
    put(f, "tests/booted/test.conf", "[Checkpoint]\n" MACHINE);
    put(f, "tests/booted/script.py", "gateway.start()\n");
    put(f, "tests/updated/test.conf", "[Checkpoint]\nFrom=booted\n");
    put(f, "tests/updated/script.py", "gateway.succeed('update')\n");
    put(f, "tests/shared.py", "x = 1\n");
}

static void tear_down(Fixture *f, gconstpointer data)
{
    const char *const argv[] = {"rm", "-rf", f->dir, NULL};

    g_assert_true(g_spawn_sync(
        NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL, NULL));
    g_ptr_array_unref(f->configs);
    g_free(f->image.disk);
    g_free(f->image.kernel);
    g_free(f->image.initrd);
    g_free(f->cache);
    g_free(f->dir);
}

static char *key_of(Fixture *f, const char *name)
{
    g_autofree char *qemu = g_build_filename(f->dir, "bin", "qemu", NULL);
    g_autofree char *dir = g_build_filename(f->dir, "tests", name, NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(SpTestConf) conf = sp_test_conf_load(dir, &error);
    char *key;

    g_assert_no_error(error);
    g_assert_cmpint(g_chmod(qemu, 0755), ==, 0);
    g_setenv("SLOTPROOF_QEMU", qemu, TRUE);
    key = sp_checkpoint_key(conf, f->configs, f->cache, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(strlen(key), ==, 64);
    return key;
}

/* A changed byte anywhere changes the key, and changing it back restores the key. */
static void test_key(Fixture *f, gconstpointer data)
{
    static const struct {
        const char *path, *other, *text;
    } files[] = {
        {"image/disk", "disk", "disc"},
        {"image/kernel", "kernel", "kernem"},
        {"image/initrd", "initrd", "initrb"},
        {"bin/qemu", "#!/bin/sh\n", "#!/bin/sh \n"},
        {"share/seabios/bios.bin", "bios", "bias"},
        {"tests/booted/test.conf", "[Checkpoint]\n" MACHINE, "[Checkpoint]\n\n" MACHINE},
        {"tests/booted/script.py", "gateway.start()\n", "gateway.start() \n"},
        {"tests/updated/test.conf", "[Checkpoint]\nFrom=booted\n", "[Checkpoint]\nFrom=booted\n\n"},
        {"tests/updated/script.py", "gateway.succeed('update')\n", "gateway.succeed('updatf')\n"},
        {"tests/shared.py", "x = 1\n", "x = 2\n"},
    };
    g_autofree char *before = key_of(f, "updated");

    for (gsize i = 0; i < G_N_ELEMENTS(files); i++) {
        g_autofree char *changed = NULL;
        g_autofree char *again = NULL;
        put(f, files[i].path, files[i].text);
        changed = key_of(f, "updated");
        g_assert_cmpstr(changed, !=, before);
        put(f, files[i].path, files[i].other);
        again = key_of(f, "updated");
        g_assert_cmpstr(again, ==, before);
    }
}

/* The backing files of a qcow2 disk count too, for checkpoints and for boot snapshots. */
static void test_key_backing(Fixture *f, gconstpointer data)
{
    /* version 2, and the name "base" behind the header */
    char layer[76] = {'Q', 'F', 'I', (char)0xfb, 0, 0, 0, 2, [15] = 72, [19] = 4};
    g_autofree char *before = NULL, *boot_snapshot = NULL, *after = NULL,
                    *other_boot_snapshot = NULL;

    memcpy(layer + 72, "base", 4);
    g_assert_true(g_file_set_contents(f->image.disk, layer, sizeof layer, NULL));
    f->image.disk_format = (char *)"qcow2";
    put(f, "image/base", "what it lies on");
    before = key_of(f, "booted");
    boot_snapshot = sp_boot_snapshot_key(&f->config, f->cache, NULL);
    put(f, "image/base", "what it lies in");
    after = key_of(f, "booted");
    other_boot_snapshot = sp_boot_snapshot_key(&f->config, f->cache, NULL);
    g_assert_cmpstr(before, !=, after);
    g_assert_cmpstr(boot_snapshot, !=, other_boot_snapshot);
}

static void test_key_machine(Fixture *f, gconstpointer data)
{
    g_autofree char *before = key_of(f, "booted");
    g_autofree char *other = key_of(f, "updated");
    g_autofree char *command_line = NULL;
    g_autofree char *memory = NULL;
    g_autofree char *twice = NULL;
    g_autofree char *new_module = NULL;

    g_assert_cmpstr(other, !=, before);
    f->image.command_line = (char *)"console=ttyS1";
    command_line = key_of(f, "booted");
    g_assert_cmpstr(command_line, !=, before);
    f->image.command_line = (char *)"console=ttyS0";
    f->config.memory_mib = 257;
    memory = key_of(f, "booted");
    g_assert_cmpstr(memory, !=, before);
    f->config.memory_mib = 256;
    g_ptr_array_add(f->configs, &f->config);
    twice = key_of(f, "booted");
    g_assert_cmpstr(twice, !=, before);
    g_ptr_array_set_size(f->configs, 1);
    put(f, "tests/booted/new.py", "");
    new_module = key_of(f, "booted");
    g_assert_cmpstr(new_module, !=, before);
}

static char *boot_snapshot_key_of(Fixture *f)
{
    g_autoptr(GError) error = NULL;
    char *key;

    g_free(key_of(f, "booted")); /* makes the given QEMU be found */
    key = sp_boot_snapshot_key(&f->config, f->cache, &error);
    g_assert_no_error(error);
    return key;
}

/* For a boot snapshot, everything counts but the contents of the disk. */
static void test_key_boot_snapshot(Fixture *f, gconstpointer data)
{
    static const struct {
        const char *path, *other, *text;
        bool is_same;
    } files[] = {
        {"image/disk", "disk", "disc", true},
        {"image/disk", "disk", "a longer disk", false},
        {"image/kernel", "kernel", "kernem", false},
        {"image/initrd", "initrd", "initrb", false},
        {"bin/qemu", "#!/bin/sh\n", "#!/bin/sh \n", false},
        {"share/seabios/bios.bin", "bios", "bias", false},
        {"tests/booted/script.py", "gateway.start()\n", "gateway.start() \n", true},
    };
    g_autofree char *before = boot_snapshot_key_of(f);
    g_autofree char *checkpoint = key_of(f, "booted");
    g_autofree char *qcow2 = NULL, *qcow2_changed = NULL, *memory = NULL;

    g_assert_cmpstr(before, !=, checkpoint);
    for (gsize i = 0; i < G_N_ELEMENTS(files); i++) {
        g_autofree char *changed = NULL;
        put(f, files[i].path, files[i].text);
        changed = boot_snapshot_key_of(f);
        g_assert_cmpint(g_str_equal(changed, before), ==, files[i].is_same);
        put(f, files[i].path, files[i].other);
    }
    f->config.memory_mib = 257;
    memory = boot_snapshot_key_of(f);
    g_assert_cmpstr(memory, !=, before);
    /* the size that the guest sees is not the file's */
    f->image.disk_format = (char *)"qcow2";
    qcow2 = boot_snapshot_key_of(f);
    put(f, "image/disk", "disc");
    qcow2_changed = boot_snapshot_key_of(f);
    g_assert_cmpstr(qcow2_changed, !=, qcow2);
}

/* A cached digest is used for the very same file only. */
static void test_digests(Fixture *f, gconstpointer data)
{
    const struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    g_autofree char *before = key_of(f, "booted");
    g_autofree char *after = NULL;

    g_assert_cmpint(utimensat(AT_FDCWD, f->image.disk, old, 0), ==, 0);
    g_free(before);
    before = key_of(f, "booted");
    put(f, "image/disk", "dis!");
    g_assert_cmpint(utimensat(AT_FDCWD, f->image.disk, old, 0), ==, 0);
    after = key_of(f, "booted");
    g_assert_cmpstr(after, !=, before);
}

static void test_missing(Fixture *f, gconstpointer data)
{
    g_autofree char *dir = g_build_filename(f->dir, "tests", "booted", NULL);
    g_autoptr(SpTestConf) conf = sp_test_conf_load(dir, NULL);
    g_autoptr(GError) error = NULL;

    g_free(key_of(f, "booted"));
    g_assert_cmpint(g_unlink(f->image.kernel), ==, 0);
    g_assert_null(sp_checkpoint_key(conf, f->configs, f->cache, &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_HOST);
    g_assert_nonnull(strstr(error->message, f->image.kernel));
}

/* A file that vanishes before it is read, such as an editor's. */
static void test_vanishing(Fixture *f, gconstpointer data)
{
    g_autofree char *before = key_of(f, "booted");
    g_autofree char *after = NULL;

    put(f, "tests/booted/4913", "");
    vanishing = "/4913";
    after = key_of(f, "booted");
    vanishing = NULL;
    g_assert_cmpstr(before, ==, after);
}

/* By an unprivileged process, even if the test is run by root. */
static void check_denied(Fixture *f, const char *path)
{
    g_autofree char *file = g_build_filename(f->dir, path, NULL);
    g_autofree char *dir = g_build_filename(f->dir, "tests", "booted", NULL);
    g_autoptr(SpTestConf) conf = sp_test_conf_load(dir, NULL);
    pid_t child;
    int status;

    g_free(key_of(f, "booted"));
    g_assert_cmpint(g_chmod(file, 0), ==, 0);
    child = fork();
    if (child == 0) {
        g_autoptr(GError) error = NULL;
        if (unshare(CLONE_NEWUSER) < 0)
            _exit(NOT_LET);
        g_assert_null(sp_checkpoint_key(conf, f->configs, f->cache, &error));
        g_assert_error(error, SP_ERROR, SP_ERROR_DENIED);
        _exit(0);
    }
    g_assert_cmpint(waitpid(child, &status, 0), ==, child);
    g_assert_cmpint(g_chmod(file, 0700), ==, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_LET)
        g_test_skip("no namespace can be made here");
    else
        g_assert_cmpint(status, ==, 0);
}

static void test_denied(Fixture *f, gconstpointer data)
{
    put(f, "tests/secret", "secret");
    put(f, "tests/booted/secrets/one", "secret");
    check_denied(f, "tests/secret");
    check_denied(f, "tests/booted/secrets");
}

typedef struct {
    guint calls;
    bool fails;
} Maker;

static bool make(const char *dir, void *data, GError **error)
{
    Maker *maker = data;
    g_autofree char *path = g_build_filename(dir, "gateway.ram", NULL);

    maker->calls++;
    g_assert_true(g_file_set_contents(path, "memory", -1, NULL));
    if (maker->fails)
        g_set_error(error, SP_ERROR, SP_ERROR_ASSERTION, "no such luck");
    return !maker->fails;
}

static SpCheckpoint *get(Fixture *f, const char *key, Maker *maker)
{
    g_autoptr(GError) error = NULL;
    SpCheckpoint *checkpoint = sp_checkpoint_get(f->cache, key, "booted", make, maker, &error);

    g_assert_no_error(error);
    return checkpoint;
}

static void test_store(Fixture *f, gconstpointer data)
{
    Maker maker = {0};
    g_autoptr(SpCheckpoint) first = get(f, KEY_A, &maker);
    g_autoptr(SpCheckpoint) second = get(f, KEY_A, &maker);
    g_autofree char *path = g_build_filename(sp_checkpoint_dir(first), "gateway.ram", NULL);
    g_autofree char *text = NULL;
    g_autoptr(GPtrArray) list = sp_cache_list(&sp_checkpoint_kind, f->cache);
    g_autoptr(GError) error = NULL;
    const SpCacheEntry *info = list->pdata[0];

    g_assert_cmpuint(maker.calls, ==, 1);
    g_assert_true(sp_checkpoint_is_new(first));
    g_assert_false(sp_checkpoint_is_new(second));
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "memory");
    g_assert_cmpuint(list->len, ==, 1);
    g_assert_cmpstr(info->key, ==, KEY_A);
    g_assert_cmpstr(info->name, ==, "booted");
    g_assert_true(sp_checkpoint_kind.verify(f->cache, KEY_A, &error));
    g_assert_no_error(error);
    put(f, "cache/" KEY_A "/gateway.ram", "memorx");
    g_assert_false(sp_checkpoint_kind.verify(f->cache, KEY_A, &error));
    g_assert_nonnull(strstr(error->message, "gateway.ram"));
    /* it is kept while it is in use */
    g_assert_cmpint(sp_checkpoint_kind.remove(f->cache, KEY_A), ==, -EWOULDBLOCK);
    g_clear_pointer(&first, sp_checkpoint_free);
    g_assert_cmpint(sp_checkpoint_kind.remove(f->cache, KEY_A), ==, -EWOULDBLOCK);
    g_clear_pointer(&second, sp_checkpoint_free);
    g_assert_cmpint(sp_checkpoint_kind.remove(f->cache, KEY_A), ==, 0);
    /* as is one that another process was faster to remove */
    g_assert_cmpint(sp_checkpoint_kind.remove(f->cache, KEY_A), ==, 0);
    g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
}

/* @change is applied to a file of a checkpoint that is not in use: then it is made again, with the
 * reason. */
static void assert_made_anew(Fixture *f, const char *change)
{
    g_autofree char *script = g_strdup_printf("cd %s/" KEY_A " && { %s; }", f->cache, change);
    const char *const argv[] = {"sh", "-c", script, NULL};
    Maker maker = {0};
    g_autoptr(SpCheckpoint) checkpoint = get(f, KEY_A, &maker);

    g_clear_pointer(&checkpoint, sp_checkpoint_free);
    maker.calls = 0;
    g_assert_true(g_spawn_sync(
        NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL, NULL));
    g_assert_false(sp_checkpoint_kind.verify(f->cache, KEY_A, NULL));
    checkpoint = get(f, KEY_A, &maker);
    g_assert_cmpuint(maker.calls, ==, 1);
    g_assert_nonnull(sp_checkpoint_fault(checkpoint));
    g_assert_true(sp_checkpoint_kind.verify(f->cache, KEY_A, NULL));
}

static void test_damaged(Fixture *f, gconstpointer data)
{
    assert_made_anew(f, "printf memorx >gateway.ram");
    assert_made_anew(f, "printf memo >gateway.ram");
    /* with its former times */
    assert_made_anew(
        f, "touch -r gateway.ram t; printf memorx >gateway.ram; touch -r t gateway.ram");
    assert_made_anew(f, "rm gateway.ram");
    assert_made_anew(f, "printf nonsense >manifest");
    assert_made_anew(f, ": >manifest");
}

/* A file that was replaced is read, and used if it has the same contents. */
static void test_moved(Fixture *f, gconstpointer data)
{
    const char *const argv[] = {"sh", "-c", "cp gateway.ram other; mv other gateway.ram", NULL};
    g_autofree char *dir = g_build_filename(f->cache, KEY_A, NULL);
    g_autofree char *manifest = g_build_filename(dir, "manifest", NULL);
    g_autofree char *before = NULL, *after = NULL, *again = NULL;
    Maker maker = {0};

    sp_checkpoint_free(get(f, KEY_A, &maker));
    g_assert_true(g_file_get_contents(manifest, &before, NULL, NULL));
    g_assert_true(g_spawn_sync(
        dir, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL, NULL));
    sp_checkpoint_free(get(f, KEY_A, &maker));
    g_assert_cmpuint(maker.calls, ==, 1);
    /* once */
    g_assert_true(g_file_get_contents(manifest, &after, NULL, NULL));
    g_assert_cmpstr(before, !=, after);
    sp_checkpoint_free(get(f, KEY_A, &maker));
    g_assert_true(g_file_get_contents(manifest, &again, NULL, NULL));
    g_assert_cmpstr(after, ==, again);
}

/* A host whose power failed has lost what was not on its disk yet, which the identity of a file
 * does not show: files are read again after the host was booted. */
static void test_host_boot(Fixture *f, gconstpointer data)
{
    g_autofree char *path = g_build_filename(f->cache, KEY_A, "manifest", NULL);
    g_autofree char *text = NULL;
    g_autoptr(GKeyFile) manifest = g_key_file_new();
    Maker maker = {0};

    sp_checkpoint_free(get(f, KEY_A, &maker));
    g_assert_true(g_key_file_load_from_file(manifest, path, G_KEY_FILE_NONE, NULL));
    g_key_file_set_string(manifest, "Files", "gateway.ram", "xxh64:0000000000000000");
    g_assert_true(g_key_file_save_to_file(manifest, path, NULL));
    sp_checkpoint_free(get(f, KEY_A, &maker));
    g_assert_cmpuint(maker.calls, ==, 1);
    g_key_file_set_string(manifest, "Checkpoint", "Boot", "another");
    g_assert_true(g_key_file_save_to_file(manifest, path, NULL));
    sp_checkpoint_free(get(f, KEY_A, &maker));
    g_assert_cmpuint(maker.calls, ==, 2);
}

/* A checkpoint whose making failed, or whose maker died, is not seen; the next attempt starts
 * afresh. */
static void test_half_made(Fixture *f, gconstpointer data)
{
    g_autofree char *leftover = g_build_filename(f->cache, ".new-" KEY_B, NULL);
    Maker maker = {.fails = true};
    g_autoptr(SpCheckpoint) checkpoint = NULL;
    g_autoptr(GPtrArray) list = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_null(sp_checkpoint_get(f->cache, KEY_A, "booted", make, &maker, &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_ASSERTION);
    list = sp_cache_list(&sp_checkpoint_kind, f->cache);
    g_assert_cmpuint(list->len, ==, 0);
    /* without a manifest, as on a disk that lost it */
    put(f, "cache/" KEY_A "/gateway.ram", "half");
    g_assert_false(sp_checkpoint_kind.verify(f->cache, KEY_A, NULL));
    put(f, "cache/.new-" KEY_B "/gateway.ram", "half");
    maker.fails = false;
    checkpoint = get(f, KEY_B, &maker);
    g_assert_true(sp_checkpoint_kind.verify(f->cache, KEY_B, NULL));
    g_clear_pointer(&checkpoint, sp_checkpoint_free);
    put(f, "cache/.new-" KEY_B "/gateway.ram", "half");
    sp_cache_limit(&sp_checkpoint_kind, f->cache, G_MAXUINT64);
    g_assert_false(g_file_test(leftover, G_FILE_TEST_EXISTS));
    g_assert_true(sp_checkpoint_kind.verify(f->cache, KEY_B, NULL));
}

/* Two processes want the same at once: it is made once. */
static void test_two(Fixture *f, gconstpointer data)
{
    Maker maker = {0};
    pid_t child;
    int status;

    g_assert_cmpint(g_mkdir_with_parents(f->cache, 0700), ==, 0);
    child = fork();
    if (child == 0) {
        sp_checkpoint_free(get(f, KEY_A, &maker));
        _exit((int)maker.calls);
    }
    sp_checkpoint_free(get(f, KEY_A, &maker));
    g_assert_cmpint(waitpid(child, &status, 0), ==, child);
    g_assert_true(WIFEXITED(status));
    g_assert_cmpuint((guint)WEXITSTATUS(status) + maker.calls, ==, 1);
}

static void set_used(Fixture *f, const char *key, time_t when)
{
    const struct timespec times[2] = {{.tv_sec = when}, {.tv_sec = when}};
    g_autofree char *path = g_build_filename(f->cache, key, "manifest", NULL);

    g_assert_cmpint(utimensat(AT_FDCWD, path, times, 0), ==, 0);
}

static void test_limit(Fixture *f, gconstpointer data)
{
    Maker maker = {0};
    g_autoptr(GPtrArray) list = NULL;
    g_autoptr(SpCheckpoint) used = NULL;

    sp_checkpoint_free(get(f, KEY_A, &maker));
    sp_checkpoint_free(get(f, KEY_B, &maker));
    set_used(f, KEY_A, 2000);
    set_used(f, KEY_B, 1000);
    sp_cache_limit(&sp_checkpoint_kind, f->cache, G_MAXUINT64);
    list = sp_cache_list(&sp_checkpoint_kind, f->cache);
    g_assert_cmpuint(list->len, ==, 2);
    sp_cache_limit(&sp_checkpoint_kind, f->cache, ((SpCacheEntry *)list->pdata[0])->size);
    g_clear_pointer(&list, g_ptr_array_unref);
    list = sp_cache_list(&sp_checkpoint_kind, f->cache);
    g_assert_cmpuint(list->len, ==, 1);
    g_assert_cmpstr(((SpCacheEntry *)list->pdata[0])->key, ==, KEY_A);
    /* a checkpoint in use stays, whatever the limit */
    used = get(f, KEY_A, &maker);
    g_assert_cmpuint(maker.calls, ==, 2);
    sp_cache_limit(&sp_checkpoint_kind, f->cache, 0);
    g_assert_true(sp_checkpoint_kind.verify(f->cache, KEY_A, NULL));
}

/* In a process and mount namespace of its own. False if the host does not allow that. */
static bool mount_small_disk(const char *dir, const char *options)
{
    g_autofree char *user = g_strdup_printf("0 %u 1", (guint)geteuid());
    g_autofree char *group = g_strdup_printf("0 %u 1", (guint)getegid());
    const struct {
        const char *path, *text;
    } maps[] = {{"/proc/self/setgroups", "deny"}, {"/proc/self/uid_map", user},
        {"/proc/self/gid_map", group}};

    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
        return false;
    for (gsize i = 0; i < G_N_ELEMENTS(maps); i++) {
        int fd = open(maps[i].path, O_WRONLY | O_CLOEXEC);
        bool is_good = fd >= 0 && write(fd, maps[i].text, strlen(maps[i].text)) > 0;
        if (fd >= 0)
            close(fd);
        if (!is_good)
            return false;
    }
    g_assert_cmpint(g_mkdir_with_parents(dir, 0700), ==, 0);
    return mount("none", dir, "tmpfs", 0, options) == 0;
}

/* Call @check in a process in which the cache is on a small disk. */
static void run_on_small_disk(Fixture *f, const char *options, void (*check)(Fixture *f))
{
    pid_t child = fork();
    int status;

    if (child == 0) {
        if (!mount_small_disk(f->cache, options))
            _exit(NOT_LET);
        check(f);
        _exit(0);
    }
    g_assert_cmpint(waitpid(child, &status, 0), ==, child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_LET)
        g_test_skip("no file system can be mounted here");
    else
        g_assert_cmpint(status, ==, 0);
}

static void fill_disk(const char *dir)
{
    g_autofree char *path = g_build_filename(dir, "gateway.ram", NULL);
    g_autofree char *bytes = g_malloc0(65536);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    g_assert_cmpint(fd, >=, 0);
    while (write(fd, bytes, 65536) > 0)
        ;
    g_assert_cmpint(errno, ==, ENOSPC);
    close(fd);
}

/* Like a worker whose script failed because QEMU was killed on a full disk, and one that has left
 * no space for the manifest. */
static bool make_too_much(const char *dir, void *data, GError **error)
{
    const Maker *maker = data;

    fill_disk(dir);
    if (maker->fails)
        g_set_error(error, SP_ERROR, SP_ERROR_ASSERTION, "QEMU was killed");
    return !maker->fails;
}

static void assert_no_room(Fixture *f, SpCheckpointMakeFunc func, Maker *maker)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(sp_checkpoint_get(f->cache, KEY_A, "booted", func, maker, &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_NO_SPACE);
}

static void check_full(Fixture *f)
{
    Maker maker = {.fails = true};

    assert_no_room(f, make_too_much, &maker);
    maker.fails = false;
    assert_no_room(f, make_too_much, &maker);
}

static void test_full(Fixture *f, gconstpointer data)
{
    run_on_small_disk(f, "size=2M", check_full);
}

/* It holds only the root directory and the lock. */
static void check_no_folder(Fixture *f)
{
    Maker maker = {0};

    assert_no_room(f, make, &maker);
    g_assert_cmpuint(maker.calls, ==, 0);
}

static void test_no_folder(Fixture *f, gconstpointer data)
{
    run_on_small_disk(f, "size=2M,nr_inodes=2", check_no_folder);
}

/* A checkpoint that is not in use is evicted for another: the root, two locks, a directory with two
 * files. */
static void check_makes_room(Fixture *f)
{
    Maker maker = {0};

    sp_checkpoint_free(get(f, KEY_B, &maker));
    sp_checkpoint_free(get(f, KEY_A, &maker));
    g_assert_cmpuint(maker.calls, ==, 2);
    g_assert_false(sp_checkpoint_kind.verify(f->cache, KEY_B, NULL));
}

static void test_makes_room(Fixture *f, gconstpointer data)
{
    run_on_small_disk(f, "size=2M,nr_inodes=6", check_makes_room);
}

/* One MiB of memory and the disk of the checkpoint below, which exists by then. */
static void check_room(Fixture *f)
{
    g_autofree char *below = g_build_filename(f->dir, "below", NULL);
    g_autofree char *disk = g_build_filename(below, "gateway.disk", NULL);
    g_autofree char *memory = g_build_filename(below, "gateway.ram", NULL);
    g_autofree char *dir = g_build_filename(f->cache, ".new-" KEY_A, NULL);
    g_autofree char *bytes = g_malloc0(1024 * 1024);
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(g_mkdir(below, 0700), ==, 0);
    f->config.memory_mib = 1;
    g_assert_true(g_file_set_contents(memory, bytes, 1024 * 1024, NULL));
    g_assert_true(sp_checkpoint_has_space(dir, f->configs, below, &error));
    g_assert_no_error(error);
    g_assert_true(g_file_set_contents(disk, bytes, 1024 * 1024, NULL));
    g_assert_true(sp_checkpoint_has_space(dir, f->configs, NULL, NULL));
    g_assert_false(sp_checkpoint_has_space(dir, f->configs, below, &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_NO_SPACE);
}

static void test_room(Fixture *f, gconstpointer data)
{
    run_on_small_disk(f, "size=1984K", check_room);
}

static void test_durations(Fixture *f, gconstpointer data)
{
    SpTestConf tests[] = {{.dir = (char *)"/a"}, {.dir = (char *)"/b"}, {.dir = (char *)"/[c]\n"}};
    g_autofree char *path = g_build_filename(f->cache, "durations", NULL);
    g_autoptr(GPtrArray) order = g_ptr_array_new();
    g_autoptr(SpDurations) durations = sp_durations_load(path);
    g_autoptr(SpDurations) again = NULL;

    for (gsize i = 0; i < G_N_ELEMENTS(tests); i++)
        g_ptr_array_add(order, &tests[i]);
    /* two runs at once */
    again = sp_durations_load(path);
    sp_durations_set(durations, &tests[0], 5);
    sp_durations_set(again, &tests[2], 50);
    g_clear_pointer(&again, sp_durations_free);
    again = sp_durations_load(path);
    sp_durations_sort(again, order);
    g_assert_true(order->pdata[0] == &tests[1]); /* not known */
    g_assert_true(order->pdata[1] == &tests[2]);
    g_assert_true(order->pdata[2] == &tests[0]);
    g_assert_true(g_file_set_contents(path, "nonsense", -1, NULL));
    g_clear_pointer(&again, sp_durations_free);
    again = sp_durations_load(path);
    sp_durations_sort(again, order);
    g_assert_true(order->pdata[0] == &tests[1]);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*test)(Fixture *f, gconstpointer data);
    } tests[] = {
        {"/checkpoint/key", test_key},
        {"/checkpoint/key-backing", test_key_backing},
        {"/checkpoint/key-machine", test_key_machine},
        {"/checkpoint/key-boot-snapshot", test_key_boot_snapshot},
        {"/checkpoint/digests", test_digests},
        {"/checkpoint/missing", test_missing},
        {"/checkpoint/vanishing", test_vanishing},
        {"/checkpoint/denied", test_denied},
        {"/checkpoint/store", test_store},
        {"/checkpoint/half-made", test_half_made},
        {"/checkpoint/damaged", test_damaged},
        {"/checkpoint/moved", test_moved},
        {"/checkpoint/host-boot", test_host_boot},
        {"/checkpoint/two", test_two},
        {"/checkpoint/limit", test_limit},
        {"/checkpoint/full", test_full},
        {"/checkpoint/no-folder", test_no_folder},
        {"/checkpoint/makes-room", test_makes_room},
        {"/checkpoint/room", test_room},
        {"/checkpoint/durations", test_durations},
    };

    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].path, Fixture, NULL, set_up, tests[i].test, tear_down);
    return g_test_run();
}
