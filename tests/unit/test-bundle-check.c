/* SPDX-License-Identifier: MIT */

/* Runs the built bundle-check, BUNDLE_CHECK, in the environment that RAUC gives to its pre-install
 * handler, with plain files for the slots' devices. */

#include "appliance/boot/boot-state.h"

#include <fcntl.h>
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <sched.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
    char *path, *bundle, *boot, *rootfs; /* the latter two: devices */
    char **environment;
    GSpawnChildSetupFunc child_setup; /* NULL: none */
    gpointer child_data;
    char *out, *err;
} Fixture;

static void set(Fixture *f, const char *name, const char *value)
{
    f->environment = g_environ_setenv(f->environment, name, value, TRUE);
}

static void unset(Fixture *f, const char *name)
{
    f->environment = g_environ_unsetenv(f->environment, name);
}

static void make_file(const char *folder, const char *name, goffset size)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(ftruncate(fd, size), ==, 0);
    close(fd);
}

static void drop(const char *folder, const char *name)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);

    g_remove(path);
}

#define BOOT_SIZE 4096
#define ROOTFS_SIZE (3 * 1024 * 1024 + 1) /* more than one read, and no round number */

/* A pair that fits exactly. The numbers are RAUC's, in the order of its slots: not from 1 on. */
static void fixture_up(Fixture *f, gconstpointer data)
{
    memset(f, 0, sizeof *f);
    f->path = g_dir_make_tmp("bundle-check-XXXXXX", NULL);
    g_assert_nonnull(f->path);
    f->bundle = g_build_filename(f->path, "bundle", NULL);
    f->boot = g_build_filename(f->path, "boot-b", NULL);
    f->rootfs = g_build_filename(f->path, "rootfs-b", NULL);
    g_assert_cmpint(g_mkdir(f->bundle, 0700), ==, 0);
    make_file(f->path, "boot-b", BOOT_SIZE);
    make_file(f->path, "rootfs-b", ROOTFS_SIZE);
    make_file(f->bundle, "boot.vfat", BOOT_SIZE);
    make_file(f->bundle, "rootfs.img", ROOTFS_SIZE);
    f->environment = g_get_environ();
    set(f, "SLOTPROOF_DATA", f->path);
    set(f, "RAUC_BUNDLE_MOUNT_POINT", f->bundle);
    set(f, "SLOT_STATE_DIR", f->path); /* there is none: A is the good one */
    set(f, "RAUC_CURRENT_BOOTNAME", "A");
    set(f, "RAUC_TARGET_SLOTS", "2 4");
    set(f, "RAUC_SLOT_NAME_2", "boot.1");
    set(f, "RAUC_SLOT_DEVICE_2", f->boot);
    set(f, "RAUC_IMAGE_NAME_2", "boot.vfat");
    set(f, "RAUC_SLOT_NAME_4", "rootfs.1");
    set(f, "RAUC_SLOT_DEVICE_4", f->rootfs);
    set(f, "RAUC_IMAGE_NAME_4", "rootfs.img");
}

static void fixture_down(Fixture *f, gconstpointer data)
{
    drop(f->bundle, "boot.vfat");
    drop(f->bundle, "rootfs.img");
    g_remove(f->boot);
    g_remove(f->rootfs);
    g_assert_cmpint(g_rmdir(f->bundle), ==, 0);
    g_assert_cmpint(g_rmdir(f->path), ==, 0); /* nothing else was left there */
    g_free(f->path);
    g_free(f->bundle);
    g_free(f->boot);
    g_free(f->rootfs);
    g_strfreev(f->environment);
    g_free(f->out);
    g_free(f->err);
}

/* Returns the exit status; what it said is in @f. */
static int run(Fixture *f)
{
    g_autoptr(GSubprocessLauncher) launcher =
        g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_PIPE);
    g_autoptr(GSubprocess) process = NULL;
    g_autoptr(GError) error = NULL;

    g_subprocess_launcher_set_environ(launcher, f->environment);
    if (f->child_setup)
        g_subprocess_launcher_set_child_setup(launcher, f->child_setup, f->child_data, NULL);
    process = g_subprocess_launcher_spawn(launcher, &error, BUNDLE_CHECK, NULL);
    g_assert_no_error(error);
    g_clear_pointer(&f->out, g_free);
    g_clear_pointer(&f->err, g_free);
    g_subprocess_communicate_utf8(process, NULL, NULL, &f->out, &f->err, &error);
    g_assert_no_error(error);
    g_assert_true(g_subprocess_get_if_exited(process));
    return g_subprocess_get_exit_status(process);
}

