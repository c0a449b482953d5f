/* SPDX-License-Identifier: MIT */
#pragma once

/** Told of each module that could not be loaded, with a negative errno. */
typedef void (*boot_modules_error_func)(void *data, const char *name, int error);

/**
 * Load the kernel modules that the text file @folder/order names, one a line, relative to @folder,
 * in that order; parameters may follow behind a blank. Blank lines and those that start with '#'
 * are skipped.
 *
 * A module that is there already is fine, and so is one whose hardware is not (ENODEV). One that
 * cannot be loaded is told to @on_error, and the next one is tried: what is really missing shows
 * later. Returns 0, or a negative errno if the file cannot be read or is too long.
 */
int boot_modules_load(const char *folder, boot_modules_error_func on_error, void *data);
