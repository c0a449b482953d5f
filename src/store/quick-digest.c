/* SPDX-License-Identifier: MIT */
#include "store/quick-digest.h"

#include "base/error.h"
#include "base/file-data.h"
#include "lib/byte-order.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#define PAGE ((gsize)4096)
#define BLOCK (256 * PAGE)
#define LANES 4u

#define PRIME1 G_GUINT64_CONSTANT(0x9E3779B185EBCA87)
#define PRIME2 G_GUINT64_CONSTANT(0xC2B2AE3D27D4EB4F)
#define PRIME3 G_GUINT64_CONSTANT(0x165667B19E3779F9)
#define PRIME4 G_GUINT64_CONSTANT(0x85EBCA77C2B2AE63)

static guint64 rotate_left(guint64 value, guint bits)
{
    return value << bits | value >> (64 - bits);
}

static guint64 mix_lane(guint64 sum, guint64 lane)
{
    return rotate_left(sum + lane * PRIME2, 31) * PRIME1;
}

/* XXH64 of a page, which is a whole number of stripes, without a remainder. */
static guint64 digest_page(const guint8 *page, guint64 seed)
{
    guint64 sums[LANES] = {seed + PRIME1 + PRIME2, seed + PRIME2, seed, seed - PRIME1};
    guint64 sum;

    for (gsize at = 0; at < PAGE; at += sizeof sums) {
        for (guint i = 0; i < LANES; i++)
            sums[i] = mix_lane(sums[i], sp_get_le64(page + at + i * sizeof sums[0]));
    }
    sum = rotate_left(sums[0], 1) + rotate_left(sums[1], 7) + rotate_left(sums[2], 12) +
          rotate_left(sums[3], 18);
    for (guint i = 0; i < LANES; i++)
        sum = (sum ^ mix_lane(0, sums[i])) * PRIME1 + PRIME4;
    sum += PAGE;
    sum = (sum ^ sum >> 33) * PRIME2;
    sum = (sum ^ sum >> 29) * PRIME3;
    return sum ^ sum >> 32;
}

/* Returns how many of @length bytes were read, fewer only at the end of the file; negative with
 * errno. */
static gssize read_block(int fd, guint8 *block, gsize length, off_t at)
{
    gsize done = 0;

    while (done < length) {
        gssize n = pread(fd, block + done, length - done, at + (off_t)done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        done += (gsize)n;
    }
    return (gssize)done;
}

/* Add the pages from @at up to @end, both page boundaries unless @end is the file's end. */
static bool add_pages(int fd, guint8 *block, off_t at, off_t end, guint64 *sum)
{
    while (at < end) {
        gssize n = read_block(fd, block, MIN(BLOCK, (gsize)(end - at)), at);

        if (n <= 0) {
            errno = n == 0 ? EIO : errno; /* truncated while it was read */
            return false;
        }
        memset(block + n, 0, BLOCK - (gsize)n);
        for (gsize i = 0; i < (gsize)n; i += PAGE) {
            if (!sp_is_zero(block + i, PAGE))
                *sum = digest_page(block + i, *sum ^ (guint64)(at + (off_t)i));
        }
        at += n;
    }
    return true;
}

static bool digest_file(int fd, guint64 *ret_sum)
{
    g_autofree guint8 *block = g_malloc(BLOCK);
    off_t length = lseek(fd, 0, SEEK_END), at = 0, end;
    guint64 sum = (guint64)length;
    int found;

    if (length < 0)
        return false;
    while ((found = sp_file_next_data(fd, &at, &end)) > 0) {
        /* a file system may have holes that begin anywhere */
        at -= at % (off_t)PAGE;
        end = MIN(length, (end + (off_t)PAGE - 1) / (off_t)PAGE * (off_t)PAGE);
        if (!add_pages(fd, block, at, end, &sum))
            return false;
        at = end;
    }
    *ret_sum = sum;
    return found == 0;
}

char *sp_quick_digest(const char *path, GError **error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    guint64 sum;
    bool is_good = fd >= 0 && digest_file(fd, &sum);

    if (!is_good)
        g_set_error(
            error, SP_ERROR, SP_ERROR_HOST, "'%s' can't be read: %s", path, g_strerror(errno));
    if (fd >= 0)
        close(fd);
    return is_good ? g_strdup_printf(SP_QUICK_DIGEST_PREFIX "%016" G_GINT64_MODIFIER "x", sum)
                   : NULL;
}
