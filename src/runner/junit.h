/* SPDX-License-Identifier: MIT */
#pragma once

#include "runner/results.h"

/**
 * Write @results as the file @path, in the format of JUnit's reports that build servers read: a
 * suite with a case a test. What XML can't hold is written as U+FFFD.
 */
bool sp_junit_write(const SpResults *results, const char *path, GError **error);
