/* SPDX-License-Identifier: MIT */
#pragma once

#include "powercut/crash-disk.h"
#include "powercut/task.h"

#include <glib.h>
#include <stdbool.h>

/* The partitions of a disk. */

typedef struct {
    char *name;
    guint64 offset, length; /* bytes */
} SpPartition;

/** The partitions of the raw disk @path, by its GPT and in the order of the disk: an array of
 * SpPartition. SP_ERROR_USAGE if it has no valid GPT with partitions. */
GPtrArray *sp_partitions_read(const char *path, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** The name of the partition at @offset; "the partition table" outside of all. */
const char *sp_partitions_name(GPtrArray *partitions, guint64 offset);
/** The one called @name, or NULL. */
const SpPartition *sp_partitions_find(GPtrArray *partitions, const char *name);
/** The same; SP_ERROR_USAGE if the disk does not have it. */
const SpPartition *sp_partitions_get(
    GPtrArray *partitions, const char *name, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/**
 * Whether @partition begins with the content of the file @path on @disk as it is now; otherwise
 * SP_ERROR_ASSERTION, or another error if the file can't be read or is larger. @task may be NULL.
 */
bool sp_partition_begins_with(const SpPartition *partition, const SpCrashDisk *disk,
    const char *path, const SpTask *task, GError **error) G_GNUC_WARN_UNUSED_RESULT;
