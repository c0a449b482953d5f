/* SPDX-License-Identifier: MIT */
#pragma once

#include "report/markup.h"
#include "report/summary.h"

/**
 * @summary in the format of JUnit's reports that build servers read, valid against the schema of
 * Jenkins' xUnit plug-in (junit-10.xsd).
 *
 * Each test is a suite. The first case of it, of class "slotproof", is the test as a whole; each of
 * its subtests is one more, of a class with the test's name. A subtest that failed is a failure
 * besides that of the test, which has the report. Of a test whose result was kept all is as it was
 * when it ran, its times included, and its suite has the property "kept", which says when that was.
 */
SpMarkup *sp_junit_make(const SpSummary *summary);
