/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "base/process.h"
#include "qemu/overlay.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define BASE_SIZE (1024u * 1024)
#define IMAGE "driver=qcow2,file.driver=file,file.filename=/proc/self/fd/3"

typedef struct {
    char *dir; /* of the base */
    char *tmp; /* where the overlays lie */
    char *base;
} Fixture;

static void set_up(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *content = g_strnfill(BASE_SIZE, 'b');

    f->dir = g_dir_make_tmp("slotproof-test-XXXXXX", &error);
    g_assert_no_error(error);
    f->tmp = g_build_filename(f->dir, "tmp", NULL);
    g_assert_cmpint(g_mkdir(f->tmp, 0700), ==, 0);
    f->base = g_build_filename(f->dir, "base, with = and :.img", NULL);
    g_file_set_contents_full(f->base, content, BASE_SIZE, G_FILE_SET_CONTENTS_NONE, 0400, &error);
    g_assert_no_error(error);
    g_setenv("TMPDIR", f->tmp, TRUE);
}

static void tear_down(Fixture *f, gconstpointer data)
{
    unlink(f->base);
    g_assert_cmpint(rmdir(f->tmp), ==, 0); /* nothing was left */
    g_assert_cmpint(rmdir(f->dir), ==, 0);
    g_free(f->base);
    g_free(f->tmp);
    g_free(f->dir);
    g_unsetenv("TMPDIR");
}

static SpOverlay *make(Fixture *f)
{
    g_autoptr(GError) error = NULL;
    SpOverlay *overlay = sp_overlay_new(f->base, "raw", NULL, &error);

    g_assert_no_error(error);
    return overlay;
}

static void test_descriptors(Fixture *f, gconstpointer data)
{
    g_autoptr(SpOverlay) overlay = make(f);
    int rw = sp_overlay_rw_fd(overlay), ro = sp_overlay_ro_fd(overlay);
    struct stat a, b;
    char magic[4];

    g_assert_cmpint(fcntl(rw, F_GETFL) & O_ACCMODE, ==, O_RDWR);
    g_assert_cmpint(fcntl(ro, F_GETFL) & O_ACCMODE, ==, O_RDONLY);
    g_assert_cmpint(fcntl(rw, F_GETFD) & FD_CLOEXEC, !=, 0);
    g_assert_cmpint(fcntl(ro, F_GETFD) & FD_CLOEXEC, !=, 0);
    g_assert_cmpint(fstat(rw, &a), ==, 0);
    g_assert_cmpint(fstat(ro, &b), ==, 0);
    g_assert_true(a.st_ino == b.st_ino && a.st_dev == b.st_dev);
    g_assert_cmpuint(a.st_nlink, ==, 0);
    g_assert_cmpint(a.st_mode & 0077, ==, 0);
    g_assert_cmpint(pread(ro, magic, 4, 0), ==, 4);
    g_assert_cmpint(memcmp(magic, "QFI\xfb", 4), ==, 0);
}

/* An image that is built anew while a test runs takes the base's name, not its place. */
static void test_base_replaced(Fixture *f, gconstpointer data)
{
    g_autofree char *other = g_strconcat(f->base, ".new", NULL);
    g_autofree char *before = NULL;
    g_autoptr(SpOverlay) overlay = make(f);
    char after[4096];

    g_assert_true(g_file_get_contents(f->base, &before, NULL, NULL));
    g_assert_true(g_file_set_contents(other, "another", -1, NULL));
    g_assert_cmpint(rename(other, f->base), ==, 0);
    g_assert_cmpint(fcntl(sp_overlay_base_fd(overlay), F_GETFL) & O_ACCMODE, ==, O_RDONLY);
    g_assert_cmpint(pread(sp_overlay_base_fd(overlay), after, sizeof after, 0), ==, sizeof after);
    g_assert_cmpint(memcmp(before, after, sizeof after), ==, 0);
}

/* Have qemu-io do @command on the overlay, and expect it to be well. */
static void with_image(SpOverlay *overlay, const char *command)
{
    const char *const argv[] = {"qemu-io", "--image-opts", IMAGE, "-c", command, NULL};
    SpProcessFd fd = {sp_overlay_rw_fd(overlay), 3};
    g_autoptr(SpProcess) process = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *output = NULL;

    process = sp_process_start(argv, &fd, 1, &error);
    g_assert_no_error(error);
    g_assert_true(sp_process_wait(process, sp_deadline(60000), NULL, NULL));
    output = sp_process_output(process);
    g_test_message("%s", output);
    g_assert_cmpint(sp_process_wait_status(process), ==, 0);
    g_assert_null(strstr(output, "failed"));
}

