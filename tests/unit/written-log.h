/* SPDX-License-Identifier: MIT */
#pragma once

#include "powercut/write-log.h"

/* A log as QEMU would write it, request by request. */

#define WRITTEN_SECTOR 512u

/** An empty log with its superblock. */
GByteArray *written_log_new(void);
/** @sectors sectors from @sector on, all bytes of them @fill. */
void written_log_write(GByteArray *log, guint64 sector, guint64 sectors, guint8 fill);
void written_log_discard(GByteArray *log, guint64 sector, guint64 sectors);
void written_log_flush(GByteArray *log);
/** The superblock counts so many entries. */
void written_log_promise(GByteArray *log, guint64 entries);
/** A note of dm-log-writes' with @text, which is shorter than what is left of a sector. */
void written_log_mark(GByteArray *log, const char *text);
/** The entry whose header is at @at has these of the format's flags besides its own. */
void written_log_flag(GByteArray *log, guint at, guint64 flags);
/** The log in @array, which it takes. */
SpWriteLog *written_log_parse(GByteArray *array, guint64 disk_size);
