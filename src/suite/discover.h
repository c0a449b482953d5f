/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>

#define SP_TESTS_DEFAULT "tests/e2e"
/** The directory of tests: @option, or the default if it is NULL. */
const char *sp_tests_dir(const char *option);

/**
 * The tests in the directory @tests: those that @names name, in that order, or all, sorted by name,
 * if @names is NULL or empty; each once. A name may be a shell pattern (fnmatch(3)), which stands
 * for the tests that match, sorted by name; or the path of a test's directory. Unless @tags is NULL
 * or empty, only tests that have one of them.
 *
 * A name, pattern or tag that no test has is SP_ERROR_USAGE, with a suggestion.
 */
GPtrArray *sp_tests_load(const char *tests, const char *const *names, const char *const *tags,
    GError **error) G_GNUC_WARN_UNUSED_RESULT;

/**
 * All valid tests in @tests that have one of @tags (NULL: all), sorted by name; an empty array if
 * there is none. An invalid test is skipped, so that it is in nobody's way; but if its Tags= has
 * one of them, its fault is @error.
 */
GPtrArray *sp_tests_load_valid(
    const char *tests, const char *const *tags, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/**
 * The name of the test in @tests that @given stands for: itself if there is such a test; otherwise
 * the shortest whose name has, in this order, a word that begins with each word of @given
 * ('net-iso' for 'network-isolation'); otherwise @given. Words are what '-' divides. Free with
 * g_free().
 */
char *sp_test_name_complete(const char *tests, const char *given);

/** Whether @name is a shell pattern, which may stand for any number of tests. */
bool sp_test_name_is_pattern(const char *name);
