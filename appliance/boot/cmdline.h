/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Kernel command lines. Words are parted by blanks; quotes have no meaning here. Pure functions;
 * negative errno on failure.
 */

#include "lib/boot-state.h"

/* with the NUL; COMMAND_LINE_SIZE of x86 and arm64 */
#define CMDLINE_MAX 2048u
#define CMDLINE_EXTRA_MAX 1024u

/** The slot in the last word "rauc.slot=NAME"; SP_SLOT_NONE if there is none, or of another name.
 */
enum sp_slot cmdline_slot(const char *cmdline);

/**
 * Build the command line of a slot's kernel, in this order: the words of the selector's own command
 * line @own that start with "slot.arg=", without that prefix; the words of the slot's file @extra
 * (@extra_length bytes, one line); "rauc.slot=" with the bootname of @slot; and unless @note is
 * empty, "slot_selector.note=" with it.
 *
 * Returns 0; -EBADMSG if @extra has a control character other than one newline at its end;
 * -E2BIG if @ret_cmdline would not hold it all.
 */
int cmdline_build(const char *own, const char *extra, size_t extra_length, enum sp_slot slot,
    const char *note, char ret_cmdline[static CMDLINE_MAX]);

/** The value of the last word "slot_selector.note=", with blanks again where it has underscores; ""
 * if there is none. */
void cmdline_note(const char *cmdline, char ret_note[static CMDLINE_MAX]);
