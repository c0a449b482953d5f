/* SPDX-License-Identifier: MIT */

/* Reads a disk's GPT by libfdisk. */

#include "powercut/partitions.h"

#include "base/error.h"

#include <libfdisk/libfdisk.h>
#include <string.h>

#define CHUNK (1024u * 1024u)

static void free_disk_partition(void *data)
{
    SpPartition *partition = data;

    g_free(partition->name);
    g_free(partition);
}

static int compare_offsets(const void *a, const void *b)
{
    const SpPartition *left = *(SpPartition *const *)a, *right = *(SpPartition *const *)b;

    return left->offset < right->offset ? -1 : left->offset > right->offset;
}

static GPtrArray *read_table(struct fdisk_context *context)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(free_disk_partition);
    unsigned long sector = fdisk_get_sector_size(context);
    struct fdisk_table *table = NULL;
    struct fdisk_partition *entry = NULL;
    struct fdisk_iter *iter;

    if (fdisk_get_partitions(context, &table) != 0)
        return NULL;
    iter = fdisk_new_iter(FDISK_ITER_FORWARD);
    while (fdisk_table_next_partition(table, iter, &entry) == 0) {
        SpPartition *partition = g_new0(SpPartition, 1);
        const char *name = fdisk_partition_get_name(entry);

        partition->name =
            name && *name ? g_utf8_make_valid(name, -1)
                          : g_strdup_printf("partition %zu", fdisk_partition_get_partno(entry) + 1);
        partition->offset = (guint64)fdisk_partition_get_start(entry) * sector;
        partition->length = (guint64)fdisk_partition_get_size(entry) * sector;
        g_ptr_array_add(list, partition);
    }
    fdisk_free_iter(iter);
    fdisk_unref_table(table);
    g_ptr_array_sort(list, compare_offsets);
    return g_steal_pointer(&list);
}

/* NULL if there is none with sectors of this size. */
static GPtrArray *read_with_sectors(const char *path, guint sector)
{
    struct fdisk_context *context = fdisk_new_context();
    GPtrArray *list = NULL;

    if (fdisk_save_user_sector_size(context, sector, sector) == 0 &&
        fdisk_assign_device(context, path, 1) == 0 && fdisk_is_label(context, GPT))
        list = read_table(context);
    fdisk_unref_context(context);
    if (list && list->len == 0)
        g_clear_pointer(&list, g_ptr_array_unref);
    return list;
}

GPtrArray *sp_partitions_read(const char *path, GError **error)
{
    GPtrArray *list = read_with_sectors(path, 512);

    if (!list)
        list = read_with_sectors(path, 4096);
    if (!list)
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
            "'%s' has no GPT that is whole, with partitions in it", path);
    return list;
}

const char *sp_partitions_name(GPtrArray *partitions, guint64 offset)
{
    for (guint i = 0; i < partitions->len; i++) {
        const SpPartition *partition = g_ptr_array_index(partitions, i);

        if (offset >= partition->offset && offset - partition->offset < partition->length)
            return partition->name;
    }
    return "the partition table";
}

const SpPartition *sp_partitions_find(GPtrArray *partitions, const char *name)
{
    for (guint i = 0; i < partitions->len; i++) {
        const SpPartition *partition = g_ptr_array_index(partitions, i);

        if (g_str_equal(partition->name, name))
            return partition;
    }
    return NULL;
}

const SpPartition *sp_partitions_get(GPtrArray *partitions, const char *name, GError **error)
{
    const SpPartition *partition = sp_partitions_find(partitions, name);

    if (!partition)
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
            "the disk has no partition '%s': it is another device's, or was not booted yet", name);
    return partition;
}

bool sp_partition_begins_with(const SpPartition *partition, const SpCrashDisk *disk,
    const char *path, const SpTask *task, GError **error)
{
    g_autoptr(GMappedFile) file = g_mapped_file_new(path, FALSE, error);
    g_autofree guint8 *buffer = g_malloc(CHUNK);
    const char *data;
    gsize size;

    if (!file)
        return false;
    data = g_mapped_file_get_contents(file);
    size = g_mapped_file_get_length(file);
    for (gsize at = 0; at < size && size <= partition->length; at += CHUNK) {
        gsize n = MIN(CHUNK, size - at);

        if (!sp_task_step(task, "comparing a partition with what was installed", at, size, error))
            return false;
        sp_crash_disk_read(disk, partition->offset + at, n, buffer);
        if (memcmp(buffer, data + at, n) == 0)
            continue;
        g_set_error(error, SP_ERROR, SP_ERROR_ASSERTION,
            "at the log's end %s does not hold '%s': it differs within %zu bytes from %zu on",
            partition->name, path, n, at);
        return false;
    }
    if (size > partition->length)
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE, "'%s' is larger than the partition %s", path,
            partition->name);
    return size <= partition->length;
}
