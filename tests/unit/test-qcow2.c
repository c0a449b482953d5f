/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "base/process.h"
#include "qemu/command.h"
#include "qemu/image.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#define MINIMAL "[Image]\nArchitecture=x86_64\nDisk=%s\nDiskFormat=qcow2\n"

typedef struct {
    char *dir, *sub;
} Fixture;

static void run(const char *const *argv)
{
    g_autoptr(GError) error = NULL;

    g_assert_true(sp_process_run(argv, NULL, 0, 60000, &error));
    g_assert_no_error(error);
}

/* @backing is not looked at. */
static void create(Fixture *f, const char *name, const char *backing, const char *format)
{
    g_autofree char *path = g_build_filename(f->dir, name, NULL);
    const char *const argv[] = {"qemu-img", "create", "-q", "-f", "qcow2", "-u", "-b", backing,
        "-F", format, path, "1M", NULL};

    run(argv);
}

static void set_up(Fixture *f, gconstpointer data)
{
    g_autofree char *raw = NULL, *zeros = g_malloc0(1024 * 1024);

    f->dir = g_dir_make_tmp("slotproof-test-XXXXXX", NULL);
    f->sub = g_build_filename(f->dir, "sub", NULL);
    g_assert_cmpint(g_mkdir(f->sub, 0700), ==, 0);
    raw = g_build_filename(f->sub, "a, b.img", NULL);
    g_assert_true(g_file_set_contents(raw, zeros, 1024 * 1024, NULL));
}

static void tear_down(Fixture *f, gconstpointer data)
{
    const char *const argv[] = {"rm", "-r", f->dir, NULL};

    run(argv);
    g_free(f->dir);
    g_free(f->sub);
}

static SpImage *load(Fixture *f, const char *disk)
{
    g_autofree char *text = g_strdup_printf(MINIMAL, disk);
    g_autofree char *path = g_build_filename(f->dir, "image.conf", NULL);
    g_autoptr(GError) error = NULL;
    SpImage *image;

    g_assert_true(g_file_set_contents(path, text, -1, NULL));
    image = sp_image_load(f->dir, &error);
    g_assert_no_error(error);
    return image;
}

/* The block device as QEMU is told to open it. */
static char *blockdev(SpImage *image, guint flags)
{
    SpAccel accel = {.name = "kvm", .argument = "kvm"};
    SpQemuConfig config = {
        .name = "m", .image = image, .accel = &accel, .cpus = 1, .memory_mib = 512};
    g_auto(GStrv) argv = sp_qemu_command("/bin/qemu", &config, flags);
    g_autofree char *words = g_strjoinv(" ", argv);

    return g_steal_pointer(&words);
}

/* A name that is relative is so to the layer, whatever it lies in and whoever opens it. */
static void test_relative(Fixture *f, gconstpointer data)
{
    g_autofree char *expected =
        g_strdup_printf(",backing.backing.driver=raw,backing.backing.file.driver=file,"
                        "backing.backing.file.filename=%s/sub/a,, b.img ",
            f->dir);
    g_autofree char *deeper = g_strdup_printf(
        ",backing.backing.backing.driver=raw,backing.backing.backing.file.driver=file,"
        "backing.backing.backing.file.filename=%s/sub/a,, b.img ",
        f->dir);
    g_autoptr(SpImage) image = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *text = NULL, *layered = NULL;

    create(f, "layer.qcow2", "sub/a, b.img", "raw");
    image = load(f, "layer.qcow2");
    (void)!sp_image_check(image, &error);
    g_assert_no_error(error);
    text = blockdev(image, 0);
    g_assert_nonnull(strstr(text, expected));
    layered = blockdev(image, SP_QEMU_LAYER);
    g_assert_nonnull(strstr(layered, deeper));
}

