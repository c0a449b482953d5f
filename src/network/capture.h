/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>

/**
 * A capture file that Wireshark and tshark read: pcapng (draft-ietf-opsawg-pcapng: Section Header
 * Block 4.1, Interface Description Block 4.2, Enhanced Packet Block 4.3), one interface per port,
 * with times in microseconds.
 *
 * If the file can't be written any more (a full disk), sp_capture_error() reports that and the
 * capture ends; the test does not fail for it.
 */
typedef struct SpCapture SpCapture;

/** Create the file, or truncate it. */
SpCapture *sp_capture_new(const char *path, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** Write out what is buffered, and close. NULL is accepted. */
void sp_capture_free(SpCapture *capture);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpCapture, sp_capture_free)

/** Add an interface; returns its number. */
guint sp_capture_add_interface(SpCapture *capture, const char *name);
/** Add a frame that was received at @interface at @time_us, in microseconds since 1970. */
void sp_capture_frame(
    SpCapture *capture, guint interface, gint64 time_us, const guint8 *frame, gsize length);
/** The path of its file. */
const char *sp_capture_path(const SpCapture *capture);
/** Write out what is buffered. */
void sp_capture_flush(SpCapture *capture);
/** The error that ended it, or NULL. */
const GError *sp_capture_error(const SpCapture *capture);
