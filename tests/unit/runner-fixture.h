/* SPDX-License-Identifier: MIT */
#pragma once

#include "runner/runner.h"

#include <glib.h>
#include <stdbool.h>

/** Folders for whole tests, which run in workers: this program again, on machines that are fakes.
 */
typedef struct {
    char *dir;
    char *tests;
    char *images;
    char *out;
    char *output; /* what the last runner_run printed */
    gint64 stop_ms;
    guint timeout_s; /* of tests added from now on; 0: a minute, which no test takes on any host */
    guint jobs;
    bool is_captured;
    bool keeps_disks;
    bool is_verbose;
    SpDurations *durations;
    const SpEngine *engine; /* NULL: the local one */
} RunnerFixture;

void runner_set_up(RunnerFixture *f, gconstpointer data);
void runner_tear_down(RunnerFixture *f, gconstpointer data);
/** The file @name, folders included, in the folder @dir. */
void runner_write_file(const char *dir, const char *name, const char *text, gssize length);
/** A test with the machine `gateway` that may take f->timeout_s. */
void runner_add_test(RunnerFixture *f, const char *name, const char *script);
/** Run all tests; what is printed goes to f->output instead of among this program's own lines.
 * Returns the exit status. */
int runner_run(RunnerFixture *f);
/** @words stand in f->output. */
void runner_expect(RunnerFixture *f, const char *words);
/** To be called first in main(): the worker's exit status, or negative where this is none. */
int runner_worker(int argc, char **argv);
