/* SPDX-License-Identifier: MIT */
#pragma once

#include "report/record.h"

/**
 * How a subtest ended. A failure that the script caught does not fail the test, and is not a
 * failure in any report.
 */
typedef enum {
    SP_SUBTEST_PASSED,
    SP_SUBTEST_FAILED, /* the innermost one with the test's failure; at most one */
    SP_SUBTEST_LEFT,   /* ended because one inside it failed */
    SP_SUBTEST_CAUGHT, /* it failed, and the script caught the exception */
    SP_SUBTEST_STOPPED,
} SpSubtestState;

bool sp_step_is_subtest(const SpRecordStep *step);
/** The step of the subtest that is SP_SUBTEST_FAILED, or NULL. */
const SpRecordStep *sp_subtest_at_fault(const SpRecord *record);
/** How a subtest ended. @at_fault is from sp_subtest_at_fault(). */
SpSubtestState sp_subtest_state(
    const SpRecord *record, const SpRecordStep *at_fault, const SpRecordStep *step);
