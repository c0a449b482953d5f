/* SPDX-License-Identifier: MIT */
#pragma once

#include "report/markup.h"
#include "report/summary.h"

/**
 * @summary as one self-contained HTML page: nothing is loaded from elsewhere, and it has no
 * scripts. It has a table of the tests and, for each test, what failed, a time line, its steps, the
 * last lines of its consoles, and its screenshots. It links to the files in the tests' directories.
 *
 * A column of the table is a row of columns[] in page.c, a section of a test's part a row of
 * sections[]: a function that reads @record, or a file from record->dir, and writes markup.
 */
SpMarkup *sp_page_make(const SpSummary *summary);
