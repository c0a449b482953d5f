/* SPDX-License-Identifier: MIT */
#pragma once

#include "powercut/epoch.h"

#include <glib.h>
#include <stdbool.h>

/*
 * The kinds of crash states, and the names from which one is made again (crash-states.h says what
 * each is). What a kind is called and how it is made stands in the table of crash-name.c, and
 * nowhere else.
 */

typedef enum {
    SP_CRASH_PREFIX,
    SP_CRASH_DELAYED,
    SP_CRASH_ALONE,
    SP_CRASH_TORN,
    SP_CRASH_TORN_REST,
    SP_CRASH_HOLES,
    SP_CRASH_ALONE_TORN,
    SP_CRASH_ALONE_TORN_REST,
    SP_CRASH_OVERLAP,
    SP_CRASH_SUBSET,
    SP_CRASH_SAMPLE,
    SP_CRASH_KINDS,
} SpCrashKind;

typedef struct {
    SpCrashKind kind;
    guint entry;
    guint64 detail; /* what stands behind the dot; 0 if the kind has none */
} SpCrashName;

#define SP_CRASH_NAME_SIZE 40u

void sp_crash_name_format(const SpCrashName *name, char buffer[SP_CRASH_NAME_SIZE]);
/** Returns false if @text is not a name of any log. */
bool sp_crash_name_parse(const char *text, SpCrashName *ret_name) G_GNUC_WARN_UNUSED_RESULT;
/** Whether @name is a state of this log. */
bool sp_crash_name_is_of(const SpCrashName *name, const SpEpochs *epochs);
/** The number of entries that arrived as a whole before what the kind is about. */
guint sp_crash_name_before(const SpCrashName *name, const SpEpochs *epochs);
/** On @disk, which has these entries, let arrive what else the state has. Not for
 * SP_CRASH_DELAYED, which lacks one of them. */
void sp_crash_name_apply(const SpCrashName *name, const SpEpochs *epochs, SpCrashDisk *disk);
