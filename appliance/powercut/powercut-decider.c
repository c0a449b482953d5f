/* SPDX-License-Identifier: MIT */

/*
 * Tells 'slotproof powercut' what the gateway would boot: reads lines "state=PATH", and answers
 * each with the slot that the selector would start and with what it knows of both slots
 * (docs/powercut.md, "A decider").
 */

#include "appliance/powercut/state-partition.h"

#include "lib/cleanup.h"

#include <stdio.h>
#include <string.h>

#define QUESTION "state="

/* The rest of the answer: why the state is not in order. */
static const char *describe_fault(const struct state_decision *decision)
{
    if (decision->source != SP_BOOT_FROM_FILE)
        return " error=the boot state is torn or missing: it was not replaced as a whole";
    if (!decision->is_whole)
        return " error=the boot state is torn, and the selector trusts it all the same";
    return "";
}

/* A slot is untried from the moment it was installed until the selector first starts it. */
static void print_slot(const struct state_decision *decision, enum sp_slot slot)
{
    const char *name = sp_slot_bootname(slot);
    const struct sp_boot_slot *state = &decision->state.slot[slot];
    bool is_untried = !state->is_good && state->left == SP_BOOT_ATTEMPTS;

    printf(" %s-attempts=%u %s-good=%s %s-untried=%s", name, state->left, name,
        state->is_good ? "yes" : "no", name, is_untried ? "yes" : "no");
}

static void answer(const char *path)
{
    struct state_decision decision;
    errcode_t r = state_partition_read(path, &decision);

    if (r != 0) {
        printf("error=the state partition has no file system that can be read: %s\n",
            error_message(r));
        return;
    }
    printf("boots=%s", sp_slot_bootname(decision.slot));
    print_slot(&decision, SP_SLOT_A);
    print_slot(&decision, SP_SLOT_B);
    printf("%s\n", describe_fault(&decision));
}

int main(void)
{
    sp_auto_free char *line = NULL;
    size_t size = 0;
    ssize_t length;

    while ((length = getline(&line, &size, stdin)) > 0) {
        if (line[length - 1] == '\n')
            line[length - 1] = '\0';
        if (strncmp(line, QUESTION, strlen(QUESTION)) != 0) {
            fprintf(stderr, "powercut-decider: expected '" QUESTION "PATH', not '%s'\n", line);
            return 1;
        }
        answer(line + strlen(QUESTION));
        if (fflush(stdout) != 0)
            return 1;
    }
    return 0;
}
