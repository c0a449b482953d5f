/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>

/**
 * The user's terminal, handed to a program elsewhere: raw, so that every key gets there, Ctrl-C as
 * well, until the user leaves it with Ctrl-].
 *
 * Works while the default main context turns. Main thread only.
 */
typedef struct SpTerminal SpTerminal;

#define SP_TERMINAL_LEAVE 0x1d /* Ctrl-] */

typedef struct {
    /** How many bytes input() takes now. When it is more again: sp_terminal_continue(). */
    gsize (*room)(void *data);
    /** What was typed. */
    void (*input)(const guint8 *bytes, gsize length, void *data);
    /** The window has another size; may be NULL. */
    void (*resized)(guint rows, guint columns, void *data);
} SpTerminalOps;

/**
 * Make the terminal raw that is both @input_fd and @output_fd, neither of which is taken.
 * SP_ERROR_USAGE where they are no terminal.
 */
SpTerminal *sp_terminal_open(
    int input_fd, int output_fd, const SpTerminalOps *ops, void *data, GError **error);
/** Makes it again what it was. NULL is fine. */
void sp_terminal_free(SpTerminal *terminal);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpTerminal, sp_terminal_free)

/** Show bytes; what is lost with a terminal that has gone is nobody's. */
void sp_terminal_write(SpTerminal *terminal, const void *bytes, gsize length);
/** There may be room again. */
void sp_terminal_continue(SpTerminal *terminal);
/** True once the user left it, or it has gone. */
bool sp_terminal_was_left(SpTerminal *terminal);
void sp_terminal_size(SpTerminal *terminal, guint *ret_rows, guint *ret_columns);
