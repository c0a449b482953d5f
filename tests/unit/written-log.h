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
