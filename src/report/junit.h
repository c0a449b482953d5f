/* SPDX-License-Identifier: MIT */
#pragma once

#include "report/markup.h"
#include "report/summary.h"

/**
 * @summary as a JUnit report for build servers, valid against the schema of Jenkins' xUnit plug-in
 * (junit-10.xsd).
 *
 * Each test is a suite. Its first case, of class "slotproof", is the test as a whole; each subtest
 * is another case, whose class is the test's name. A failed subtest counts as a failure in addition
 * to the test's, which has the details. A test whose result was kept appears as it did when it ran,
 * with the times of that run; its suite has the property "kept", which says when that was.
 */
SpMarkup *sp_junit_make(const SpSummary *summary);
