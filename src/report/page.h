/* SPDX-License-Identifier: MIT */
#pragma once

#include "report/markup.h"
#include "report/summary.h"

/**
 * @summary as one HTML page with all in it that it shows: nothing is loaded from elsewhere, and no
 * script runs in it. A table of the tests, and of each what failed, a time line, its steps, the
 * last lines of its consoles, and its screens. The files in the tests' folders are linked to.
 *
 * What a test's part consists of are the sections in page.c. A chart of something that a test has
 * measured would be one more: a function that reads a file from record->dir and writes markup, and
 * its line in that table.
 */
SpMarkup *sp_page_make(const SpSummary *summary);
