/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>

/**
 * Parse @options; --help prints and ends the program with 0. False for wrong ones, after saying so.
 * @name is the command as typed, @arguments what follows the options.
 */
bool sp_parse_options(int *argc, char ***argv, const char *name, const char *arguments,
    const char *summary, const GOptionEntry *options);

/** Whether both are there and one file, by whatever names: symlinks are followed, hard links count.
 * NULL is no file. */
bool sp_is_same_file(const char *a, const char *b);
/** Whether @path, which is there, lies in the directory @dir or below it. */
bool sp_is_within(const char *path, const char *dir);

/** Print "slotproof: ..." on stderr and return 2. */
int sp_usage_error(const char *format, ...) G_GNUC_PRINTF(1, 2);
