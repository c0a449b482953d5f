/* SPDX-License-Identifier: MIT */
#include "machine/screenshot.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A picture as large as the file says, and no part of it beyond the file. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(SpPicture) picture = sp_picture_parse(data, size, &error);

    if (!picture != !!error)
        abort();
    if (!picture)
        return 0;
    if (picture->width == 0 || picture->height == 0 ||
        (size_t)picture->width * picture->height * 3 >= size)
        abort();
    g_autoptr(SpPicture) twice = sp_picture_double(picture);
    guint8 corner = twice->pixels[0];
    /* one that is neither dark nor light may be either, both ways round */
    (void)sp_picture_is_dark(twice);
    sp_picture_reverse(twice);
    if (twice->pixels[0] != 255 - corner)
        abort();
    g_autoptr(GByteArray) file = sp_picture_format(picture);
    if (file->len <= picture->width * picture->height)
        abort();
    return 0;
}
