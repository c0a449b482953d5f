/* SPDX-License-Identifier: MIT */
#pragma once

#include "runner/test-conf.h"

#include <glib.h>
#include <stdbool.h>

typedef enum {
    SP_RESULT_PASSED,
    SP_RESULT_FAILED,
    SP_RESULT_INVALID, /* the test or what it needs is not in order */
    SP_RESULT_STOPPED, /* by the user */
} SpResultKind;

typedef struct {
    SpResultKind kind;
    char *report; /* NULL if it passed */
    double seconds;
} SpResult;
void sp_result_clear(SpResult *result);

typedef struct {
    const char *images;
    const char *out; /* folder that gets one folder a test */
    bool is_verbose; /* show the log while it comes, consoles too */
} SpRunOptions;

/**
 * Where tests are run: takes one and comes back with its result. Local processes are the only one
 * for now.
 */
typedef struct {
    const char *name;
    void (*run)(const SpTestConf *test, const SpRunOptions *options, const bool *is_stopped,
        SpResult *ret_result);
} SpEngine;

extern const SpEngine sp_local_engine;

/**
 * Run @tests (of SpTestConf) one after another, saying on stdout how each went.
 *
 * SIGINT and SIGTERM stop what runs and end the run. Returns the program's exit status: 0 if all
 * passed, 1 if one failed, 2 if one was not in order, 128 + signal if it was stopped.
 */
int sp_run_tests(GPtrArray *tests, const SpEngine *engine, const SpRunOptions *options);
