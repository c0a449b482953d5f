/* SPDX-License-Identifier: MIT */
#pragma once

#include "machine/machine.h"
#include "network/capture.h"
#include "network/switch.h"

#include <glib.h>
#include <stdbool.h>

/**
 * Runs a test's script by an interpreter of its own (CPython, embedded).
 *
 * The interpreter is there only during sp_script_run(), takes nothing from the environment
 * (PYTHONHOME, PYTHONPATH) and uses the standard library it was built with. Main thread only, one
 * script at a time.
 */

/** A step of a script that is counted by itself, as it ended. */
typedef struct {
    const char *name;
    bool passed;
    double seconds;
} SpSubtest;

/** Called when a subtest ends; @subtest lives during the call. */
typedef void (*SpSubtestFunc)(const SpSubtest *subtest, void *data);

/** Called with each line that the script prints, without its newline. */
typedef void (*SpPrintFunc)(const char *line, void *data);

/** One of the networks that the machines are on. */
typedef struct {
    guint number; /* as in test.conf */
    SpSwitch *sw;
    SpCapture *capture; /* NULL where none is written */
} SpScriptNetwork;

/** When the user is to get a prompt, on the process's own stdin and stdout. */
typedef enum {
    SP_PROMPT_NEVER,
    SP_PROMPT_ON_FAILURE, /* and where the script calls debug.breakpoint() */
    SP_PROMPT_ONLY,       /* in place of the script, which test_script() runs */
} SpPromptMode;

/** A machine that a script asks for while it runs. */
typedef struct {
    const char *name;
    const char *image; /* NULL: that of the test's first machine */
    const char *disk;  /* a raw file in place of the image's disk; NULL: none */
    const guint *networks;
    gsize nics;
    guint cpus;       /* 0: the image's default */
    guint memory_mib; /* 0: the image's default */
} SpScriptMachine;

/** Make it; it outlives the script. */
typedef SpMachine *(*SpScriptCreateFunc)(const SpScriptMachine *wanted, void *data, GError **error);

typedef struct {
    const char *path;           /* of the script */
    const char *tests_dir;      /* the script can import modules from it; NULL: the one above */
    SpMachine *const *machines; /* copied */
    gsize n_machines;
    const SpScriptNetwork *networks;
    gsize n_networks;
    SpLog *log;                 /* may be NULL */
    const char *out_dir;        /* where the report says that the rest lies; may be NULL */
    SpSubtestFunc subtest_func; /* may be NULL */
    void *subtest_data;
    SpPrintFunc print_func; /* may be NULL */
    void *print_data;
    SpPromptMode prompt;
    const char *history; /* the file in which the prompt's lines are kept; NULL: nowhere */
    SpScriptCreateFunc create_func; /* NULL: scripts can't make machines */
    void *create_data;
    /* called when the interpreter is up and has its modules, before anything of the script is run;
     * false with an error ends sp_script_run() with that, but for a signal, which interrupts it as
     * it does a script. Not called where the script is invalid. May be NULL */
    bool (*begin_func)(void *data, GError **error);
    void *begin_data;
} SpScriptConfig;

typedef enum {
    SP_SCRIPT_PASSED,
    SP_SCRIPT_FAILED,      /* an assertion does not hold, a machine broke, an exception */
    SP_SCRIPT_INVALID,     /* no Python, or no such file: it was not run */
    SP_SCRIPT_INTERRUPTED, /* SIGINT, SIGTERM or SIGHUP */
} SpScriptOutcome;

/**
 * Run @config's script to its end. It can import modules from its own directory and from the
 * directory of tests.
 *
 * @ret_report is NULL for a script that passed, otherwise a report for people: the lines of the
 * script, what was expected and seen, the end of each console, where the rest lies. SIGINT,
 * SIGTERM and SIGHUP are a KeyboardInterrupt in the script; their former handlers are put back.
 * False with
 * @error (SP_ERROR_HOST) where the interpreter itself does not come up.
 */
bool sp_script_run(
    const SpScriptConfig *config, SpScriptOutcome *ret_outcome, char **ret_report, GError **error);

/** To be given to the machines of a script: true once it was interrupted. */
SpInterrupt sp_script_interrupt(void);

/** NULL where a machine may have @name, otherwise what is wrong with it: "expected ...". */
const char *sp_script_name_fault(const char *name);
/** What a script calls the machine of that name: with '_' for each '-'. Free with g_free(). */
char *sp_script_python_name(const char *name);
/** Whether two machines can't be told apart by a script. */
bool sp_script_is_same_name(const char *a, const char *b);
