/* SPDX-License-Identifier: MIT */
#pragma once

#include "fake-machine.h"
#include "script/script.h"

/** A directory with a script, and machines for it that only remember what they were told. */
typedef struct {
    char *dir;
    char *path;
    const char *tests_dir; /* NULL unless the test has one */
    SpAccel accel;
    SpMachine *machines[2];
    gsize n_machines;
    GString *subtests; /* "+name" or "-name" each */
    char *report;
    SpLog *log;                                     /* NULL unless the test has one */
    bool (*begin_func)(void *data, GError **error); /* called with the fixture; may be NULL */
    SpScriptCreateFunc create_func;                 /* called with the fixture */
} ScriptFixture;

/** @data NULL is one machine, `gateway`; anything else two, with `client`. */
void script_fixture_set_up(ScriptFixture *f, gconstpointer data);
void script_fixture_tear_down(ScriptFixture *f, gconstpointer data);
/** Run @text as a script. Its report is @f's. */
SpScriptOutcome script_run(ScriptFixture *f, const char *text);
void script_expect_passed(ScriptFixture *f, const char *text);
/** Each of @parts stands in the report, in this order. */
void script_expect_failed(ScriptFixture *f, const char *text, const char *const *parts);
#define SCRIPT_EXPECT_FAILED(f, text, ...)                                                         \
    script_expect_failed(f, text, (const char *const[]){__VA_ARGS__, NULL})
/** What the first machine was told: a line each. */
void script_expect_commands(ScriptFixture *f, const char *expected);
