/* SPDX-License-Identifier: MIT */

/* Reads logs of QEMU's blklogwrites and of dm-log-writes. */

#include "powercut/write-log.h"

#include "base/error.h"
#include "lib/byte-order.h"

#include <stdbool.h>
#include <string.h>

#define MAGIC G_GUINT64_CONSTANT(0x6a736677736872)
#define VERSION 1
#define LOG_SECTOR_MAX 65536u
#define ENTRIES_MAX (1u << 30)

enum {
    FLAG_FLUSH = 1,
    FLAG_FUA = 2,
    FLAG_DISCARD = 4,
    FLAG_MARK = 8,
    FLAG_METADATA = 16, /* says what it is for, not what it does */
    FLAGS = 31,
};
/* Offsets: superblock, then entry. */
enum { SUPER_MAGIC = 0, SUPER_VERSION = 8, SUPER_ENTRIES = 16, SUPER_SECTOR = 24, SUPER_SIZE = 28 };
enum { ENTRY_SECTOR = 0, ENTRY_SECTORS = 8, ENTRY_FLAGS = 16, ENTRY_DATA = 24, ENTRY_SIZE = 32 };

struct SpWriteLog {
    GBytes *bytes;
    GArray *entries; /* of SpLogEntry */
    guint64 promised;
    char *truncation; /* or NULL */
};

typedef enum { READ_ENTRY, READ_CUT_BEFORE, READ_CUT_WITHIN, READ_FAILED } ReadResult;

typedef struct {
    const guint8 *data;
    guint64 size, at, disk_size;
    guint32 sector;
    bool begins_epoch; /* the next entry */
    bool has_ended;
} Reader;

static bool refuse_log(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
static bool refuse_log(GError **error, const char *format, ...)
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

    if (reader->size < SUPER_SIZE || sp_get_le64(super + SUPER_MAGIC) != MAGIC)
        return refuse_log(
            error, "this is no log of writes: it does not begin with dm-log-writes' magic");
    if (sp_get_le64(super + SUPER_VERSION) != VERSION)
        return refuse_log(error, "a log of version %" G_GUINT64_FORMAT ": only 1 is known",
            sp_get_le64(super + SUPER_VERSION));
    reader->sector = sp_get_le32(super + SUPER_SECTOR);
    if (reader->sector < SP_DISK_SECTOR || reader->sector > LOG_SECTOR_MAX ||
        (reader->sector & (reader->sector - 1)) != 0)
        return refuse_log(error,
            "a log with sectors of %u bytes: expected a power of two from 512 on", reader->sector);
    *ret_promised = sp_get_le64(super + SUPER_ENTRIES);
    reader->at = reader->sector;
    reader->begins_epoch = true;
    return true;
}

static bool fits(const SpLogEntry *entry, guint64 disk_size)
{
    return entry->offset <= disk_size && entry->length <= disk_size - entry->offset;
}

static SpLogKind entry_kind(guint64 flags, guint64 sectors)
{
    if (flags & FLAG_DISCARD)
        return SP_LOG_DISCARD;
    if (sectors > 0)
        return SP_LOG_WRITE;
    return flags & FLAG_MARK ? SP_LOG_MARK : SP_LOG_FLUSH;
}

/* A header that was never written is all zeros. A write has a length; an entry without one has a
 * flag. */
static bool is_written(const guint8 *header)
{
    return sp_get_le64(header + ENTRY_FLAGS) != 0 || sp_get_le64(header + ENTRY_SECTORS) != 0;
}

/* dm-log-writes ends a log with it. What follows on its device is of an older log. */
static bool is_end(const guint8 *header)
{
    static const char text[] = "dm-log-writes-end";

    return sp_get_le64(header + ENTRY_FLAGS) & FLAG_MARK &&
           sp_get_le64(header + ENTRY_DATA) == sizeof text - 1 &&
           memcmp(header + ENTRY_SIZE, text, sizeof text - 1) == 0;
}

static bool read_entry_header(
    const Reader *reader, guint64 number, SpLogEntry *ret_entry, guint64 *ret_flags, GError **error)
{
    const guint8 *header = reader->data + reader->at;
    guint64 sector = sp_get_le64(header + ENTRY_SECTOR),
            sectors = sp_get_le64(header + ENTRY_SECTORS);
    guint64 flags = sp_get_le64(header + ENTRY_FLAGS), units = G_MAXINT64 / reader->sector;
    bool is_note = (flags & (FLAG_MARK | FLAG_DISCARD)) != 0;

    if (!is_written(header) || flags & ~(guint64)FLAGS || sector > units || sectors > units ||
        sp_get_le64(header + ENTRY_DATA) > G_MAXINT64 || (flags & FLAG_MARK && sectors > 0) ||
        (sectors == 0 && !is_note && !(flags & FLAG_FLUSH)))
        return refuse_log(error, "entry %" G_GUINT64_FORMAT " of the log is broken", number);
    *ret_entry = (SpLogEntry){
        .kind = entry_kind(flags, sectors),
        .begins_epoch =
            reader->begins_epoch || (flags & FLAG_FLUSH && sectors > 0) /* flushes first */,
        .offset = sectors > 0 ? sector * reader->sector : 0,
        .length = sectors * reader->sector,
    };
    *ret_flags = flags;
    if (fits(ret_entry, reader->disk_size))
        return true;
    return refuse_log(error,
        "entry %" G_GUINT64_FORMAT " lies at %" G_GUINT64_FORMAT "+%" G_GUINT64_FORMAT
        ", beyond the disk's end at %" G_GUINT64_FORMAT ": the log is of another disk",
        number, ret_entry->offset, ret_entry->length, reader->disk_size);
}

