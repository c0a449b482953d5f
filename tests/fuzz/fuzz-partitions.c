/* SPDX-License-Identifier: MIT */
#include "powercut/partitions.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Any bytes in place of a GPT: no partition may extend beyond the disk, as callers read it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) partitions = NULL;
    g_autofree char *path = NULL;
    int fd = memfd_create("fuzz", MFD_CLOEXEC);

    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    path = g_strdup_printf("/proc/self/fd/%d", fd);
    partitions = sp_partitions_read(path, &error);
    close(fd);
    if (!partitions != !!error)
        abort();
    for (guint i = 0; partitions && i < partitions->len; i++) {
        const SpPartition *partition = g_ptr_array_index(partitions, i);

        if (!partition->name || partition->offset > size ||
            partition->length > size - partition->offset)
            abort();
    }
    return 0;
}
