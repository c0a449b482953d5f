/* SPDX-License-Identifier: MIT */

/*
 * Lets SSH in from the WAN while the flag file is there. Without an option, once; with --watch, for
 * as long as the flag is there, and ends when it is not; with --close, not, whatever the flag says.
 *
 * The firewall's own rules stay as they are: what is written is one chain of theirs, and each write
 * of it is one transaction, so that it holds one rule or none.
 */

#include "lib/cleanup.h"

#include <errno.h>
#include <nftables/libnftables.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define FLAG_DIR "/data/config"
#define FLAG FLAG_DIR "/ssh-wan-enabled"
#define RULES "/etc/nftables.conf"
#define FLUSH "flush chain inet gateway ssh_wan\n"
#define RULE "add rule inet gateway ssh_wan tcp dport 22 accept\n"
#define RETRY_MS 10000
#define FLAG_EVENTS                                                                                \
    (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF)

static void nft_ctx_freep(struct nft_ctx **ctx)
{
    if (*ctx)
        nft_ctx_free(*ctx);
}

/* Only a file counts, and what can't be looked at is not there: in doubt, closed. */
static bool flag_is_there(void)
{
    struct stat st;

    if (lstat(FLAG, &st) < 0) {
        if (errno != ENOENT)
            fprintf(stderr, "ssh-wan-toggle: %s: %s, taken for not there\n", FLAG, strerror(errno));
        return false;
    }
    if (!S_ISREG(st.st_mode))
        fprintf(stderr, "ssh-wan-toggle: %s is not a file, taken for not there\n", FLAG);
    return S_ISREG(st.st_mode);
}

/* Hand @commands, or the file of that name, to the kernel as one transaction. */
static int run(const char *commands, const char *file)
{
    __attribute__((cleanup(nft_ctx_freep))) struct nft_ctx *ctx = nft_ctx_new(NFT_CTX_DEFAULT);
    int r;

    if (!ctx) {
        fprintf(stderr, "ssh-wan-toggle: libnftables can't be had\n");
        return -ENOMEM;
    }
    (void)nft_ctx_buffer_error(ctx);
    r = file ? nft_run_cmd_from_filename(ctx, file) : nft_run_cmd_from_buffer(ctx, commands);
    if (r == 0)
        return 0;
    fprintf(stderr, "ssh-wan-toggle: nftables: %s\n", nft_ctx_get_error_buffer(ctx));
    return -EIO;
}

static int close_port(void)
{
    /* The rules as the device came with them have the chain empty. */
    if (run(FLUSH, NULL) == 0 || run(NULL, RULES) == 0)
        return 0;
    fprintf(stderr, "ssh-wan-toggle: SSH from the WAN could not be shut out\n");
    return -EIO;
}

static int open_port(void)
{
    if (run(FLUSH RULE, NULL) == 0)
        return 0;
    fprintf(stderr, "ssh-wan-toggle: SSH from the WAN stays closed\n");
    (void)close_port();
    return -EIO;
}

static void drain(int fd)
{
    char events[4096];

    while (read(fd, events, sizeof events) > 0)
        ;
}

static int watch(void)
{
    sp_auto_close int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    bool is_open = false;

    /* Before the first look, so that no change is missed. */
    if (fd < 0 || inotify_add_watch(fd, FLAG_DIR, FLAG_EVENTS) < 0) {
        fprintf(stderr, "ssh-wan-toggle: %s can't be watched: %s\n", FLAG_DIR, strerror(errno));
        (void)close_port();
        return -EIO;
    }
    while (flag_is_there()) {
        struct pollfd pollfd = {.fd = fd, .events = POLLIN};

        if (!is_open)
            is_open = open_port() == 0;
        (void)sd_notify(0, is_open ? "READY=1\nSTATUS=SSH is let in from the WAN"
                                   : "READY=1\nSTATUS=SSH from the WAN can't be opened");
        (void)poll(&pollfd, 1, is_open ? -1 : RETRY_MS);
        drain(fd);
    }
    (void)sd_notify(0, "READY=1");
    return close_port();
}

int main(int argc, char **argv)
{
    const char *option = argc > 1 ? argv[1] : "";
    int r;

    if (argc > 2 || (*option && strcmp(option, "--watch") != 0 && strcmp(option, "--close") != 0)) {
        fprintf(stderr, "usage: ssh-wan-toggle [--watch|--close]\n");
        return 2;
    }
    if (strcmp(option, "--watch") == 0)
        r = watch();
    else if (*option || !flag_is_there())
        r = close_port();
    else
        r = open_port();
    return r < 0 ? 1 : 0;
}