/* Each overlay sees the base and what it wrote itself, and the base stays as it was. */
static void test_contents(Fixture *f, gconstpointer data)
{
    g_autoptr(SpOverlay) one = make(f);
    g_autoptr(SpOverlay) two = make(f);
    g_autofree char *content = NULL;
    gsize length;

    with_image(one, "read -P 0x62 0 1M");
    with_image(one, "write -P 0x31 64k 64k");
    with_image(two, "write -P 0x32 128k 64k");
    with_image(one, "read -P 0x31 64k 64k");
    with_image(one, "read -P 0x62 128k 64k");
    with_image(two, "read -P 0x62 64k 64k");
    with_image(two, "read -P 0x32 128k 64k");
    g_assert_true(g_file_get_contents(f->base, &content, &length, NULL));
    g_assert_cmpuint(length, ==, BASE_SIZE);
    g_assert_cmpuint(strspn(content, "b"), ==, BASE_SIZE);
}

/* What "qemu-img info" says of the file @path, but for its name and the room that it takes. */
static char *describe(const char *path)
{
    const char *const argv[] = {"qemu-img", "info", path, NULL};
    g_autoptr(SpProcess) process = sp_process_start(argv, NULL, 0, NULL);
    g_autofree char *output = NULL;
    g_auto(GStrv) sections = NULL;

    g_assert_true(sp_process_wait(process, sp_deadline(60000), NULL, NULL));
    g_assert_cmpint(sp_process_wait_status(process), ==, 0);
    output = sp_process_output(process);
    sections = g_regex_split_simple("image: .*\n|disk size: .*\n", output, 0, 0);
    return g_strjoinv("", sections);
}

/* As qemu-img would have made it, and without a fault, whatever it lies on: disks of a sector, of
 * more than one table's cluster, and of a size that is no whole number of sectors. */
static void test_like_qemu_img(Fixture *f, gconstpointer data)
{
    static const guint64 sizes[] = {
        512, 1000, ((guint64)1 << 29) - 512, (guint64)1 << 29, (guint64)5 << 40};
    static const char *const formats[] = {"raw", "qcow2"};
    g_autofree char *base = g_build_filename(f->dir, "base.img", NULL);
    g_autofree char *expected = g_build_filename(f->dir, "expected", NULL);
    g_autofree char *made = g_build_filename(f->dir, "made", NULL);
    g_autofree char *note = g_strconcat(made, ".base", NULL);

    for (gsize i = 0; i < 2 * G_N_ELEMENTS(sizes); i++) {
        const char *format = formats[i % 2];
        g_autofree char *size = g_strdup_printf("%" G_GUINT64_FORMAT, sizes[i / 2]);
        const char *const make_base[] = {
            "qemu-img", "create", "-q", "-f", format, base, size, NULL};
        const char *const make_expected[] = {
            "qemu-img", "create", "-q", "-f", "qcow2", "-F", format, "-b", base, expected, NULL};
        const char *const check[] = {"qemu-img", "check", made, NULL};
        g_autofree char *one = NULL, *other = NULL;
        g_autoptr(SpOverlay) overlay = NULL;
        g_autoptr(GError) error = NULL;

        g_assert_true(sp_process_run(make_base, NULL, 0, 60000, NULL));
        g_assert_true(sp_process_run(make_expected, NULL, 0, 60000, NULL));
        overlay = sp_overlay_new(base, format, made, &error);
        g_assert_no_error(error);
        g_assert_true(sp_process_run(check, NULL, 0, 60000, &error));
        g_assert_no_error(error);
        one = describe(expected);
        other = describe(made);
        g_assert_cmpstr(one, ==, other);
        g_clear_pointer(&overlay, sp_overlay_free);
        g_unlink(made);
        g_unlink(expected);
        g_unlink(base);
        g_unlink(note);
    }
}

/* As a QEMU leaves it that was given the descriptor (block/file-posix.c, RAW_LOCK_PERM_BASE). */
static void lock_like_qemu(int fd, short type)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = 100, .l_len = 200};

    g_assert_cmpint(fcntl(fd, F_OFD_SETLK, &lock), ==, 0);
}

