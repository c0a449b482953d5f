/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/wait.h"
#include "machine/screenshot.h"

/**
 * Reading text off a screenshot, by the program tesseract.
 *
 * @variant is which way to prepare the screenshot, from 0 on, the one that mostly reads best first.
 * SP_ERROR_USAGE, naming the package, where tesseract is not installed; SP_ERROR_HOST where it
 * fails. Turns the default main context.
 */
#define SP_OCR_VARIANTS 3u

char *sp_ocr_read(const SpScreenshot *screenshot, guint variant, gint64 deadline,
    const SpInterrupt *interrupt, GError **error);
