/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>

/** What a prompt is wanted with; NULL is what 'slotproof debug' does without that option. */
typedef struct {
    const char *tests;
    const char *test;
    const char *images;
    const char *out;
    const char *disk; /* a raw file in place of the first machine's disk; NULL: none */
    bool is_kept;     /* the machines' disks stay */
} SpDebug;

/** A prompt on this process's terminal, until its end. Returns the exit status. */
int sp_debug(const SpDebug *wanted);
/** Whether sp_debug() leaves the file @path, which empties a folder below @out (NULL: the usual
 * one); false after saying so. */
bool sp_debug_keeps(const char *path, const char *out);