/* What was written after a snapshot is gone, and the base need not be there any more. */
static void test_revert(Fixture *f, gconstpointer data)
{
    static const char *const argv[] = {
        "qemu-img", "snapshot", "-c", "then", "--image-opts", IMAGE, NULL};
    g_autofree char *away = g_build_filename(f->dir, "away", NULL);
    g_autoptr(SpOverlay) overlay = make(f);
    SpProcessFd fd = {sp_overlay_rw_fd(overlay), 3};
    g_autoptr(GError) error = NULL;

    with_image(overlay, "write -P 0x31 64k 64k");
    g_assert_true(sp_process_run(argv, &fd, 1, 60000, &error));
    with_image(overlay, "write -P 0x32 64k 128k");
    g_assert_cmpint(g_rename(f->base, away), ==, 0);
    lock_like_qemu(sp_overlay_rw_fd(overlay), F_RDLCK);
    g_assert_true(sp_overlay_revert(overlay, "then", &error));
    g_assert_no_error(error);
    g_assert_cmpint(g_rename(away, f->base), ==, 0);
    lock_like_qemu(sp_overlay_rw_fd(overlay), F_UNLCK);
    with_image(overlay, "read -P 0x31 64k 64k");
    with_image(overlay, "read -P 0x62 128k 64k");
    g_assert_false(sp_overlay_revert(overlay, "never", &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_HOST);
}

static void refused(const char *base, const char *format, int code, const char *why)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(sp_overlay_new(base, format, NULL, &error));
    g_assert_error(error, SP_ERROR, code);
    g_test_message("%s", error->message);
    g_assert_nonnull(strstr(error->message, why));
    /* who does not ask is not told */
    g_assert_null(sp_overlay_new(base, format, NULL, NULL));
}

static void test_refused(Fixture *f, gconstpointer data)
{
    refused("/nowhere/at-all.img", "raw", SP_ERROR_HOST, "/nowhere/at-all.img");
    refused(f->base, "qcow2", SP_ERROR_HOST, f->base);
    g_setenv("TMPDIR", "/nowhere/at-all", TRUE);
    refused(f->base, "raw", SP_ERROR_HOST, "TMPDIR");
}

/* As on a full disk, files can't grow to hold the overlay's tables. */
static void test_no_room(Fixture *f, gconstpointer data)
{
    struct rlimit before, small;

    g_assert_cmpint(getrlimit(RLIMIT_FSIZE, &before), ==, 0);
    small = before;
    small.rlim_cur = 4096;
    signal(SIGXFSZ, SIG_IGN);
    g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &small), ==, 0);
    refused(f->base, "raw", SP_ERROR_HOST, f->tmp);
    g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &before), ==, 0);
}

static SpOverlay *keep(Fixture *f, const char *kept, bool expected)
{
    g_autoptr(GError) error = NULL;
    SpOverlay *overlay = sp_overlay_new(f->base, "raw", kept, &error);

    g_assert_no_error(error);
    g_assert_cmpint(sp_overlay_was_kept(overlay), ==, expected);
    return overlay;
}

/* Marks the overlay, far behind its tables. */
static void mark(SpOverlay *overlay)
{
    g_assert_cmpint(pwrite(sp_overlay_rw_fd(overlay), "mark", 4, BASE_SIZE), ==, 4);
}

static bool is_marked(SpOverlay *overlay)
{
    char bytes[5] = "";

    return pread(sp_overlay_ro_fd(overlay), bytes, 4, BASE_SIZE) == 4 && g_str_equal(bytes, "mark");
}

/* Gone on with, for as long as the base is the same and nobody else has it. */
static void test_kept(Fixture *f, gconstpointer data)
{
    g_autofree char *folder = g_build_filename(f->dir, "kept", NULL);
    g_autofree char *kept = g_build_filename(folder, "disk", NULL);
    g_autofree char *note = g_strconcat(kept, ".base", NULL);
    g_autoptr(GError) error = NULL;
    SpOverlay *overlay = keep(f, kept, false);

    mark(overlay);
    g_assert_null(sp_overlay_new(f->base, "raw", kept, &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_USAGE);
    g_assert_nonnull(strstr(error->message, "in use"));
    sp_overlay_free(overlay);
    overlay = keep(f, kept, true);
    g_assert_true(is_marked(overlay));
    sp_overlay_free(overlay);

    /* one that was not finished */
    g_assert_cmpint(g_unlink(note), ==, 0);
    overlay = keep(f, kept, false);
    g_assert_false(is_marked(overlay));
    mark(overlay);
    sp_overlay_free(overlay);

    /* the base was made anew */
    g_assert_cmpint(g_unlink(f->base), ==, 0);
    g_assert_true(g_file_set_contents(f->base, "another base", -1, NULL));
    overlay = keep(f, kept, false);
    g_assert_false(is_marked(overlay));
    sp_overlay_free(overlay);
    sp_overlay_free(keep(f, kept, true));
    g_unlink(note);
    g_unlink(kept);
    g_assert_cmpint(g_rmdir(folder), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, func) g_test_add("/overlay/" name, Fixture, NULL, set_up, func, tear_down)
    ADD("descriptors", test_descriptors);
    ADD("base-replaced", test_base_replaced);
    ADD("contents", test_contents);
    ADD("like-qemu-img", test_like_qemu_img);
    ADD("revert", test_revert);
    ADD("refused", test_refused);
    ADD("no-room", test_no_room);
    ADD("kept", test_kept);
    return g_test_run();
}
