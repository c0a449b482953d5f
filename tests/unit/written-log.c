/* SPDX-License-Identifier: MIT */
#include "written-log.h"

#include "lib/byte-order.h"

#include <string.h>

enum { FLUSH = 1, DISCARD = 4, MARK = 8 };
enum { FLAGS_AT = 16, DATA_LENGTH_AT = 24, TEXT_AT = 32 };

GByteArray *written_log_new(void)
{
    guint8 super[WRITTEN_SECTOR] = {0};
    GByteArray *log = g_byte_array_new();

    sp_put_le64(super, G_GUINT64_CONSTANT(0x6a736677736872));
    sp_put_le64(super + 8, 1);
    sp_put_le64(super + 24, WRITTEN_SECTOR);
    return g_byte_array_append(log, super, sizeof super);
}

static void add(GByteArray *log, guint64 sector, guint64 sectors, guint64 flags)
{
    guint8 header[WRITTEN_SECTOR] = {0};

    sp_put_le64(header, sector);
    sp_put_le64(header + 8, sectors);
    sp_put_le64(header + 16, flags);
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
    sp_put_le64(log->data + 16, entries);
}

void written_log_mark(GByteArray *log, const char *text)
{
    guint at = log->len;

    add(log, 0, 0, MARK);
    sp_put_le64(log->data + at + DATA_LENGTH_AT, strlen(text));
    memcpy(log->data + at + TEXT_AT, text, strlen(text));
}

void written_log_flag(GByteArray *log, guint at, guint64 flags)
{
    guint64 own;

    memcpy(&own, log->data + at + FLAGS_AT, sizeof own);
    sp_put_le64(log->data + at + FLAGS_AT, GUINT64_FROM_LE(own) | flags);
}

SpWriteLog *written_log_parse(GByteArray *array, guint64 disk_size)
{
    g_autoptr(GBytes) bytes = g_byte_array_free_to_bytes(array);
    SpWriteLog *log = sp_write_log_parse(bytes, disk_size, NULL);

    g_assert_nonnull(log);
    return log;
}
