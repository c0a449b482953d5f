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

/** Each whole line: valid UTF-8 without its end and without escape sequences. */
typedef void (*SpConsoleLineFunc)(const char *line, void *data);

/**
 * @log_path gets every byte as it came, appended, SP_CONSOLE_LOG_MAX of them at most; NULL for no
 * file.
 */
SpConsole *sp_console_new(const char *log_path, SpConsoleLineFunc func, void *data, GError **error);
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
bool sp_console_write(SpConsole *console, const guint8 *data, gsize length, GError **error);

/** Who is given all bytes as they come, besides what happens with them anyway; NULL for nobody. */
typedef void (*SpConsoleTapFunc)(const guint8 *data, gsize length, void *user_data);
void sp_console_set_tap(SpConsole *console, SpConsoleTapFunc func, void *user_data);

/** Feed bytes as if they had been read: what sp_console_attach()'s descriptor leads to. */
void sp_console_take(SpConsole *console, const guint8 *data, gsize length);

/** The number that the next line to begin will have; counts from 0. */
guint64 sp_console_next_line(SpConsole *console);
/**
 * Look for @regex in the lines from number @from on, the unfinished last one included.
 * Lines that are no longer kept are passed over.
 */
bool sp_console_match(SpConsole *console, GRegex *regex, guint64 from);
/** The last @lines lines, each ended by a newline, the unfinished one included. */
char *sp_console_tail(SpConsole *console, guint lines);

/**
 * Whether a line is the kernel saying that it cannot go on (panic, oops, BUG): what a machine does
 * not recover from by itself. Text that a program or the kernel's command line carries does not
 * count. Works on lines with and without the kernel's time stamp.
 */
bool sp_console_line_is_fatal(const char *line);
