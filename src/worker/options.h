/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>

/**
 * What a worker is told. The process that starts one formats this as words of its command line, and
 * the worker parses them; options.c has one row for each member, by which both is done.
 *
 * Strings are not owned. The members of a kind of process that does not need them stay 0.
 */
typedef struct {
    const char *test_dir; /* the test's directory */
    const char *images;   /* the directory of images */
    const char *out;      /* the directory for output, which exists */
    const char *save_dir; /* make a checkpoint in this directory; NULL: run a test */
    const char *disk;     /* a raw file for the first machine in place of its image's disk: the test
                             does not start from its checkpoint; NULL: none */
    gint64 begin;         /* when the test began, as of g_get_monotonic_time(); 0: now */

    gboolean has_programs_pipe;  /* program-pipe.h's descriptors are there */
    gboolean reports_steps;      /* send SP_MESSAGE_STEP */
    gboolean shows_consoles;     /* log consoles to stdout as well */
    gboolean is_quiet;           /* log to files only */
    gboolean is_cold;            /* use no checkpoints */
    gboolean is_captured;        /* write network-N.pcapng even if test.conf does not ask for it */
    gboolean reuses_disks;       /* the machines' disks are kept in the user's state directory, and
                                    gone on from if they are there */
    gboolean keeps_disks;        /* copy the disks to the output directory if the script fails */
    gboolean prompts_on_failure; /* a prompt on stdin and stdout if the script fails */
    gboolean is_prompt;          /* a prompt in place of the script, and no messages */
} SpWorkerOptions;

/** Returns the words, each "--NAME" or "--NAME=VALUE". Free with g_strfreev(). */
char **sp_worker_options_format(const SpWorkerOptions *options);
/** Parse @words, which NULL ends and which must outlive @ret_options. SP_ERROR_USAGE. */
bool sp_worker_options_parse(const char *const *words, SpWorkerOptions *ret_options,
    GError **error) G_GNUC_WARN_UNUSED_RESULT;

/** How long a worker with these options may spend on what a failed test's machines can still tell
 * (post-mortem.h), in milliseconds. */
gint64 sp_worker_post_mortem_ms(const SpWorkerOptions *options);
