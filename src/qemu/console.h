/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>

/**
 * A serial console of a machine: its lines as they come, the last ones kept, all bytes in a file.
 *
 * Works while the default main context turns. Main thread only.
 */
typedef struct SpConsole SpConsole;

#define SP_CONSOLE_LINES_MAX 4096u
#define SP_CONSOLE_LINE_MAX 4096u /* bytes; a longer line is cut into pieces */
#define SP_CONSOLE_LOG_MAX (128u * 1024 * 1024)
#define SP_CONSOLE_INPUT_MAX 65536u

/** Each whole line: valid UTF-8 without its end and without escape sequences. Of one that was
 * overwritten behind a carriage return, as progress is shown, what was there last; of a very long
 * one of these, what was there each SP_CONSOLE_LINE_MAX bytes. */
typedef void (*SpConsoleLineFunc)(const char *line, void *data);

/**
 * @log_path gets every byte as it came, appended, SP_CONSOLE_LOG_MAX of them at most; NULL for no
 * file.
 */
SpConsole *sp_console_new(const char *log_path, SpConsoleLineFunc func, void *data,
    GError **error) G_GNUC_WARN_UNUSED_RESULT;
void sp_console_free(SpConsole *console);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpConsole, sp_console_free)

/**
 * Read from the stream socket @fd, which is taken, from now on; one given before is closed after
 * what it still holds was read. -1: only that.
 */
void sp_console_attach(SpConsole *console, int fd);

/**
 * Send bytes to the guest, as if typed; what the socket does not take at once follows while the
 * main context turns. SP_ERROR_MACHINE where nothing is attached, or the guest has not read the
 * last SP_CONSOLE_INPUT_MAX bytes; then nothing of @data is sent.
 */
bool sp_console_write(
    SpConsole *console, const guint8 *data, gsize length, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/** Have all bytes passed to @func as they come, besides their usual processing; NULL: not any more.
 */
typedef void (*SpConsoleTapFunc)(const guint8 *data, gsize length, void *user_data);
void sp_console_set_tap(SpConsole *console, SpConsoleTapFunc func, void *user_data);

/** Feed bytes as if they had been read: what sp_console_attach()'s descriptor leads to. */
void sp_console_take(SpConsole *console, const guint8 *data, gsize length);

/** The number that the next line to begin will have; counts from 0. */
guint64 sp_console_next_line(SpConsole *console);

/** A regular expression for sp_console_take_match(): a carriage return ends a line, too. */
GRegex *sp_console_regex_new(const char *pattern, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/**
 * Look for @regex in the lines that were not read yet, the oldest first, the unfinished last one
 * included. A match is read, with all that stands before it; what stands behind it is not, even in
 * the same line. Without a match nothing is read. Lines that are no longer kept are passed over.
 */
bool sp_console_take_match(SpConsole *console, GRegex *regex);
/** All that is there is read. */
void sp_console_read_all(SpConsole *console);
/** The same, and what comes next begins a line: the guest was started anew. */
void sp_console_begin_anew(SpConsole *console);

/** The last @lines lines, each ended by a newline, the unfinished one included, without what was
 * overwritten behind a carriage return. */
char *sp_console_tail(SpConsole *console, guint lines);
/** All lines that are kept, what was overwritten as lines of their own. @ret_read (may be NULL) is
 * how many bytes of it are read. */
char *sp_console_text(SpConsole *console, gsize *ret_read);
