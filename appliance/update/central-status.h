/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * RAUC's central status file (RAUC manual, "statusfile"), and a copy that tells a whole one from
 * one that a power cut has torn. RAUC replaces the file in one step, but syncs it before only where
 * there was one that is not empty: the first one may come out empty, and devices in the field have
 * had empty and torn ones for other reasons too.
 *
 * The copy holds a line "CRC32=%08x" and then the bytes of the status file that the CRC is over.
 *
 * Functions return 0 or a negative errno. @dirfd is the folder of both. Only one process at a time
 * may use them on a folder.
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
    CENTRAL_STATUS_TORN, /* not a key file, or the beginning of what it was */
};

enum central_status_done {
    CENTRAL_STATUS_LEFT,     /* nothing to do but to keep the copy */
    CENTRAL_STATUS_RESTORED, /* from the copy */
    CENTRAL_STATUS_BEGUN,    /* anew, since there was no copy */
};

/** Whether the text could be written by RAUC: lines that are empty, "[group]", "key=value" or a
 * comment, the first of them a group, the last one ended. A pure function. */
bool central_status_is_whole(const char *text, size_t length);

/** Look at the file, put it in order if need be, and keep a copy of it. What it writes is durable.
 */
int central_status_keep(
    int dirfd, enum central_status_found *ret_found, enum central_status_done *ret_done);
