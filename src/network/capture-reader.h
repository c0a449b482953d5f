/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/** What the frames that sp_capture_read_frames() returns may take together. */
#define SP_CAPTURE_READ_MAX (64u * 1024 * 1024)

/**
 * The frames of the capture file @path (pcapng or pcap, of Ethernet) that @filter takes, oldest
 * first, as a new array of GBytes. @filter is in pcap's language (pcap-filter(7)); NULL or ""
 * takes all. Host names in it are looked up on the host.
 *
 * A file that ends in the middle of a block, as one does that is still written or whose disk was
 * full, has the frames in front of that. What a SpCapture still holds is not in its file: flush it
 * first. SP_ERROR_USAGE for a filter that is none, and for one that takes more than
 * SP_CAPTURE_READ_MAX; SP_ERROR_HOST for a file that can't be read or is no capture.
 */
GPtrArray *sp_capture_read_frames(
    const char *path, const char *filter, GError **error) G_GNUC_WARN_UNUSED_RESULT;
