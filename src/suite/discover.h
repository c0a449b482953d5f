/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>

#define SP_TESTS_DEFAULT "tests/e2e"
/** The directory of tests: @option, or the default if it is NULL. */
const char *sp_tests_dir(const char *option);

/**
 * The tests below the directory @tests: those that @names name, in that order, or all by name if
 * @names is NULL or empty; each once. A name may be a shell pattern (fnmatch(3)), which stands for
 * the tests that match it, by name; or the path of a test's directory. Of these, only those that
 * have one of @tags, unless @tags is NULL or empty.
 *
 * A name, a pattern or a tag that no test has is SP_ERROR_USAGE, with what it may have been meant
 * for.
 */
GPtrArray *sp_tests_load(const char *tests, const char *const *names, const char *const *tags,
    GError **error) G_GNUC_WARN_UNUSED_RESULT;

/**
 * The name of the test in @tests that @given stands for: itself if there is such a test; otherwise
 * the shortest whose name has, in this order, a word that begins with each word of @given
 * ('net-iso' for 'network-isolation'); otherwise @given. Words are what '-' divides. Free with
 * g_free().
 */
char *sp_test_name_complete(const char *tests, const char *given);

/** Whether @name is a shell pattern: it may stand for any number of tests. */
bool sp_test_name_is_pattern(const char *name);