/* What QEMU finds by itself it is left. */
static void test_spelled_out(Fixture *f, gconstpointer data)
{
    g_autofree char *path = g_build_filename(f->sub, "a, b.img", NULL);
    g_autofree char *json = g_strdup_printf(
        "json:{\"driver\":\"raw\",\"file\":{\"driver\":\"file\",\"filename\":\"%s\"}}", path);
    const char *const names[] = {path, json, "nbd://127.0.0.1:1/x"};

    for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autoptr(SpImage) image = NULL;
        g_autoptr(GError) error = NULL;
        g_autofree char *text = NULL;

        create(f, "layer.qcow2", names[i], "raw");
        image = load(f, "layer.qcow2");
        (void)!sp_image_check(image, &error);
        g_assert_no_error(error);
        text = blockdev(image, 0);
        g_assert_null(strstr(text, "backing.backing"));
    }
}

/* All of a chain is looked at: what it is, and that it is there. */
static void test_chain(Fixture *f, gconstpointer data)
{
    g_autofree char *top = g_build_filename(f->dir, "top.qcow2", NULL);
    g_autofree char *raw = g_build_filename(f->sub, "a, b.img", NULL);
    g_autofree char *file = g_strconcat("file:", raw, NULL);
    g_autoptr(GPtrArray) chain = NULL;
    g_autoptr(SpImage) image = NULL;
    g_autoptr(GError) error = NULL;

    create(f, "sub/low.qcow2", file, "raw");
    create(f, "middle.qcow2", "sub/low.qcow2", "qcow2");
    create(f, "top.qcow2", "middle.qcow2", "qcow2");
    chain = sp_qcow2_chain(top, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(chain->len, ==, 3);
    g_assert_true(g_str_has_suffix(chain->pdata[0], "/middle.qcow2"));
    g_assert_true(g_str_has_suffix(chain->pdata[1], "/sub/low.qcow2"));
    g_assert_cmpstr(chain->pdata[2], ==, raw);
    g_assert_cmpint(g_unlink(raw), ==, 0);
    image = load(f, "top.qcow2");
    g_assert_false(sp_image_check(image, &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_USAGE);
    g_assert_nonnull(strstr(error->message, "low.qcow2' lies on '"));
    g_assert_nonnull(strstr(error->message, "No such file"));
}

/* Headers that lead nowhere, or round in a circle. */
static void test_hostile(Fixture *f, gconstpointer data)
{
    g_autofree char *path = g_build_filename(f->dir, "layer.qcow2", NULL);
    g_autofree char *bytes = NULL;
    gsize length;

    create(f, "layer.qcow2", "layer.qcow2", "qcow2");
    for (guint i = 0; i < 3; i++) {
        static const char *const faults[] = {
            "lies on itself", "is broken", "keeps its data in another file"};
        g_autoptr(SpImage) image = load(f, "layer.qcow2");
        g_autoptr(GError) error = NULL;

        g_assert_false(sp_image_check(image, &error));
        g_assert_error(error, SP_ERROR, SP_ERROR_USAGE);
        g_assert_nonnull(strstr(error->message, faults[i]));
        g_clear_pointer(&bytes, g_free);
        g_assert_true(g_file_get_contents(path, &bytes, &length, NULL));
        bytes[8] = 0x7f; /* where the name stands */
        bytes[79] = (char)(i == 1 ? 4 : bytes[79]);
        g_assert_true(g_file_set_contents(path, bytes, (gssize)length, NULL));
    }
    for (gsize i = 0; i < 512; i++) {
        SpBacking backing = {0};

        g_assert_true(g_file_set_contents(path, bytes, (gssize)i, NULL));
        if (sp_qcow2_backing(path, &backing, NULL))
            g_assert_cmpuint(i, >=, 72);
        sp_backing_clear(&backing);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, func) g_test_add("/qcow2/" name, Fixture, NULL, set_up, func, tear_down)
    ADD("relative", test_relative);
    ADD("spelled-out", test_spelled_out);
    ADD("chain", test_chain);
    ADD("hostile", test_hostile);
    return g_test_run();
}
