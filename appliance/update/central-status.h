/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * RAUC's central status file (RAUC manual, "statusfile"), and a copy by which a torn file is
 * recognised and restored. RAUC replaces the file in one step, but syncs the new one first only if
 * the old one exists and is not empty: the very first one may come out empty after a power cut, and
 * devices in the field have had empty and torn ones for other reasons too.
 *
 * The copy holds a line "CRC32=%08x" and then the bytes of the status file, over which the CRC is
 * taken.
 *
 * Functions return 0 or a negative errno. @dirfd is the directory of both files, which only one
 * process at a time may use.
 */

#include <stdbool.h>
#include <stddef.h>

#define CENTRAL_STATUS_FILE "central.raucs"
#define CENTRAL_STATUS_COPY "central.raucs.copy"
#define CENTRAL_STATUS_MAX (64u * 1024) /* bytes */

enum central_status_found {
    CENTRAL_STATUS_WHOLE,
    CENTRAL_STATUS_MISSING,
    CENTRAL_STATUS_EMPTY,
    CENTRAL_STATUS_TORN, /* not a key file, or only the beginning of what it was */
};

enum central_status_done {
    CENTRAL_STATUS_LEFT,     /* left as it was; only the copy was updated, if need be */
    CENTRAL_STATUS_RESTORED, /* restored from the copy */
    CENTRAL_STATUS_BEGUN,    /* replaced by a new one without content, since there was no copy */
};

/**
 * Returns whether RAUC could have written the text: each line is empty, a comment, "[group]" or
 * "key=value", the first that is not empty or a comment is a group, and the last line is complete.
 * A pure function.
 */
bool central_status_is_whole(const char *text, size_t length);

/** Check the file, put it in order if need be, and keep a copy of it. What is written is durable.
 */
int central_status_keep(
    int dirfd, enum central_status_found *ret_found, enum central_status_done *ret_done);
