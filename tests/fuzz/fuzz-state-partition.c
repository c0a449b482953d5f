/* SPDX-License-Identifier: MIT */
#include "powercut/state-partition.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Any bytes where an ext4 is expected: a decision or a reason, and a decision that can be used. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SpBootDecision decision = {0};
    g_autoptr(GError) error = NULL;
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    bool is_read;

    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    is_read = sp_state_partition_read(fd, &decision, &error);
    close(fd);
    if (is_read != !error)
        abort();
    if (is_read && decision.slot != SP_SLOT_NONE && !sp_slot_bootname(decision.slot))
        abort();
    return 0;
}
