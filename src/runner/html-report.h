/* SPDX-License-Identifier: MIT */
#pragma once

#include "runner/results.h"

/**
 * Write @results as the file @path: one page, with all that it needs in it. It shows a table of the
 * tests, and of each what happened when, by the events in its folder, with its screenshots.
 */
bool sp_html_report_write(const SpResults *results, const char *path, GError **error);