static void assert_accepted(Fixture *f)
{
    g_assert_cmpint(run(f), ==, 0);
    g_assert_cmpstr(f->out, ==, "");
    g_assert_cmpstr(f->err, ==, "");
}

/* One line, in the form that RAUC passes on. */
__attribute__((format(printf, 2, 3))) static void assert_refused(
    Fixture *f, const char *format, ...)
{
    g_autofree char *why = NULL, *expected = NULL;
    va_list args;

    va_start(args, format);
    why = g_strdup_vprintf(format, args);
    va_end(args);
    expected = g_strdup_printf("<< error %s\n", why);
    g_assert_cmpint(run(f), ==, 1);
    g_assert_cmpstr(f->out, ==, expected);
    g_assert_cmpstr(f->err, ==, "");
}

/* --- sizes ----------------------------------------------------------------------------------- */

static void test_fits(Fixture *f, gconstpointer data)
{
    assert_accepted(f);
    make_file(f->path, "boot-b", 10 * BOOT_SIZE);
    make_file(f->path, "rootfs-b", 10 * ROOTFS_SIZE);
    assert_accepted(f);
    set(f, "RAUC_TARGET_SLOTS", "4 2");
    assert_accepted(f);
    set(f, "RAUC_TARGET_SLOTS", "  4   2 ");
    assert_accepted(f);
}

static void test_too_large(Fixture *f, gconstpointer data)
{
    make_file(f->bundle, "boot.vfat", BOOT_SIZE + 1);
    assert_refused(f, "image boot.vfat has 4097 bytes, but slot boot.1 holds only 4096");
    make_file(f->bundle, "boot.vfat", BOOT_SIZE);
    make_file(f->path, "rootfs-b", ROOTFS_SIZE - 1);
    assert_refused(f, "image rootfs.img has 3145729 bytes, but slot rootfs.1 holds only 3145728");
    make_file(f->path, "rootfs-b", 0);
    assert_refused(f, "image rootfs.img has 3145729 bytes, but slot rootfs.1 holds only 0");
    /* more than 32 bits, either way */
    make_file(f->path, "rootfs-b", G_GINT64_CONSTANT(1) << 32);
    assert_accepted(f);
    make_file(f->bundle, "rootfs.img", (G_GINT64_CONSTANT(1) << 32) + 1);
    assert_refused(
        f, "image rootfs.img has 4294967297 bytes, but slot rootfs.1 holds only 4294967296");
}

/* --- from which slot ------------------------------------------------------------------------- */

static void test_unconfirmed(Fixture *f, gconstpointer data)
{
    struct sp_boot_state state;
    int dir = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    g_assert_cmpint(dir, >=, 0);
    set(f, "RAUC_CURRENT_BOOTNAME", "B");
    assert_refused(f, "slot B is not confirmed yet, and slot A is the only good one: wait for "
                      "os-verification, or mark slot B good");
    /* both good, neither good, and only the one that runs */
    sp_boot_state_init(&state);
    sp_boot_set_good(&state, SP_SLOT_B);
    g_assert_cmpint(sp_boot_state_store(dir, &state), ==, 0);
    assert_accepted(f);
    sp_boot_set_bad(&state, SP_SLOT_A);
    g_assert_cmpint(sp_boot_state_store(dir, &state), ==, 0);
    assert_accepted(f);
    set(f, "RAUC_CURRENT_BOOTNAME", "A");
    assert_refused(f, "slot A is not confirmed yet, and slot B is the only good one: wait for "
                      "os-verification, or mark slot A good");
    sp_boot_set_bad(&state, SP_SLOT_B);
    g_assert_cmpint(sp_boot_state_store(dir, &state), ==, 0);
    assert_accepted(f);
    drop(f->path, SP_BOOT_STATE_FILE);
    close(dir);
    unset(f, "RAUC_CURRENT_BOOTNAME");
    assert_refused(f, "RAUC did not say which slot runs");
    set(f, "SLOT_STATE_DIR", "/nonexistent");
    assert_refused(f, "the boot state in /nonexistent can't be read: No such file or directory");
}

