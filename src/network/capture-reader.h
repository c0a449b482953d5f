/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/** The limit on the total size of the frames that sp_capture_read_frames() returns. */
#define SP_CAPTURE_READ_MAX (64u * 1024 * 1024)

/**
 * The frames of the capture file @path (pcapng or pcap, of Ethernet) that match @filter, oldest
 * first, as a new array of GBytes. @filter is a pcap filter (pcap-filter(7)); NULL or "" matches
 * all. Host names in it are looked up on the host.
 *
 * If a file ends in the middle of a block (it is still being written, or the disk was full), the
 * frames before that are returned. What a SpCapture has buffered is not in its file: flush it
 * first. SP_ERROR_USAGE if the filter is invalid or matches more than SP_CAPTURE_READ_MAX;
 * SP_ERROR_HOST if the file can't be read or is not a capture.
 */
GPtrArray *sp_capture_read_frames(
    const char *path, const char *filter, GError **error) G_GNUC_WARN_UNUSED_RESULT;
