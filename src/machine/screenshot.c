/* SPDX-License-Identifier: MIT */
#include "machine/screenshot.h"

#include "base/error.h"

#include <string.h>

/* The longest header there can be: "P6", two sides, the maximum, and blanks between. */
#define HEADER_MAX 64u

static SpPicture *picture_new(guint width, guint height)
{
    SpPicture *picture = g_new0(SpPicture, 1);

    picture->width = width;
    picture->height = height;
    picture->pixels = g_malloc((gsize)width * height);
    return picture;
}

void sp_picture_free(SpPicture *picture)
{
    if (!picture)
        return;
    g_free(picture->pixels);
    g_free(picture);
}

/* A number and one blank behind it, from @offset on; false where there is none up to @max. */
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

SpPicture *sp_picture_parse(const guint8 *data, gsize length, GError **error)
{
    gsize offset = 3, header = MIN(length, HEADER_MAX);
    guint width, height, largest;
    SpPicture *picture;

    if (length < offset || memcmp(data, "P6\n", offset) != 0 ||
        !take_number(data, header, &offset, SP_PICTURE_SIZE_MAX, &width) ||
        !take_number(data, header, &offset, SP_PICTURE_SIZE_MAX, &height) ||
        !take_number(data, header, &offset, 255, &largest) || largest != 255 ||
        length - offset != (gsize)width * height * 3) {
        g_set_error_literal(error, SP_ERROR, SP_ERROR_PROTOCOL,
            "QEMU's picture of the screen is no whole PPM file");
        return NULL;
    }
    picture = picture_new(width, height);
    for (gsize i = 0; i < (gsize)width * height; i++) {
        const guint8 *rgb = data + offset + i * 3;
        picture->pixels[i] = (guint8)((rgb[0] + rgb[1] + rgb[2]) / 3);
    }
    return picture;
}

/* The pixel nearest to @x, @y. */
static guint pixel_at(const SpPicture *picture, gint64 x, gint64 y)
{
    x = CLAMP(x, 0, (gint64)picture->width - 1);
    y = CLAMP(y, 0, (gint64)picture->height - 1);
    return picture->pixels[y * picture->width + x];
}

SpPicture *sp_picture_double(const SpPicture *picture)
{
    SpPicture *twice = picture_new(picture->width * 2, picture->height * 2);

    for (guint y = 0; y < twice->height; y++) {
        for (guint x = 0; x < twice->width; x++) {
            gint64 near_x = x / 2, near_y = y / 2;
            gint64 far_x = x % 2 ? near_x + 1 : near_x - 1;
            gint64 far_y = y % 2 ? near_y + 1 : near_y - 1;
            guint sum = 9 * pixel_at(picture, near_x, near_y) +
                        3 * pixel_at(picture, far_x, near_y) +
                        3 * pixel_at(picture, near_x, far_y) + pixel_at(picture, far_x, far_y);

            twice->pixels[(gsize)y * twice->width + x] = (guint8)(sum / 16);
        }
    }
    return twice;
}

bool sp_picture_is_dark(const SpPicture *picture)
{
    gsize count = (gsize)picture->width * picture->height;
    guint64 sum = 0;

    for (gsize i = 0; i < count; i++)
        sum += picture->pixels[i];
    return sum / count < 128;
}

void sp_picture_reverse(SpPicture *picture)
{
    for (gsize i = 0; i < (gsize)picture->width * picture->height; i++)
        picture->pixels[i] = (guint8)(255 - picture->pixels[i]);
}

GByteArray *sp_picture_format(const SpPicture *picture)
{
    g_autofree char *header = g_strdup_printf("P5\n%u %u\n255\n", picture->width, picture->height);
    GByteArray *file = g_byte_array_new();

    g_byte_array_append(file, (const guint8 *)header, (guint)strlen(header));
    g_byte_array_append(file, picture->pixels, picture->width * picture->height);
    return file;
}
