/* SPDX-License-Identifier: MIT */
#include "powercut/write-log.h"

#include <stdint.h>
#include <stdlib.h>

#define DISK_SIZE (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile guint8 sink;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GBytes) bytes = g_bytes_new(data, size);
    g_autoptr(GError) error = NULL;
    g_autoptr(SpWriteLog) log = sp_write_log_parse(bytes, DISK_SIZE, &error);
    const SpLogEntry *entries;
    guint count;

    if (!log != !!error)
        abort();
    if (!log)
        return 0;
    entries = sp_write_log_entries(log, &count);
    for (guint i = 0; i < count; i++) {
        const SpLogEntry *entry = &entries[i];

        if (entry->offset > DISK_SIZE || entry->length > DISK_SIZE - entry->offset)
            abort();
        /* a sanitizer catches reads outside the log */
        if (entry->kind == SP_LOG_WRITE)
            sink = entry->data[0] ^ entry->data[entry->length - 1];
    }
    return 0;
}
