/* SPDX-License-Identifier: MIT */
#pragma once

#include "report/record.h"
#include "suite/test-conf.h"

#include <glib.h>
#include <stdbool.h>

/**
 * The results that a run takes from earlier runs and leaves to later ones: of tests that passed,
 * under keys of everything that decides them (result-key.h), in the user's cache (result-store.h).
 */
typedef struct SpKeptResults SpKeptResults;

/** How tests are run. */
typedef struct {
    GPtrArray *images; /* of SpImage; not owned */
    const char *out;   /* where the tests' directories are */
    bool is_cold;      /* without checkpoints */
    bool is_rerun;     /* kept results are not taken, only replaced */
    bool only_forgets; /* nothing is taken or added, but a test that fails is forgotten */
} SpKeptResultsConfig;

SpKeptResults *sp_kept_results_new(const SpKeptResultsConfig *config);
/** Evicts what exceeds the cache's size. NULL is accepted. */
void sp_kept_results_free(SpKeptResults *kept);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpKeptResults, sp_kept_results_free)

/**
 * Returns the record of the run in which @test passed as it is now; NULL if there is none, or if it
 * is older than 30 days. Its directory is the test's in @out if that still holds the output of this
 * very run, otherwise NULL.
 *
 * To be called for each test before any is run: what the test is now is what will run. @ret_warning
 * says why a result can't be used, each reason once; free it with g_free(). NULL otherwise.
 */
SpRecord *sp_kept_results_take(SpKeptResults *kept, const SpTestConf *test, char **ret_warning);

/**
 * @test has passed, and its directory in @out has the complete record. It is kept unless something
 * that decides it has changed since the test was started. SP_ERROR_HOST if it can't be kept.
 */
bool sp_kept_results_add(
    SpKeptResults *kept, const SpTestConf *test, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/**
 * @test has failed as it was when it was started, or it was run in a way that no key covers: an
 * earlier pass proves nothing any more.
 */
void sp_kept_results_forget(SpKeptResults *kept, const SpTestConf *test);

/** In a test's directory in the output: the record that stood for the last run, if the test was not
 * run. The next run there removes it. */
#define SP_KEPT_RECORD ".kept.jsonl"
/** Returns the record of the test whose directory is @dir: that one, or the one of the run that
 * wrote there. SP_ERROR_HOST. */
SpRecord *sp_kept_record_load(const char *dir, GError **error) G_GNUC_WARN_UNUSED_RESULT;
