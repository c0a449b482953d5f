/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "machine/ocr.h"

#include <glib/gstdio.h>
#include <string.h>

/* A directory that is all of PATH that matters: a program there stands for tesseract. */
typedef struct {
    char *dir;
    char *program;
    char *path;
    SpScreenshot screenshot;
    guint8 pixels[3];
} Fixture;

static void set_up(Fixture *f, gconstpointer script)
{
    f->path = g_strdup(g_getenv("PATH"));
    f->dir = g_dir_make_tmp("slotproof-test-XXXXXX", NULL);
    f->program = g_build_filename(f->dir, "tesseract", NULL);
    if (script) {
        g_assert_true(g_file_set_contents(f->program, script, -1, NULL));
        g_assert_cmpint(g_chmod(f->program, 0700), ==, 0);
    }
    g_setenv("PATH", f->dir, TRUE);
    memcpy(f->pixels, (const guint8[]){0, 0, 200}, 3);
    f->screenshot = (SpScreenshot){.width = 3, .height = 1, .pixels = f->pixels};
}

static void tear_down(Fixture *f, gconstpointer script)
{
    g_setenv("PATH", f->path, TRUE);
    g_unlink(f->program);
    g_rmdir(f->dir);
    g_free(f->dir);
    g_free(f->program);
    g_free(f->path);
}

static void test_missing(Fixture *f, gconstpointer script)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(sp_ocr_read(&f->screenshot, 0, sp_deadline(10000), NULL, &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_USAGE);
    g_assert_nonnull(strstr(error->message, "apt-get install tesseract-ocr"));
}

static void test_fails(Fixture *f, gconstpointer script)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(sp_ocr_read(&f->screenshot, 0, sp_deadline(10000), NULL, &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_HOST);
    g_assert_nonnull(strstr(error->message, "status 3"));
    g_assert_nonnull(strstr(error->message, "no such language"));
}

static void test_hangs(Fixture *f, gconstpointer script)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(sp_ocr_read(&f->screenshot, 0, sp_deadline(200), NULL, &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_TIMEOUT);
}

/* The program is given the screenshot light, or dark for the last variant, and says its bytes. */
static void test_variants(Fixture *f, gconstpointer script)
{
    const char *const expected[SP_OCR_VARIANTS] = {
        "P5 6 2 255 255 255 255 205 105 55 255 255 255 205 105 55",
        "P5 3 1 255 255 255 55",
        "P5 6 2 255 0 0 0 50 150 200 0 0 0 50 150 200",
    };

    for (guint i = 0; i < SP_OCR_VARIANTS; i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *text = sp_ocr_read(&f->screenshot, i, sp_deadline(20000), NULL, &error);

        g_assert_no_error(error);
        g_assert_cmpstr(g_strstrip(text), ==, expected[i]);
    }
    /* untouched */
    g_assert_cmpuint(f->pixels[2], ==, 200);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/ocr/missing", Fixture, NULL, set_up, test_missing, tear_down);
    g_test_add("/ocr/fails", Fixture, "#!/bin/sh\necho no such language >&2\nexit 3\n", set_up,
        test_fails, tear_down);
    g_test_add(
        "/ocr/hangs", Fixture, "#!/bin/sh\nexec /bin/sleep 1000\n", set_up, test_hangs, tear_down);
    g_test_add("/ocr/variants", Fixture,
        "#!/bin/sh\nPATH=/usr/bin:/bin\n"
        "head -n 3 \"$1\" | tr '\\n' ' ' && tail -n +4 \"$1\" | od -An -v -tu1 | tr -s ' \\n' ' ' "
        "| sed 's/^ //'\n",
        set_up, test_variants, tear_down);
    return g_test_run();
}
