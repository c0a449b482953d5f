/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>

/**
 * What a run of tests shows while it runs. On a terminal, below all that was printed: one live line
 * for each test that runs, with its name, its time and its current step. Elsewhere, and on a
 * terminal that can't move its cursor (TERM=dumb), only what is printed.
 *
 * Colours are used only on a terminal, and not if the environment has NO_COLOR (no-color.org).
 * Works while the default main context runs. Main thread only.
 */
typedef struct SpProgress SpProgress;

/** Show on the descriptor @fd, and warnings on @error_fd; neither is owned. No live lines if
 * @is_plain. */
SpProgress *sp_progress_new(int fd, int error_fd, bool is_plain);
/** Removes the live lines. NULL is accepted. */
void sp_progress_free(SpProgress *progress);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpProgress, sp_progress_free)

/** Whether there are live lines. */
bool sp_progress_is_live(const SpProgress *progress);

/** The test @name has started. */
void sp_progress_begin(SpProgress *progress, const char *name);
/** Its current step; "" if that has no name. */
void sp_progress_step(SpProgress *progress, const char *name, const char *text);
/** It has ended. */
void sp_progress_end(SpProgress *progress, const char *name);

typedef enum {
    SP_COLOUR_NONE,
    SP_COLOUR_GOOD,
    SP_COLOUR_BAD,
    SP_COLOUR_DOUBTFUL,
} SpColour;

/** Returns @text in a colour if colours are used. Free with g_free(). */
char *sp_progress_paint(const SpProgress *progress, SpColour colour, const char *text);
/** Print whole lines, above those that are live. @text ends with a newline and is printed
 * unchanged. */
void sp_progress_print(SpProgress *progress, const char *text);
/** The errno of the first write that failed, after which part of the output is lost; 0 if none
 * did. */
int sp_progress_write_error(const SpProgress *progress);
/** Print "slotproof: warning: @text" where the user sees it even if stdout is redirected. */
void sp_progress_warn(SpProgress *progress, const char *text);
/** The same for an error: "slotproof: @text". */
void sp_progress_print_error(SpProgress *progress, const char *text);
