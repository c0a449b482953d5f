/* SPDX-License-Identifier: MIT */
#pragma once

#include "runner/runner.h"

#include <glib.h>
#include <stdbool.h>

/** Directories for whole tests, which run in workers: this program again, with fake machines. */
typedef struct {
    char *dir;
    char *tests;
    char *images;
    char *out;
    char *output; /* what the last runner_run() printed */
    gint64 stop_ms;
    guint timeout_s; /* of tests added from now on; 0: a minute, which no test should take */
    guint jobs;
    bool is_captured;
    bool keeps_disks;
    bool is_verbose;
    SpDurations *durations;
    const SpEngine *engine; /* NULL: the local one */
} RunnerFixture;

void runner_set_up(RunnerFixture *f, gconstpointer data);
void runner_tear_down(RunnerFixture *f, gconstpointer data);
/** Write the file @name in the directory @dir, creating directories as needed. */
void runner_write_file(const char *dir, const char *name, const char *text, gssize length);
/** Add a test with the machine `gateway` and Timeout=f->timeout_s. */
void runner_add_test(RunnerFixture *f, const char *name, const char *script);
/** Run all tests; what is printed goes to f->output. Returns the exit status. */
int runner_run(RunnerFixture *f);
/** Expect @words in f->output. */
void runner_expect(RunnerFixture *f, const char *words);
/** The contents of the file @name in f->out, which exists. Free with g_free(). */
char *runner_contents(RunnerFixture *f, const char *name);
/** Whether f->out has a file @name. */
bool runner_has_file(RunnerFixture *f, const char *name);
/** The record of the test @name. */
SpRecord *runner_load_record(RunnerFixture *f, const char *name);

typedef struct {
    const char *path;
    void (*test)(RunnerFixture *f, gconstpointer data);
} RunnerTest;
/** The main() of a program of such tests: runs them, or is a worker. No QEMU is started. */
int runner_main(int argc, char **argv, const RunnerTest *tests, gsize n_tests);
