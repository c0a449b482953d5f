/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Kernel command lines: words separated by spaces; quotes have no meaning. Pure functions, except
 * for those that read a file. They return a negative errno on failure.
 */

#include "appliance/boot/boot-state.h"

/* Sizes include the NUL. COMMAND_LINE_SIZE of x86 and arm64: */
#define CMDLINE_MAX 2048u
#define CMDLINE_EXTRA_MAX 1024u
/* What is read from a file may be longer: a kernel shows what the boot loader added, too. */
#define CMDLINE_FILE_MAX 4096u

/** The command line of the running kernel. */
#define CMDLINE_FILE "/proc/cmdline"

/** Read the command line in the file @path. -EFBIG if it is too long. */
int cmdline_read(const char *path, char ret_cmdline[static CMDLINE_FILE_MAX]);

/**
 * The slot in the last word "rauc.slot=NAME"; SP_SLOT_NONE if there is no such word, or no slot of
 * that name.
 */
enum sp_slot cmdline_slot(const char *cmdline);
/** The same for the command line in the file @path; also SP_SLOT_NONE if it cannot be read. */
enum sp_slot cmdline_read_slot(const char *path);

/**
 * Build the command line of a slot's kernel from, in this order: the words of the selector's own
 * command line @own that begin with "slot.arg=", without that prefix; the words of the slot's file
 * @extra (@extra_length bytes, one line); "rauc.slot=" with the bootname of @slot; and
 * "slot_selector.note=" with @note, unless that is empty.
 *
 * Returns 0; -EBADMSG if @extra has a control character other than one newline at its end; -E2BIG
 * if the result does not fit into @ret_cmdline.
 */
int cmdline_build(const char *own, const char *extra, size_t extra_length, enum sp_slot slot,
    const char *note, char ret_cmdline[static CMDLINE_MAX]);

/**
 * The value of the last word "slot_selector.note=", with its underscores turned back into spaces;
 * "" if there is no such word.
 */
void cmdline_note(const char *cmdline, char ret_note[static CMDLINE_MAX]);
