/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "machine/screenshot.h"

#include <string.h>

/* Two pixels beside each other: dark red, white. */
static const char ppm[] = "P6\n2 1\n255\n\x3c\0\0\xff\xff\xff";

static SpScreenshot *parse(const void *data, gsize length, GError **error)
{
    /* exactly as large, so that a sanitizer sees a read past its end */
    g_autofree guint8 *copy = g_memdup2(data, length);

    return sp_screenshot_parse(copy, length, error);
}

static void test_parse(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(SpScreenshot) screenshot = parse(ppm, sizeof ppm - 1, &error);

    g_assert_no_error(error);
    g_assert_cmpuint(screenshot->width, ==, 2);
    g_assert_cmpuint(screenshot->height, ==, 1);
    g_assert_cmpuint(screenshot->pixels[0], ==, 20);
    g_assert_cmpuint(screenshot->pixels[1], ==, 255);
}

static void refuse(const void *data, gsize length)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(parse(data, length, &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_PROTOCOL);
}

static void test_truncated(void)
{
    g_autofree char *longer = g_malloc0(sizeof ppm);

    for (gsize length = 0; length < sizeof ppm - 1; length++)
        refuse(ppm, length);
    memcpy(longer, ppm, sizeof ppm - 1);
    refuse(longer, sizeof ppm);
}

static void test_bad_headers(void)
{
    const char *const files[] = {"P5\n1 1\n255\nabc", "P6\n0 1\n255\n", "P6\n1 0\n255\n",
        "P6\n-1 1\n255\nabc", "P6\n1 1\n254\nabc", "P6\n1 1\n256\nabc", "P6\n1  1\n255\nabc",
        "P6\n1 1\n255abc", "P6\n4097 1\n255\nabc", "P6\n4294967297 1\n255\nabc",
        "P6 1 1\n255\nabc"};

    refuse("P6\n1 1\n255\nab", 13);
    for (gsize i = 0; i < G_N_ELEMENTS(files); i++)
        refuse(files[i], strlen(files[i]));
}

static SpScreenshot *make(guint width, guint height, const guint8 *pixels)
{
    SpScreenshot *screenshot = g_new0(SpScreenshot, 1);

    screenshot->width = width;
    screenshot->height = height;
    screenshot->pixels = g_memdup2(pixels, (gsize)width * height);
    return screenshot;
}

static void test_double(void)
{
    const guint8 pixels[] = {0, 160, 160, 0}, same[] = {77};
    const guint8 expected[] = {
        0, 40, 120, 160, 40, 60, 100, 120, 120, 100, 60, 40, 160, 120, 40, 0};
    g_autoptr(SpScreenshot) screenshot = make(2, 2, pixels);
    g_autoptr(SpScreenshot) one = make(1, 1, same);
    g_autoptr(SpScreenshot) twice = sp_screenshot_double(screenshot);
    g_autoptr(SpScreenshot) four = sp_screenshot_double(one);

    g_assert_cmpuint(twice->width, ==, 4);
    g_assert_cmpuint(twice->height, ==, 4);
    g_assert_cmpmem(twice->pixels, 16, expected, sizeof expected);
    for (guint i = 0; i < 4; i++)
        g_assert_cmpuint(four->pixels[i], ==, 77);
}

static void test_reverse(void)
{
    const guint8 pixels[] = {0, 255, 10}, expected[] = {255, 0, 245};
    g_autoptr(SpScreenshot) screenshot = make(3, 1, pixels);

    g_assert_true(sp_screenshot_is_dark(screenshot));
    sp_screenshot_reverse(screenshot);
    g_assert_cmpmem(screenshot->pixels, 3, expected, 3);
    g_assert_false(sp_screenshot_is_dark(screenshot));
}

static void test_format(void)
{
    const guint8 pixels[] = {0, 255, 10};
    g_autoptr(SpScreenshot) screenshot = make(1, 3, pixels);
    g_autoptr(GByteArray) file = sp_screenshot_format(screenshot);

    g_assert_cmpmem(file->data, file->len, "P5\n1 3\n255\n\0\xff\n", 14);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/screenshot/parse", test_parse);
    g_test_add_func("/screenshot/truncated", test_truncated);
    g_test_add_func("/screenshot/bad-headers", test_bad_headers);
    g_test_add_func("/screenshot/double", test_double);
    g_test_add_func("/screenshot/reverse", test_reverse);
    g_test_add_func("/screenshot/format", test_format);
    return g_test_run();
}
