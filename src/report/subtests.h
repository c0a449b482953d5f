/* SPDX-License-Identifier: MIT */
#pragma once

#include "report/record.h"

/**
 * How a subtest ended. What the script makes of a failure is its business: one that it caught, so
 * that it went on, does not let the test fail, and is no failure in any report.
 */
typedef enum {
    SP_SUBTEST_PASSED,
    SP_SUBTEST_FAILED, /* the test's failure is in there, and in none below it; of one at most */
    SP_SUBTEST_LEFT,   /* because one below it failed */
    SP_SUBTEST_CAUGHT, /* it failed, and the script caught that */
    SP_SUBTEST_STOPPED,
} SpSubtestState;

bool sp_step_is_subtest(const SpRecordStep *step);
/** The one that is SP_SUBTEST_FAILED; NULL for none. */
const SpRecordStep *sp_subtest_at_fault(const SpRecord *record);
/** @at_fault is what sp_subtest_at_fault() returned for @record. */
SpSubtestState sp_subtest_state(
    const SpRecord *record, const SpRecordStep *at_fault, const SpRecordStep *step);
