/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>

/**
 * A capture file that Wireshark and tshark read: pcapng (draft-ietf-opsawg-pcapng: Section Header
 * Block 4.1, Interface Description Block 4.2, Enhanced Packet Block 4.3), an interface a port, with
 * times in microseconds.
 *
 * A file that can't be written any more (a full disk) is told of once, by sp_capture_error(), and
 * then left alone: a test does not fail for it.
 */
typedef struct SpCapture SpCapture;

/** Make the file, in place of one that is there. */
SpCapture *sp_capture_new(const char *path, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** Write out what is still held, and close. NULL is fine. */
void sp_capture_free(SpCapture *capture);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpCapture, sp_capture_free)

/** Add an interface; returns its number. */
guint sp_capture_add_interface(SpCapture *capture, const char *name);
/** Add a frame that came in at @interface at @time_us, microseconds since 1970. */
void sp_capture_frame(
    SpCapture *capture, guint interface, gint64 time_us, const guint8 *frame, gsize length);
/** Its file. */
const char *sp_capture_path(const SpCapture *capture);
/** Write out what is held. */
void sp_capture_flush(SpCapture *capture);
/** What went wrong; NULL while nothing has. */
const GError *sp_capture_error(const SpCapture *capture);
