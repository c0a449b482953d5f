/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

typedef struct {
    char *name;
    guint64 offset, length; /* bytes */
} SpPartition;

/** The partitions of the raw disk @path, by its GPT and in the order of the disk: an array of
 * SpPartition. SP_ERROR_USAGE where it has none that is whole. */
GPtrArray *sp_partitions_read(const char *path, GError **error);
/** The name of what lies at @offset; where it is no partition, "the partition table". */
const char *sp_partitions_name(GPtrArray *partitions, guint64 offset);
/** The one called @name, or NULL. */
const SpPartition *sp_partitions_find(GPtrArray *partitions, const char *name);
