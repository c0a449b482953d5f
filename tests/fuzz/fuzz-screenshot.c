/* SPDX-License-Identifier: MIT */
#include "machine/screenshot.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A screenshot as large as the file says, and no part of it beyond the file. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(SpScreenshot) screenshot = sp_screenshot_parse(data, size, &error);

    if (!screenshot != !!error)
        abort();
    if (!screenshot)
        return 0;
    if (screenshot->width == 0 || screenshot->height == 0 ||
        (size_t)screenshot->width * screenshot->height * 3 >= size)
        abort();
    g_autoptr(SpScreenshot) twice = sp_screenshot_double(screenshot);
    guint8 corner = twice->pixels[0];
    /* one that is neither dark nor light may be either, both ways round */
    (void)sp_screenshot_is_dark(twice);
    sp_screenshot_reverse(twice);
    if (twice->pixels[0] != 255 - corner)
        abort();
    g_autoptr(GByteArray) file = sp_screenshot_format(screenshot);
    if (file->len <= screenshot->width * screenshot->height)
        abort();
    return 0;
}
