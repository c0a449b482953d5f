/* SPDX-License-Identifier: MIT */
#pragma once

/** Called for each module that could not be loaded, with a negative errno. */
typedef void (*boot_modules_error_func)(void *data, const char *name, int error);

/**
 * Load the kernel modules that the text file @directory/order names, one per line and relative to
 * @directory, in that order. A space and parameters may follow the name. Empty lines and lines that
 * begin with '#' are skipped.
 *
 * A module that is already loaded is no error, and neither is one whose hardware is absent
 * (ENODEV). Any other failure is reported to @on_error, and loading goes on with the next module:
 * what is really needed is missed later. Returns 0, or a negative errno if the file cannot be read
 * or is too long.
 */
int boot_modules_load(const char *directory, boot_modules_error_func on_error, void *data);
