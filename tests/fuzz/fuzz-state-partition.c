/* SPDX-License-Identifier: MIT */
#include "appliance/powercut/state-partition.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Any bytes where an ext4 is expected: an error, or a decision that can be used. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct state_decision decision = {.slot = SP_SLOT_NONE};
    char path[sizeof "/proc/self/fd/" + 10];
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    errcode_t r;

    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    r = state_partition_read(path, &decision);
    close(fd);
    if (r == 0 && decision.slot != SP_SLOT_NONE && !sp_slot_bootname(decision.slot))
        abort();
    return 0;
}