static bool is_blank(const guint8 *data, guint64 size)
{
    return size == 0 || (data[0] == 0 && memcmp(data, data + 1, size - 1) == 0);
}

/* Read the next entry, or find where the log is cut off. */
static ReadResult read_entry(Reader *reader, guint64 number, SpLogEntry *ret_entry, GError **error)
{
    guint64 left = reader->size > reader->at ? reader->size - reader->at : 0;
    guint64 flags = 0, after;

    /* a file may have been given its full length, and then not been written */
    if (is_blank(reader->data + reader->at, MIN(left, ENTRY_SIZE)))
        return READ_CUT_BEFORE;
    if (left < reader->sector)
        return READ_CUT_WITHIN;
    if (!read_entry_header(reader, number, ret_entry, &flags, error))
        return READ_FAILED;
    after = reader->at + reader->sector;
    if (ret_entry->kind == SP_LOG_WRITE) {
        if (ret_entry->length > reader->size - after)
            return READ_CUT_WITHIN;
        ret_entry->data = reader->data + after;
    }
    reader->has_ended = is_end(reader->data + reader->at);
    reader->at = after + (ret_entry->kind == SP_LOG_WRITE ? ret_entry->length : 0);
    reader->begins_epoch = ret_entry->kind == SP_LOG_FLUSH || (flags & FLAG_FUA) != 0;
    return READ_ENTRY;
}

static void set_truncation(SpWriteLog *log, ReadResult result)
{
    const char *where = result == READ_CUT_BEFORE ? "before" : "within";
    guint count = log->entries->len;

    if (count < log->promised)
        log->truncation = g_strdup_printf("the log is cut off %s entry %u, the first being 0, of "
                                          "the %" G_GUINT64_FORMAT
                                          " that it promises: only what came before it is used",
            where, count, log->promised);
    else
        log->truncation = g_strdup_printf(
            "the log is cut off %s entry %u, its last one: only what came before it is used", where,
            count);
}

/* Read entries until there is no complete one any more. */
static bool read_log_entries(SpWriteLog *log, Reader *reader, const SpTask *task, GError **error)
{
    ReadResult result = READ_ENTRY;

    while (log->entries->len < log->promised || !reader->has_ended) {
        bool is_promised = log->entries->len < log->promised;
        guint number = log->entries->len;
        SpLogEntry entry;

        if (number >= ENTRIES_MAX)
            break;
        if (!sp_task_step(task, "reading the log", reader->at, reader->size, error))
            return false;
        result = read_entry(reader, number, &entry, is_promised ? error : NULL);
        if (result == READ_FAILED) /* what was not promised, and is not an entry, is the end */
            return !is_promised;
        if (result == READ_CUT_WITHIN || (result == READ_CUT_BEFORE && is_promised))
            set_truncation(log, result);
        if (result != READ_ENTRY)
            break;
        g_array_append_val(log->entries, entry);
    }
    if (log->truncation && log->entries->len == 0)
        return refuse_log(error,
            "the log is cut off before its first entry is whole: there is nothing "
            "to check");
    return true;
}

static SpWriteLog *parse(GBytes *bytes, guint64 disk_size, const SpTask *task, GError **error)
{
    g_autoptr(SpWriteLog) log = g_new0(SpWriteLog, 1);
    Reader reader = {.disk_size = disk_size};
    gsize size;

    log->bytes = g_bytes_ref(bytes);
    log->entries = g_array_new(FALSE, FALSE, sizeof(SpLogEntry));
    reader.data = g_bytes_get_data(bytes, &size);
    reader.size = size;
    if (!read_super(&reader, &log->promised, error))
        return NULL;
    if (log->promised > ENTRIES_MAX) {
        refuse_log(
            error, "the log is broken: it promises %" G_GUINT64_FORMAT " entries", log->promised);
        return NULL;
    }
    return read_log_entries(log, &reader, task, error) ? g_steal_pointer(&log) : NULL;
}

SpWriteLog *sp_write_log_parse(GBytes *bytes, guint64 disk_size, GError **error)
{
    return parse(bytes, disk_size, NULL, error);
}

SpWriteLog *sp_write_log_open(
    const char *path, guint64 disk_size, const SpTask *task, GError **error)
{
    g_autoptr(GError) local = NULL;
    g_autoptr(GMappedFile) file = g_mapped_file_new(path, FALSE, &local);
    g_autoptr(GBytes) bytes = NULL;
    SpWriteLog *log;

    if (!file) {
        g_set_error_literal(error, SP_ERROR, SP_ERROR_USAGE, local->message);
        return NULL;
    }
    bytes = g_mapped_file_get_bytes(file);
    log = parse(bytes, disk_size, task, error);
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
    g_free(log->truncation);
    g_free(log);
}

const SpLogEntry *sp_write_log_entries(const SpWriteLog *log, guint *ret_count)
{
    *ret_count = log->entries->len;
    return (const SpLogEntry *)(const void *)log->entries->data;
}

const char *sp_write_log_truncation(const SpWriteLog *log)
{
    return log->truncation;
}

guint64 sp_write_log_promised(const SpWriteLog *log)
{
    return log->promised;
}

const guint8 *sp_log_entry_sector(const SpLogEntry *entry, guint64 sector)
{
    static const guint8 zeros[SP_DISK_SECTOR];

    return entry->data ? entry->data + (sector * SP_DISK_SECTOR - entry->offset) : zeros;
}
