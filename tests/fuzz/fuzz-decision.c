/* SPDX-License-Identifier: MIT */
#include "powercut/decider.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Any line as a decider's answer: one that is taken says what boots, or why not. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_auto(SpDecision) decision = {0};
    const char *expected = NULL;

    if (!sp_decision_parse((const char *)data, size, &decision, &expected)) {
        if (!expected || decision.facts)
            abort();
        return 0;
    }
    if (!decision.facts || (!decision.boots && !decision.failure))
        abort();
    if (decision.boots && !g_str_has_prefix(decision.facts, "boots="))
        abort();
    return 0;
}
