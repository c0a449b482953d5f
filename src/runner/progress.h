/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>

/**
 * What a run of tests shows while it runs. On a terminal: below all that was printed one line for
 * each test that runs, with its name, its time and what it is doing now. Elsewhere, and on a
 * terminal that can't move its cursor (TERM=dumb), only what is printed.
 *
 * Colours only on a terminal, and not where the environment has NO_COLOR (no-color.org). Works
 * while the default main context turns. Main thread only.
 */
typedef struct SpProgress SpProgress;

/** Show on the descriptor @fd, which is not taken; no live lines where @is_plain. */
SpProgress *sp_progress_new(int fd, bool is_plain);
/** Takes the live lines away. NULL is fine. */
void sp_progress_free(SpProgress *progress);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpProgress, sp_progress_free)

/** Whether there are live lines. */
bool sp_progress_is_live(const SpProgress *progress);

/** The test @name runs from now on. */
void sp_progress_begin(SpProgress *progress, const char *name);
/** What it is doing now; "" for nothing that has a name. */
void sp_progress_step(SpProgress *progress, const char *name, const char *text);
/** It has ended. */
void sp_progress_end(SpProgress *progress, const char *name);

typedef enum {
    SP_COLOUR_NONE,
    SP_COLOUR_GOOD,
    SP_COLOUR_BAD,
    SP_COLOUR_DOUBTFUL,
} SpColour;

/** @text in a colour, where there are any; free with g_free(). */
char *sp_progress_paint(const SpProgress *progress, SpColour colour, const char *text);
/** Print whole lines, above those that are live. @text ends with a newline and is printed as it is.
 */
void sp_progress_print(SpProgress *progress, const char *text);
