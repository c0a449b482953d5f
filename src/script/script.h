/* SPDX-License-Identifier: MIT */
#pragma once

#include "machine/machine.h"
#include "network/capture.h"
#include "network/switch.h"

#include <glib.h>
#include <stdbool.h>

/**
 * Runs a test's script in an embedded CPython.
 *
 * The interpreter exists only during sp_script_run(), ignores the environment (PYTHONHOME,
 * PYTHONPATH) and uses the standard library that it was built with. Main thread only, one script at
 * a time.
 */

/** A part of a script that is counted separately, when it has ended. */
typedef struct {
    const char *name;
    bool passed;
    double seconds;
} SpSubtest;

/** Called when a subtest ends; @subtest is valid during the call. */
typedef void (*SpSubtestFunc)(const SpSubtest *subtest, void *data);

/** Called with each line that the script prints, without its newline. */
typedef void (*SpPrintFunc)(const char *line, void *data);

/** One of the networks that the machines are on. */
typedef struct {
    guint number; /* as in test.conf */
    SpSwitch *sw;
    SpCapture *capture; /* NULL if none is written */
} SpScriptNetwork;

/** When the user gets a prompt, on the process's own stdin and stdout. */
typedef enum {
    SP_PROMPT_NEVER,
    SP_PROMPT_ON_FAILURE, /* and if the script calls debug.breakpoint() */
    SP_PROMPT_ONLY,       /* instead of the script, which test_script() runs */
} SpPromptMode;

/** A machine that a running script asks for. */
typedef struct {
    const char *name;
    const char *image; /* NULL for that of the test's first machine */
    const char *disk;  /* a raw file to use instead of the image's disk, or NULL */
    const guint *networks;
    gsize nics;
    guint cpus;       /* 0 for the image's default */
    guint memory_mib; /* 0 for the image's default */
} SpScriptMachine;

/** Make it; it outlives the script. */
typedef SpMachine *(*SpScriptCreateFunc)(const SpScriptMachine *wanted, void *data, GError **error);

typedef struct {
    const char *path;           /* of the script */
    const char *tests_dir;      /* the script can import modules from it; NULL for the parent */
    SpMachine *const *machines; /* copied */
    gsize n_machines;
    const SpScriptNetwork *networks;
    gsize n_networks;
    SpLog *log;                 /* may be NULL */
    const char *out_dir;        /* where the report says that there is more; may be NULL */
    SpSubtestFunc subtest_func; /* may be NULL */
    void *subtest_data;
    SpPrintFunc print_func; /* may be NULL */
    void *print_data;
    SpPromptMode prompt;
    const char *history;            /* the file for the prompt's lines; NULL not to keep them */
    SpScriptCreateFunc create_func; /* NULL if scripts can't create machines */
    void *create_data;
    /* called when the interpreter has started and has its modules, before the script runs;
     * false with an error ends sp_script_run() with that, but for a signal, which interrupts it as
     * it does a script. Not called where the script is invalid. May be NULL */
    bool (*begin_func)(void *data, GError **error);
    void *begin_data;
} SpScriptConfig;

typedef enum {
    SP_SCRIPT_PASSED,
    SP_SCRIPT_FAILED,      /* an assertion failed, a machine broke, an exception */
    SP_SCRIPT_INVALID,     /* not Python, or no such file: it was not run */
    SP_SCRIPT_INTERRUPTED, /* SIGINT, SIGTERM or SIGHUP */
} SpScriptOutcome;

/**
 * Run @config's script to its end. It can import modules from its own directory and from the
 * directory of tests.
 *
 * @ret_report is NULL for a script that passed, otherwise a report for people: the lines of the
 * script, what was expected and seen, the end of each console, where there is more. SIGINT,
 * SIGTERM and SIGHUP are a KeyboardInterrupt in the script; their former handlers are restored.
 * False with @error (SP_ERROR_HOST) if the interpreter itself does not start.
 */
G_GNUC_WARN_UNUSED_RESULT bool sp_script_run(
    const SpScriptConfig *config, SpScriptOutcome *ret_outcome, char **ret_report, GError **error);

/** For the machines of a script: interrupts their waits when the script is interrupted. */
SpInterrupt sp_script_interrupt(void);

/** NULL if a machine can have @name, otherwise what was expected instead. */
const char *sp_script_name_fault(const char *name);
/** The script's variable for the machine of that name: with '_' for each '-'. Free with g_free().
 */
char *sp_script_python_name(const char *name);
/** Whether two machines would be the same variable in a script. */
bool sp_script_is_same_name(const char *a, const char *b);
