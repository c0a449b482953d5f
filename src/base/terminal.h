/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>

/**
 * The user's terminal, connected to a program elsewhere. It is in raw mode, so that every key
 * reaches the program, including Ctrl-C, until the user leaves with Ctrl-].
 *
 * Works while the default main context runs. Main thread only.
 */
typedef struct SpTerminal SpTerminal;

#define SP_TERMINAL_LEAVE 0x1d /* Ctrl-] */

typedef struct {
    /** Returns how many bytes input() accepts now. After 0, call sp_terminal_continue() when it
     * accepts more. */
    gsize (*room)(void *data);
    /** Takes what was typed. */
    void (*input)(const guint8 *bytes, gsize length, void *data);
    /** The window was resized; may be NULL. */
    void (*resized)(guint rows, guint columns, void *data);
} SpTerminalOps;

/**
 * Put the terminal behind @input_fd and @output_fd, neither of which is taken, into raw mode.
 * SP_ERROR_USAGE if they are not a terminal.
 */
SpTerminal *sp_terminal_open(int input_fd, int output_fd, const SpTerminalOps *ops, void *data,
    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** Restores the terminal's settings. Accepts NULL. */
void sp_terminal_free(SpTerminal *terminal);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpTerminal, sp_terminal_free)

/** Show bytes. They are dropped if the terminal is gone. */
void sp_terminal_write(SpTerminal *terminal, const void *bytes, gsize length);
/** Tell the terminal that input() may accept bytes again. */
void sp_terminal_continue(SpTerminal *terminal);
/** True once the user has left, or the terminal is gone. */
bool sp_terminal_was_left(SpTerminal *terminal);
void sp_terminal_size(SpTerminal *terminal, guint *ret_rows, guint *ret_columns);
