/* SPDX-License-Identifier: MIT */
#include "appliance/boot/boot-state.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool is_right)
{
    if (!is_right)
        abort();
}

/* Whatever is decided, the resulting state can be written. */
static void check_change(
    struct sp_boot_state state, void (*change)(struct sp_boot_state *, enum sp_slot), int slot)
{
    char text[SP_BOOT_STATE_MAX];

    change(&state, slot);
    check(sp_boot_state_format(&state, text) > 0);
}

static void check_decisions(const struct sp_boot_state *state)
{
    for (unsigned skip = 0; skip < 1u << SP_SLOT_COUNT; skip++) {
        enum sp_slot slot = sp_boot_choose(state, skip);

        check(slot >= SP_SLOT_NONE && slot < SP_SLOT_COUNT);
        check(slot == SP_SLOT_NONE || !(skip & 1u << slot));
        check(slot == SP_SLOT_NONE || sp_boot_is_bootable(state, slot));
    }
    check(sp_boot_primary(state) == sp_boot_choose(state, 0));
    for (int slot = SP_SLOT_NONE; slot < SP_SLOT_COUNT; slot++) {
        check_change(*state, sp_boot_take_attempt, slot);
        check_change(*state, sp_boot_set_primary, slot);
        check_change(*state, sp_boot_set_good, slot);
        check_change(*state, sp_boot_set_bad, slot);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sp_boot_state state;
    char text[SP_BOOT_STATE_MAX];
    int length;

    if (sp_boot_state_parse((const char *)data, size, &state) < 0)
        return 0;
    length = sp_boot_state_format(&state, text);
    check(length > 0 && (size_t)length == size && memcmp(text, data, size) == 0);
    check_decisions(&state);
    return 0;
}
