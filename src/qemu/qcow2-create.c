/* SPDX-License-Identifier: MIT */
#include "qemu/qcow2-create.h"

#include "base/error.h"
#include "lib/byte-order.h"
#include "lib/write-all.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define CLUSTER_BITS 16u
#define CLUSTER ((gsize)1 << CLUSTER_BITS)
#define SECTOR 512u
/* The bytes that an entry of the first table covers: a cluster of entries, a cluster each. */
#define L2_SPAN ((guint64)CLUSTER / 8 * CLUSTER)
#define NAME_MAX_BYTES 1023u
#define BACKING_FORMAT 0xe2792acau
#define REFCOUNT_ORDER 4u /* 16 bits */

/* The clusters; the first table takes as many as it needs. */
enum { CLUSTER_HEADER, CLUSTER_REFCOUNT_TABLE, CLUSTER_REFCOUNTS, CLUSTER_L1 };

/* Offsets in the header. */
enum {
    AT_VERSION = 4,
    AT_BACKING_OFFSET = 8,
    AT_BACKING_SIZE = 16,
    AT_CLUSTER_BITS = 20,
    AT_SIZE = 24,
    AT_L1_SIZE = 36,
    AT_L1_OFFSET = 40,
    AT_REFCOUNT_TABLE = 48,
    AT_REFCOUNT_CLUSTERS = 56,
    AT_REFCOUNT_ORDER = 96,
    AT_HEADER_LENGTH = 100,
    HEADER_LENGTH = 104,
    EXTENSION_HEAD = 8
};

/* The size that a guest sees; 0 if @fd is no such image. */
static guint64 size_of_base(int fd, const char *format)
{
    guint8 header[AT_SIZE + 8];
    off_t end;

    if (!g_str_equal(format, "qcow2")) {
        end = lseek(fd, 0, SEEK_END);
        return end < 0 ? 0 : ((guint64)end + SECTOR - 1) / SECTOR * SECTOR;
    }
    if (pread(fd, header, sizeof header, 0) != sizeof header || memcmp(header, "QFI\xfb", 4) != 0)
        return 0;
    return sp_get_be64(header + AT_SIZE);
}

/* The header, the extension that names the base's format, and behind its end the base's name. */
static void fill_header(
    guint8 *header, guint64 size, guint64 l1_size, const char *base, const char *base_format)
{
    gsize format_length = strlen(base_format), at = HEADER_LENGTH;

    memcpy(header, "QFI\xfb", 4);
    sp_put_be32(header + AT_VERSION, 3);
    sp_put_be32(header + AT_CLUSTER_BITS, CLUSTER_BITS);
    sp_put_be64(header + AT_SIZE, size);
    sp_put_be32(header + AT_L1_SIZE, (guint32)l1_size);
    sp_put_be64(header + AT_L1_OFFSET, CLUSTER_L1 * CLUSTER);
    sp_put_be64(header + AT_REFCOUNT_TABLE, CLUSTER_REFCOUNT_TABLE * CLUSTER);
    sp_put_be32(header + AT_REFCOUNT_CLUSTERS, 1);
    sp_put_be32(header + AT_REFCOUNT_ORDER, REFCOUNT_ORDER);
    sp_put_be32(header + AT_HEADER_LENGTH, HEADER_LENGTH);
    sp_put_be32(header + at, BACKING_FORMAT);
    sp_put_be32(header + at + 4, (guint32)format_length);
    memcpy(header + at + EXTENSION_HEAD, base_format, format_length);
    /* filled up to 8 bytes, and then an extension of type 0 */
    at += EXTENSION_HEAD + (format_length + 7) / 8 * 8 + EXTENSION_HEAD;
    sp_put_be64(header + AT_BACKING_OFFSET, at);
    sp_put_be32(header + AT_BACKING_SIZE, (guint32)strlen(base));
    memcpy(header + at, base, strlen(base));
}

static bool write_at(int fd, const guint8 *bytes, gsize length, guint64 offset)
{
    int r = sp_pwrite_all(fd, bytes, length, (off_t)offset);

    errno = -r;
    return r == 0;
}

/* The tables are empty: they are holes. */
static bool write_image(int fd, const guint8 *header, guint64 l1_clusters)
{
    guint64 clusters = CLUSTER_L1 + l1_clusters;
    g_autofree guint8 *counts = g_malloc0(clusters * 2);
    guint8 entry[8];

    for (guint64 i = 0; i < clusters; i++)
        sp_put_be16(counts + i * 2, 1);
    sp_put_be64(entry, CLUSTER_REFCOUNTS * CLUSTER);
    return ftruncate(fd, (off_t)(clusters * CLUSTER)) == 0 &&
           write_at(fd, counts, clusters * 2, CLUSTER_REFCOUNTS * CLUSTER) &&
           write_at(fd, entry, sizeof entry, CLUSTER_REFCOUNT_TABLE * CLUSTER) &&
           write_at(fd, header, CLUSTER, 0);
}

bool sp_qcow2_create(int fd, const char *base, const char *base_format, int base_fd, GError **error)
{
    g_autofree guint8 *header = g_malloc0(CLUSTER);
    guint64 size = size_of_base(base_fd, base_format), l1_size = size / L2_SPAN + 1;
    guint64 l1_clusters = (l1_size * 8 + CLUSTER - 1) / CLUSTER;

    /* one cluster of counts is far more than any disk needs */
    if (size == 0 || size > G_MAXINT64 || CLUSTER_L1 + l1_clusters > CLUSTER / 2) {
        g_set_error(error, SP_ERROR, SP_ERROR_HOST,
            "'%s' is not a %s image, or has an impossible size", base, base_format);
        return false;
    }
    if (strlen(base) > NAME_MAX_BYTES) {
        g_set_error(error, SP_ERROR, SP_ERROR_HOST,
            "'%s' has a longer name than a qcow2 image can hold (%u bytes)", base, NAME_MAX_BYTES);
        return false;
    }
    fill_header(header, size, l1_size, base, base_format);
    if (write_image(fd, header, l1_clusters))
        return true;
    g_set_error(
        error, SP_ERROR, SP_ERROR_HOST, "an overlay can't be written: %s", g_strerror(errno));
    return false;
}