/* --- what the bundle lacks ------------------------------------------------------------------- */

static void test_missing_image(Fixture *f, gconstpointer data)
{
    unset(f, "RAUC_IMAGE_NAME_4");
    assert_refused(f, "the bundle has no image for slot rootfs.1: a release is the whole pair");
    set(f, "RAUC_IMAGE_NAME_4", "");
    assert_refused(f, "the bundle has no image for slot rootfs.1: a release is the whole pair");
    unset(f, "RAUC_IMAGE_NAME_2");
    assert_refused(f, "the bundle has no image for slot boot.1: a release is the whole pair");
}

static void test_missing_file(Fixture *f, gconstpointer data)
{
    drop(f->bundle, "rootfs.img");
    assert_refused(f, "image rootfs.img of the bundle: No such file or directory");
    drop(f->bundle, "boot.vfat");
    assert_refused(f, "image boot.vfat of the bundle: No such file or directory");
    set(f, "RAUC_BUNDLE_MOUNT_POINT", "/nonexistent");
    assert_refused(f, "image boot.vfat of the bundle: No such file or directory");
    set(f, "RAUC_BUNDLE_MOUNT_POINT", f->boot);
    assert_refused(f, "image boot.vfat of the bundle: Not a directory");
}

/* As where a block's hash is wrong: it opens, but read() fails with EIO. */
static void test_damaged(Fixture *f, gconstpointer data)
{
    set(f, "RAUC_BUNDLE_MOUNT_POINT", "/proc/self");
    set(f, "RAUC_TARGET_SLOTS", "2");
    set(f, "RAUC_IMAGE_NAME_2", "mem");
    assert_refused(f, "image mem is damaged or can't be read: Input/output error");
}

/* How many bytes this process and those that it ran have read; 0 if that is not counted. */
static guint64 count_read(void)
{
    g_autofree char *text = NULL;

    if (!g_file_get_contents("/proc/self/io", &text, NULL, NULL) ||
        !g_str_has_prefix(text, "rchar: "))
        return 0;
    return g_ascii_strtoull(text + strlen("rchar: "), NULL, 10);
}

/* The last byte of an image may be the damaged one. */
static void test_reads_all(Fixture *f, gconstpointer data)
{
    guint64 before = count_read();

    if (before == 0) {
        g_test_skip("what a process reads is not counted here");
        return;
    }
    assert_accepted(f);
    g_assert_cmpuint(count_read() - before, >=, BOOT_SIZE + ROOTFS_SIZE);
}

/* A directory is no image, and nobody writes to the pipe: the installation must not wait for that.
 */
static void test_not_a_file(Fixture *f, gconstpointer data)
{
    g_autofree char *path = g_build_filename(f->bundle, "rootfs.img", NULL);

    drop(f->bundle, "rootfs.img");
    g_assert_cmpint(g_mkdir(path, 0700), ==, 0);
    assert_refused(f, "image rootfs.img of the bundle is not a file");
    drop(f->bundle, "rootfs.img");
    g_assert_cmpint(mkfifo(path, 0600), ==, 0);
    assert_refused(f, "image rootfs.img of the bundle is not a file");
}

/* --- what RAUC says -------------------------------------------------------------------------- */

static void test_no_device(Fixture *f, gconstpointer data)
{
    set(f, "RAUC_SLOT_DEVICE_4", "/nonexistent");
    assert_refused(f, "device /nonexistent of slot rootfs.1: No such file or directory");
    unset(f, "RAUC_SLOT_DEVICE_4");
    assert_refused(f, "RAUC did not say what slot 4 is");
    set(f, "RAUC_SLOT_DEVICE_4", f->rootfs);
    unset(f, "RAUC_SLOT_NAME_4");
    assert_refused(f, "RAUC did not say what slot 4 is");
    unset(f, "RAUC_SLOT_NAME_2");
    assert_refused(f, "RAUC did not say what slot 2 is");
}

