/* SPDX-License-Identifier: MIT */
#include "report/subtests.h"

bool sp_step_is_subtest(const SpRecordStep *step)
{
    return g_strcmp0(step->kind, "subtest") == 0;
}

const SpRecordStep *sp_subtest_at_fault(const SpRecord *record)
{
    if (record->kind != SP_RESULT_FAILED || !record->failure.subtest)
        return NULL;
    /* if several have that name, the earlier ones were caught */
    for (guint i = record->steps->len; i > 0; i--) {
        const SpRecordStep *step = g_ptr_array_index(record->steps, i - 1);

        if (sp_step_is_subtest(step) && step->failure && step->seconds >= 0 &&
            g_strcmp0(step->text, record->failure.subtest) == 0)
            return step;
    }
    return NULL;
}

static bool encloses(const SpRecordStep *outer, const SpRecordStep *inner)
{
    return outer->depth < inner->depth && outer->begin <= inner->begin &&
           outer->begin + outer->seconds >= inner->begin + inner->seconds;
}

SpSubtestState sp_subtest_state(
    const SpRecord *record, const SpRecordStep *at_fault, const SpRecordStep *step)
{
    if (step->seconds < 0)
        return SP_SUBTEST_STOPPED;
    if (!step->failure)
        return SP_SUBTEST_PASSED;
    if (step == at_fault)
        return SP_SUBTEST_FAILED;
    if (at_fault && encloses(step, at_fault))
        return SP_SUBTEST_LEFT;
    return record->kind == SP_RESULT_SKIPPED ? SP_SUBTEST_STOPPED : SP_SUBTEST_CAUGHT;
}
