/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/wait.h"
#include "machine/screenshot.h"

/**
 * Reading the text on a screenshot with the program tesseract.
 *
 * @variant is how to prepare the screenshot, from 0 on, the usually best one first. SP_ERROR_USAGE,
 * naming the package, if tesseract is not installed; SP_ERROR_HOST if it fails. Turns the default
 * main context.
 */
#define SP_OCR_VARIANTS 3u

char *sp_ocr_read(const SpScreenshot *screenshot, guint variant, gint64 deadline,
    const SpInterrupt *interrupt, GError **error) G_GNUC_WARN_UNUSED_RESULT;