static void test_slots(Fixture *f, gconstpointer data)
{
    static const char *const prefixes[] = {"RAUC_SLOT_NAME", "RAUC_SLOT_DEVICE", "RAUC_IMAGE_NAME"};
    g_autofree char *number = g_strnfill(100, '4');

    set(f, "RAUC_TARGET_SLOTS", "");
    assert_refused(f, "RAUC named no slot to install to");
    set(f, "RAUC_TARGET_SLOTS", "  ");
    assert_refused(f, "RAUC named no slot to install to");
    set(f, "RAUC_TARGET_SLOTS", "2 3");
    assert_refused(f, "RAUC did not say what slot 3 is");
    /* a name that is cut off is another one */
    set(f, "RAUC_TARGET_SLOTS", number);
    for (size_t i = 0; i < G_N_ELEMENTS(prefixes); i++) {
        g_autofree char *name = g_strdup_printf("%s_%s", prefixes[i], number);

        for (; strlen(name) > 20; name[strlen(name) - 1] = '\0')
            set(f, name, f->boot);
    }
    assert_refused(f, "RAUC did not say what slot %s is", number);
    set(f, "RAUC_TARGET_SLOTS", "4"); /* the other one does not matter then */
    unset(f, "RAUC_SLOT_NAME_2");
    assert_accepted(f);
}

static void assert_not_a_handler(Fixture *f)
{
    g_assert_cmpint(run(f), ==, 2);
    g_assert_cmpstr(f->out, ==, "");
    g_assert_cmpstr(f->err, ==,
        "bundle-check: this is a handler for RAUC, which sets RAUC_BUNDLE_MOUNT_POINT and "
        "RAUC_TARGET_SLOTS\n");
}

static void test_no_environment(Fixture *f, gconstpointer data)
{
    unset(f, "RAUC_TARGET_SLOTS");
    assert_not_a_handler(f);
    unset(f, "RAUC_BUNDLE_MOUNT_POINT");
    assert_not_a_handler(f);
    set(f, "RAUC_TARGET_SLOTS", "2 4");
    assert_not_a_handler(f);
}

/* --- /data ----------------------------------------------------------------------------------- */

static void test_no_data(Fixture *f, gconstpointer data)
{
    set(f, "SLOTPROOF_DATA", "/nonexistent");
    assert_refused(f, "/nonexistent: No such file or directory");
}

typedef struct {
    const char *folder, *options;
} SmallDisk;

enum { CANNOT_MOUNT = 77 };

/* In the child: a file system that nobody else sees, without being root. */
static void mount_small(gpointer data)
{
    const SmallDisk *disk = data;

    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 ||
        mount("slotproof-test", disk->folder, "tmpfs", 0, disk->options) < 0)
        _exit(CANNOT_MOUNT);
}

static void test_full_data(Fixture *f, gconstpointer data)
{
    g_autofree char *folder = g_build_filename(f->path, "data", NULL);
    SmallDisk disk = {.folder = folder, .options = "size=1024k"};

    g_assert_cmpint(g_mkdir(folder, 0700), ==, 0);
    set(f, "SLOTPROOF_DATA", folder);
    f->child_setup = mount_small;
    f->child_data = &disk;
    if (run(f) == CANNOT_MOUNT) {
        g_test_skip("no mount namespaces here");
    } else {
        assert_accepted(f); /* just enough */
        disk.options = "size=1020k";
        assert_refused(f, "%s is full: 1020 KiB are free, an installation needs 1024", folder);
        disk.options = "size=4k";
        assert_refused(f, "%s is full: 4 KiB are free, an installation needs 1024", folder);
    }
    g_assert_cmpint(g_rmdir(folder), ==, 0);
}

static void add(const char *path, void (*test)(Fixture *, gconstpointer))
{
    g_test_add(path, Fixture, NULL, fixture_up, test, fixture_down);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    alarm(60); /* it waits for nothing */
    add("/bundle-check/unconfirmed", test_unconfirmed);
    add("/bundle-check/fits", test_fits);
    add("/bundle-check/too-large", test_too_large);
    add("/bundle-check/missing-image", test_missing_image);
    add("/bundle-check/missing-file", test_missing_file);
    add("/bundle-check/damaged", test_damaged);
    add("/bundle-check/reads-all", test_reads_all);
    add("/bundle-check/not-a-file", test_not_a_file);
    add("/bundle-check/no-device", test_no_device);
    add("/bundle-check/slots", test_slots);
    add("/bundle-check/no-environment", test_no_environment);
    add("/bundle-check/no-data", test_no_data);
    add("/bundle-check/full-data", test_full_data);
    return g_test_run();
}
