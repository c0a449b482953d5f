/* SPDX-License-Identifier: MIT */
#include "agent-restored.h"

#include "lib/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#define SEED_MAX 64

union seed {
    struct rand_pool_info info;
    uint8_t bytes[sizeof(struct rand_pool_info) + SEED_MAX];
};

static int parse_time(const char *text, struct timespec *ret_time)
{
    char *end;
    long long us;

    errno = 0;
    us = strtoll(text, &end, 10);
    if (errno || end == text || *end || us < 0)
        return -EINVAL;
    *ret_time = (struct timespec){.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
    return 0;
}

static int parse_seed(const char *text, union seed *ret_seed)
{
    size_t length = strlen(text);

    if (length == 0 || length % 2 || length > 2 * (size_t)SEED_MAX ||
        strspn(text, "0123456789abcdef") != length)
        return -EINVAL;
    for (size_t i = 0; i < length / 2; i++) {
        const char digits[3] = {text[2 * i], text[2 * i + 1], '\0'};
        ret_seed->bytes[offsetof(struct rand_pool_info, buf) + i] =
            (uint8_t)strtoul(digits, NULL, 16);
    }
    ret_seed->info.buf_size = (int)(length / 2);
    ret_seed->info.entropy_count = ret_seed->info.buf_size * 8;
    return 0;
}

static int stir(const union seed *seed)
{
    sp_auto_close int fd = open("/dev/urandom", O_WRONLY | O_CLOEXEC);

    if (fd < 0 || ioctl(fd, RNDADDENTROPY, seed) < 0 || ioctl(fd, RNDRESEEDCRNG) < 0)
        return -errno;
    return 0;
}

int restored_main(int argc, char **argv)
{
    static union seed seed;
    struct timespec now;
    int r;

    if (argc != 3 || parse_time(argv[1], &now) < 0 || parse_seed(argv[2], &seed) < 0) {
        fprintf(stderr, "usage: slotproof-agent restored MICROSECONDS HEX\n");
        return 2;
    }
    r = clock_settime(CLOCK_REALTIME, &now) < 0 ? -errno : 0;
    if (r < 0)
        fprintf(stderr, "slotproof-agent: the clock can't be set: %s\n", strerror(-r));
    if (r == 0 && (r = stir(&seed)) < 0)
        fprintf(stderr, "slotproof-agent: no new seed for /dev/urandom: %s\n", strerror(-r));
    return r < 0 ? 1 : 0;
}
