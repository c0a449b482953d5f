/* SPDX-License-Identifier: MIT */
#include "written-log.h"

#include <string.h>

enum { FLUSH = 1, DISCARD = 4 };

static void put_u64(guint8 *at, guint64 value)
{
    value = GUINT64_TO_LE(value);
    memcpy(at, &value, sizeof value);
}

GByteArray *written_log_new(void)
{
    guint8 super[WRITTEN_SECTOR] = {0};
    GByteArray *log = g_byte_array_new();

    put_u64(super, G_GUINT64_CONSTANT(0x6a736677736872));
    put_u64(super + 8, 1);
    put_u64(super + 24, WRITTEN_SECTOR);
    return g_byte_array_append(log, super, sizeof super);
}

static void add(GByteArray *log, guint64 sector, guint64 sectors, guint64 flags)
{
    guint8 header[WRITTEN_SECTOR] = {0};

    put_u64(header, sector);
    put_u64(header + 8, sectors);
    put_u64(header + 16, flags);
    g_byte_array_append(log, header, sizeof header);
    written_log_promise(log, GUINT64_FROM_LE(*(guint64 *)(void *)(log->data + 16)) + 1);
}

void written_log_write(GByteArray *log, guint64 sector, guint64 sectors, guint8 fill)
{
    g_autofree guint8 *data = g_malloc(sectors * WRITTEN_SECTOR);

    memset(data, fill, sectors * WRITTEN_SECTOR);
    add(log, sector, sectors, 0);
    g_byte_array_append(log, data, (guint)(sectors * WRITTEN_SECTOR));
}

void written_log_discard(GByteArray *log, guint64 sector, guint64 sectors)
{
    add(log, sector, sectors, DISCARD);
}

void written_log_flush(GByteArray *log)
{
    add(log, 0, 0, FLUSH);
}

void written_log_promise(GByteArray *log, guint64 entries)
{
    put_u64(log->data + 16, entries);
}
