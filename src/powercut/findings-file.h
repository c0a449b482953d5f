/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/**
 * What 'slotproof powercut --report' wrote (findings.h has the form), perhaps with what a test
 * added. Whatever is not of that form is passed over: it may be anybody's file.
 */

#define SP_FINDINGS_FILE "powercut.json" /* where a test leaves it, in its directory */

typedef struct {
    const char *kind, *partition; /* NULL if it is invalid */
    gint64 offset, length;
} SpFoundEntry;

typedef struct {
    gint64 states, failed;
    gint64 class; /* an index of the classes; negative: none of its own */
} SpFoundCut;

typedef struct {
    char *facts; /* words KEY=VALUE */
    char *boots; /* what boots, "boots=A"; all facts if that is not known */
    gint64 states;
    guint booted, failed; /* states that a test booted, and of these */
} SpFoundClass;

typedef struct {
    const char *state, *reason;
    const char *writes, *disk, *machine; /* each may be NULL */
} SpFoundFailure;

typedef struct {
    struct json_t *root; /* to which strings belong */
    gint64 seen, distinct, checked, failed;
    guint booted;
    const char *truncated; /* why not all was checked; or NULL */
    GArray *entries;       /* of SpFoundEntry */
    GArray *cuts;          /* of SpFoundCut */
    GArray *classes;       /* of SpFoundClass; only valid ones */
    GArray *failures;      /* of SpFoundFailure; only those with a disk */
    GArray
        *boot_failures; /* of SpFoundFailure: states that did not boot; of the texts only machine */
} SpFindingsFile;

/** NULL if @text is not a JSON object. */
SpFindingsFile *sp_findings_file_parse(const char *text, gsize length);
void sp_findings_file_free(SpFindingsFile *file);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpFindingsFile, sp_findings_file_free)
