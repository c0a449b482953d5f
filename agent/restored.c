/* SPDX-License-Identifier: MIT */

/* RESTORED: the clock and the random pool of a machine that goes on from a saved state. */

#include "agent/channel.h"

#include "lib/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

union seed {
    struct rand_pool_info info;
    uint8_t bytes[sizeof(struct rand_pool_info) + SP_SEED_MAX];
};

static int parse_restored(
    struct sp_payload *payload, struct timespec *ret_time, union seed *ret_seed)
{
    const uint8_t *bytes;
    uint32_t low, high, length;
    uint64_t us;

    if (sp_payload_take_u32(payload, &low) < 0 || sp_payload_take_u32(payload, &high) < 0 ||
        sp_payload_take_u32(payload, &length) < 0 || length == 0 || length > SP_SEED_MAX ||
        sp_payload_take_bytes(payload, length, &bytes) < 0)
        return -EPROTO;
    us = (uint64_t)high << 32 | low;
    if (us > INT64_MAX)
        return -EINVAL;
    *ret_time =
        (struct timespec){.tv_sec = (time_t)(us / 1000000), .tv_nsec = (long)(us % 1000000 * 1000)};
    memcpy(ret_seed->bytes + offsetof(struct rand_pool_info, buf), bytes, length);
    ret_seed->info.buf_size = (int)length;
    ret_seed->info.entropy_count = (int)length * 8;
    return 0;
}

/* See random(4). */
static int seed_kernel(const union seed *seed)
{
    sp_auto_close int fd = open("/dev/urandom", O_WRONLY | O_CLOEXEC);

    if (fd < 0 || ioctl(fd, RNDADDENTROPY, seed) < 0 || ioctl(fd, RNDRESEEDCRNG) < 0)
        return -errno;
    return 0;
}

static int restored_open(struct channel *channel, struct sp_payload *payload)
{
    union seed seed = {0};
    struct timespec now;
    int r = parse_restored(payload, &now, &seed);

    if (r == 0) {
        channel->about = "the clock";
        r = clock_settime(CLOCK_REALTIME, &now) < 0 ? -errno : 0;
    }
    if (r == 0) {
        channel->about = "/dev/urandom";
        r = seed_kernel(&seed);
    }
    if (r == 0)
        channel_exit(channel, false, 0, NULL);
    return r;
}

static void restored_free(struct channel *channel)
{
}

const struct channel_ops restored_ops = {
    .opened_by = SP_AGENT_FRAME_RESTORED,
    .open = restored_open,
    .free = restored_free,
};
