/* SPDX-License-Identifier: MIT */
#include "machine/screenshot.h"

#include "base/error.h"

#include <string.h>

/* The longest possible header: "P6", width, height, maximum, and spaces between. */
#define HEADER_MAX 64u

static SpScreenshot *new_screenshot(guint width, guint height)
{
    SpScreenshot *screenshot = g_new0(SpScreenshot, 1);

    screenshot->width = width;
    screenshot->height = height;
    screenshot->pixels = g_malloc((gsize)width * height);
    return screenshot;
}

void sp_screenshot_free(SpScreenshot *screenshot)
{
    if (!screenshot)
        return;
    g_free(screenshot->pixels);
    g_free(screenshot);
}

/* Read a number of at most @max and the space after it from @offset on. */
static bool take_number(
    const guint8 *data, gsize length, gsize *offset, guint max, guint *ret_number)
{
    gsize begin = *offset, i = *offset;
    guint number = 0;

    for (; i < length && g_ascii_isdigit((char)data[i]) && number <= max; i++)
        number = number * 10 + (data[i] - '0');
    if (i == begin || i == length || number == 0 || number > max || !g_ascii_isspace((char)data[i]))
        return false;
    *offset = i + 1;
    *ret_number = number;
    return true;
}

SpScreenshot *sp_screenshot_parse(const guint8 *data, gsize length, GError **error)
{
    gsize offset = 3, header = MIN(length, HEADER_MAX);
    guint width, height, largest;
    SpScreenshot *screenshot;

    if (length < offset || memcmp(data, "P6\n", offset) != 0 ||
        !take_number(data, header, &offset, SP_SCREENSHOT_SIZE_MAX, &width) ||
        !take_number(data, header, &offset, SP_SCREENSHOT_SIZE_MAX, &height) ||
        !take_number(data, header, &offset, 255, &largest) || largest != 255 ||
        length - offset != (gsize)width * height * 3) {
        g_set_error_literal(
            error, SP_ERROR, SP_ERROR_PROTOCOL, "QEMU's screenshot is no whole PPM file");
        return NULL;
    }
    screenshot = new_screenshot(width, height);
    for (gsize i = 0; i < (gsize)width * height; i++) {
        const guint8 *rgb = data + offset + i * 3;
        screenshot->pixels[i] = (guint8)((rgb[0] + rgb[1] + rgb[2]) / 3);
    }
    return screenshot;
}

/* The pixel nearest to @x, @y. */
static guint pixel_at(const SpScreenshot *screenshot, gint64 x, gint64 y)
{
    x = CLAMP(x, 0, (gint64)screenshot->width - 1);
    y = CLAMP(y, 0, (gint64)screenshot->height - 1);
    return screenshot->pixels[y * screenshot->width + x];
}

SpScreenshot *sp_screenshot_double(const SpScreenshot *screenshot)
{
    SpScreenshot *twice = new_screenshot(screenshot->width * 2, screenshot->height * 2);

    for (guint y = 0; y < twice->height; y++) {
        for (guint x = 0; x < twice->width; x++) {
            gint64 near_x = x / 2, near_y = y / 2;
            gint64 far_x = x % 2 ? near_x + 1 : near_x - 1;
            gint64 far_y = y % 2 ? near_y + 1 : near_y - 1;
            guint sum =
                9 * pixel_at(screenshot, near_x, near_y) + 3 * pixel_at(screenshot, far_x, near_y) +
                3 * pixel_at(screenshot, near_x, far_y) + pixel_at(screenshot, far_x, far_y);

            twice->pixels[(gsize)y * twice->width + x] = (guint8)(sum / 16);
        }
    }
    return twice;
}

bool sp_screenshot_is_dark(const SpScreenshot *screenshot)
{
    gsize count = (gsize)screenshot->width * screenshot->height;
    guint64 sum = 0;

    for (gsize i = 0; i < count; i++)
        sum += screenshot->pixels[i];
    return sum / count < 128;
}

void sp_screenshot_reverse(SpScreenshot *screenshot)
{
    for (gsize i = 0; i < (gsize)screenshot->width * screenshot->height; i++)
        screenshot->pixels[i] = (guint8)(255 - screenshot->pixels[i]);
}

GByteArray *sp_screenshot_format(const SpScreenshot *screenshot)
{
    g_autofree char *header =
        g_strdup_printf("P5\n%u %u\n255\n", screenshot->width, screenshot->height);
    GByteArray *file = g_byte_array_new();

    g_byte_array_append(file, (const guint8 *)header, (guint)strlen(header));
    g_byte_array_append(file, screenshot->pixels, screenshot->width * screenshot->height);
    return file;
}
