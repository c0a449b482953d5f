/* SPDX-License-Identifier: MIT */
#include "powercut/write-log.h"

#include "base/error.h"

#include <stdbool.h>
#include <string.h>

#define MAGIC G_GUINT64_CONSTANT(0x6a736677736872)
#define VERSION 1
#define LOG_SECTOR_MAX 65536u

enum { FLAG_FLUSH = 1, FLAG_FUA = 2, FLAG_DISCARD = 4, FLAG_MARK = 8, FLAGS = 15 };
/* Offsets: superblock, then entry. */
enum { SUPER_MAGIC = 0, SUPER_VERSION = 8, SUPER_ENTRIES = 16, SUPER_SECTOR = 24, SUPER_SIZE = 28 };
enum { ENTRY_SECTOR = 0, ENTRY_SECTORS = 8, ENTRY_FLAGS = 16, ENTRY_DATA = 24, ENTRY_SIZE = 32 };

struct SpWriteLog {
    GBytes *bytes;
    GArray *entries; /* of SpLogEntry */
};

typedef struct {
    const guint8 *data;
    guint64 size, at, disk_size;
    guint32 sector;
} Reader;

static guint64 get_u64(const guint8 *at)
{
    guint64 value;

    memcpy(&value, at, sizeof value);
    return GUINT64_FROM_LE(value);
}

static guint32 get_u32(const guint8 *at)
{
    guint32 value;

    memcpy(&value, at, sizeof value);
    return GUINT32_FROM_LE(value);
}

static bool refuse(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
static bool refuse(GError **error, const char *format, ...)
{
    g_autofree char *reason = NULL;
    va_list args;

    va_start(args, format);
    reason = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error_literal(error, SP_ERROR, SP_ERROR_USAGE, reason);
    return false;
}

static bool read_super(Reader *reader, guint64 *ret_promised, GError **error)
{
    const guint8 *super = reader->data;

    if (reader->size < SUPER_SIZE || get_u64(super + SUPER_MAGIC) != MAGIC)
        return refuse(
            error, "this is no log of writes: it does not begin with dm-log-writes' magic");
    if (get_u64(super + SUPER_VERSION) != VERSION)
        return refuse(error, "a log of version %" G_GUINT64_FORMAT ": only 1 is known",
            get_u64(super + SUPER_VERSION));
    reader->sector = get_u32(super + SUPER_SECTOR);
    if (reader->sector < SP_DISK_SECTOR || reader->sector > LOG_SECTOR_MAX ||
        (reader->sector & (reader->sector - 1)) != 0)
        return refuse(error, "a log with sectors of %u bytes: expected a power of two from 512 on",
            reader->sector);
    *ret_promised = get_u64(super + SUPER_ENTRIES);
    reader->at = reader->sector;
    return true;
}

static bool fits(const SpLogEntry *entry, guint64 disk_size)
{
    return entry->offset <= disk_size && entry->length <= disk_size - entry->offset;
}

typedef enum { READ_ENTRY, READ_END, READ_FAULT } ReadResult;

/* Without @error what is no entry is the end. */
static ReadResult read_entry(Reader *reader, guint64 number, SpLogEntry *ret_entry, GError **error)
{
    const guint8 *header = reader->data + reader->at;
    guint64 sector, sectors, flags, units = G_MAXINT64 / reader->sector;

    if (reader->at > reader->size || reader->size - reader->at < reader->sector) {
        refuse(error, "the log is cut off before entry %" G_GUINT64_FORMAT, number);
        return error ? READ_FAULT : READ_END;
    }
    sector = get_u64(header + ENTRY_SECTOR);
    sectors = get_u64(header + ENTRY_SECTORS);
    flags = get_u64(header + ENTRY_FLAGS);
    /* One that nobody has written. A write has a length, and what has none has a flag. */
    if (!error && flags == 0 && sectors == 0)
        return READ_END;
    if (flags & ~(guint64)FLAGS || (flags == 0 && sectors == 0) || sector > units ||
        sectors > units || get_u64(header + ENTRY_DATA) > G_MAXINT64) {
        refuse(error, "entry %" G_GUINT64_FORMAT " of the log is broken", number);
        return error ? READ_FAULT : READ_END;
    }
    *ret_entry = (SpLogEntry){
        .kind = flags & FLAG_DISCARD ? SP_LOG_DISCARD
                : sectors > 0        ? SP_LOG_WRITE
                                     : SP_LOG_FLUSH,
        .offset = sector * reader->sector,
        .length = sectors * reader->sector,
    };
    if (!fits(ret_entry, reader->disk_size)) {
        refuse(error,
            "entry %" G_GUINT64_FORMAT " lies at %" G_GUINT64_FORMAT "+%" G_GUINT64_FORMAT
            ", beyond the disk's end at %" G_GUINT64_FORMAT ": the log is of another disk",
            number, ret_entry->offset, ret_entry->length, reader->disk_size);
        return error ? READ_FAULT : READ_END;
    }
    reader->at += reader->sector;
    if (ret_entry->kind != SP_LOG_WRITE)
        return READ_ENTRY;
    if (ret_entry->length > reader->size - reader->at) {
        refuse(error, "the log is cut off in the data of entry %" G_GUINT64_FORMAT, number);
        return error ? READ_FAULT : READ_END;
    }
    ret_entry->data = reader->data + reader->at;
    reader->at += ret_entry->length;
    return READ_ENTRY;
}

SpWriteLog *sp_write_log_parse(GBytes *bytes, guint64 disk_size, GError **error)
{
    g_autoptr(SpWriteLog) log = g_new0(SpWriteLog, 1);
    Reader reader = {.disk_size = disk_size};
    SpLogEntry entry;
    guint64 promised = 0;
    gsize size;

    log->bytes = g_bytes_ref(bytes);
    log->entries = g_array_new(FALSE, FALSE, sizeof(SpLogEntry));
    reader.data = g_bytes_get_data(bytes, &size);
    reader.size = size;
    if (!read_super(&reader, &promised, error))
        return NULL;
    for (guint64 i = 0; i < promised; i++) {
        GError *fault = NULL;

        if (read_entry(&reader, i, &entry, &fault) == READ_FAULT) {
            g_propagate_error(error, fault);
            return NULL;
        }
        g_array_append_val(log->entries, entry);
    }
    while (read_entry(&reader, log->entries->len, &entry, NULL) == READ_ENTRY)
        g_array_append_val(log->entries, entry);
    return g_steal_pointer(&log);
}

SpWriteLog *sp_write_log_open(const char *path, guint64 disk_size, GError **error)
{
    g_autoptr(GMappedFile) file = g_mapped_file_new(path, FALSE, error);
    g_autoptr(GBytes) bytes = NULL;
    SpWriteLog *log;

    if (!file) {
        if (error)
            (*error)->domain = SP_ERROR, (*error)->code = SP_ERROR_USAGE;
        return NULL;
    }
    bytes = g_mapped_file_get_bytes(file);
    log = sp_write_log_parse(bytes, disk_size, error);
    if (!log)
        g_prefix_error(error, "%s: ", path);
    return log;
}

void sp_write_log_free(SpWriteLog *log)
{
    if (!log)
        return;
    g_array_unref(log->entries);
    g_bytes_unref(log->bytes);
    g_free(log);
}

const SpLogEntry *sp_write_log_entries(const SpWriteLog *log, guint *ret_count)
{
    *ret_count = log->entries->len;
    return (const SpLogEntry *)(const void *)log->entries->data;
}
