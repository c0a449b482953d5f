/* SPDX-License-Identifier: MIT */

/*
 * ssh-wan-toggle: allows SSH from the WAN while the flag file exists. Without an option it sets the
 * firewall to what the flag says and ends; with --watch it keeps doing so, and ends when the flag
 * is gone; with --close it forbids SSH, whatever the flag says.
 *
 * Only one chain of the firewall is changed, and each change is one transaction, so that the chain
 * holds one rule or none.
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

/* Only a regular file counts, and one that cannot be examined does not: in doubt, SSH stays closed.
 */
static bool is_flag_there(void)
{
    struct stat st;

    if (lstat(FLAG, &st) < 0) {
        if (errno != ENOENT)
            fprintf(stderr, "ssh-wan-toggle: %s: %s, treated as absent\n", FLAG, strerror(errno));
        return false;
    }
    if (!S_ISREG(st.st_mode))
        fprintf(stderr, "ssh-wan-toggle: %s is not a regular file, treated as absent\n", FLAG);
    return S_ISREG(st.st_mode);
}

/* Passes @commands, or those in @file, to the kernel as one transaction. */
static int run_nft(const char *commands, const char *file)
{
    __attribute__((cleanup(nft_ctx_freep))) struct nft_ctx *ctx = nft_ctx_new(NFT_CTX_DEFAULT);
    int r;

    if (!ctx) {
        fprintf(stderr, "ssh-wan-toggle: libnftables can't be initialized\n");
        return -ENOMEM;
    }
    (void)nft_ctx_buffer_error(ctx);
    r = file ? nft_run_cmd_from_filename(ctx, file) : nft_run_cmd_from_buffer(ctx, commands);
    if (r == 0)
        return 0;
    fprintf(stderr, "ssh-wan-toggle: nftables: %s\n", nft_ctx_get_error_buffer(ctx));
    return -EIO;
}

static int close_ssh_port(void)
{
    /* In the rules that the device came with, the chain is empty. */
    if (run_nft(FLUSH, NULL) == 0 || run_nft(NULL, RULES) == 0)
        return 0;
    fprintf(stderr, "ssh-wan-toggle: SSH from the WAN can't be closed\n");
    return -EIO;
}

static int open_ssh_port(void)
{
    if (run_nft(FLUSH RULE, NULL) == 0)
        return 0;
    fprintf(stderr, "ssh-wan-toggle: SSH from the WAN stays closed\n");
    (void)close_ssh_port();
    return -EIO;
}

static void discard_flag_events(int fd)
{
    char events[4096];

    while (read(fd, events, sizeof events) > 0)
        ;
}

static int watch_flag(void)
{
    sp_auto_close int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    bool is_open = false;

    /* Before the flag is looked at, so that no change is missed. */
    if (fd < 0 || inotify_add_watch(fd, FLAG_DIR, FLAG_EVENTS) < 0) {
        fprintf(stderr, "ssh-wan-toggle: %s can't be watched: %s\n", FLAG_DIR, strerror(errno));
        (void)close_ssh_port();
        return -EIO;
    }
    while (is_flag_there()) {
        struct pollfd pollfd = {.fd = fd, .events = POLLIN};

        if (!is_open)
            is_open = open_ssh_port() == 0;
        (void)sd_notify(0, is_open ? "READY=1\nSTATUS=SSH is allowed from the WAN"
                                   : "READY=1\nSTATUS=SSH from the WAN can't be opened");
        (void)poll(&pollfd, 1, is_open ? -1 : RETRY_MS);
        discard_flag_events(fd);
    }
    (void)sd_notify(0, "READY=1");
    return close_ssh_port();
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
        r = watch_flag();
    else if (*option || !is_flag_there())
        r = close_ssh_port();
    else
        r = open_ssh_port();
    return r < 0 ? 1 : 0;
}
