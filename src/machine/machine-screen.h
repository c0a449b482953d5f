/* SPDX-License-Identifier: MIT */
#pragma once

#include "machine/machine.h"

/**
 * A machine's screen and keyboard.
 */

/**
 * Write what the machine's screen shows as a PNG file at the host's @path. SP_ERROR_USAGE if this
 * QEMU can't (before 7.1, or built without libpng).
 */
bool sp_machine_screenshot(
    SpMachine *machine, const char *path, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/**
 * The text on the screen as an OCR program reads it (machine/ocr.h), in @variants ways, at most
 * SP_OCR_VARIANTS: NULL-terminated, the most likely one first. Free with g_strfreev().
 */
char **sp_machine_screen_text(
    SpMachine *machine, guint variants, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** Wait until one of these matches @regex. Looks repeatedly, since a screen has no event. */
bool sp_machine_wait_for_text(SpMachine *machine, const char *regex, gint64 timeout_ms,
    GError **error) G_GNUC_WARN_UNUSED_RESULT;

/**
 * Press a key: a character, or keys with QEMU's names (QMP reference, "QKeyCode") joined by '-' to
 * press them together. Returns when they are up again. SP_ERROR_USAGE if @key is not a valid name.
 */
bool sp_machine_send_key(
    SpMachine *machine, const char *key, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** Type UTF-8 @text, waiting @delay_ms after each key. SP_ERROR_USAGE, with nothing typed, if a
 * character is not on a US keyboard. */
bool sp_machine_send_chars(SpMachine *machine, const char *text, gint64 delay_ms,
    GError **error) G_GNUC_WARN_UNUSED_RESULT;
