/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>

/** A Python prompt with the machines of a test. */
typedef struct {
    const char *tests;  /* the directory of tests; NULL: the default */
    const char *test;   /* its name, which may be shortened (suite/discover.h); NULL: the test that
                           has the tag 'debug', otherwise the first */
    const char *images; /* as of sp_images_dir() */
    const char *out;    /* NULL: the default; logs go to its directory 'debug' */
    const char *disk;   /* a raw file in place of the first machine's disk; NULL: none */
    bool reuses_disks;  /* the machines' disks are kept, and gone on from if they are there */
} SpPrompt;

/** Show the prompt on this process's terminal until it ends. Returns the exit status; negative with
 * SP_ERROR_USAGE if there is no prompt. */
int sp_prompt_run(const SpPrompt *prompt, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** Check that the file @path is not in the directory for logs, which is emptied. */
bool sp_prompt_spares(const char *path, const char *out, GError **error) G_GNUC_WARN_UNUSED_RESULT;
