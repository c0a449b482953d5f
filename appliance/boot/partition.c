/* SPDX-License-Identifier: MIT */

#include "appliance/boot/partition.h"

#include "lib/atomic-file.h"
#include "lib/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define CLASS_DIRECTORY "/sys/class/block"
#define UEVENT_MAX 1024u
#define KERNEL_GROUP 1u /* of NETLINK_KOBJECT_UEVENT: messages from the kernel itself */

int partition_watch_open(void)
{
    const struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = KERNEL_GROUP};
    sp_auto_close int fd =
        socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);

    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof address) < 0)
        return -errno;
    return sp_steal_fd(&fd);
}

/* Returns the value of the line "@name=..."; NULL if there is no such line. */
static const char *find_value(const char *text, size_t length, const char *name, size_t *ret_length)
{
    size_t name_length = strlen(name);

    while (length > 0) {
        const char *end = memchr(text, '\n', length);
        size_t line = end ? (size_t)(end - text) : length;

        if (line > name_length && memcmp(text, name, name_length) == 0 &&
            text[name_length] == '=') {
            *ret_length = line - name_length - 1;
            return text + name_length + 1;
        }
        line += end ? 1 : 0;
        text += line;
        length -= line;
    }
    return NULL;
}

bool partition_is_in_uevent(
    const char *text, size_t length, const char *label, char ret_path[static PARTITION_PATH_MAX])
{
    size_t label_length = 0, node_length = 0;
    const char *found = find_value(text, length, "PARTNAME", &label_length);
    const char *node = find_value(text, length, "DEVNAME", &node_length);

    if (!found || !node || label_length != strlen(label) || memcmp(found, label, label_length) != 0)
        return false;
    if (node_length == 0 || node_length >= PARTITION_PATH_MAX - strlen("/dev/") ||
        memchr(node, '\0', node_length))
        return false;
    snprintf(ret_path, PARTITION_PATH_MAX, "/dev/%.*s", (int)node_length, node);
    return true;
}

static int scan_partitions(const char *label, char ret_path[static PARTITION_PATH_MAX])
{
    sp_auto_closedir DIR *dir = opendir(CLASS_DIRECTORY);
    char best[PARTITION_PATH_MAX] = "", path[PARTITION_PATH_MAX];
    struct dirent *entry;

    if (!dir)
        return -errno;
    while ((entry = readdir(dir))) {
        char name[sizeof entry->d_name + sizeof "/uevent"], text[UEVENT_MAX];
        ssize_t length;

        if (entry->d_name[0] == '.')
            continue;
        snprintf(name, sizeof name, "%s/uevent", entry->d_name);
        length = sp_read_file_at(dirfd(dir), name, text, sizeof text);
        if (length < 0 || !partition_is_in_uevent(text, (size_t)length, label, path))
            continue;
        if (!*best || strcmp(path, best) < 0)
            memcpy(best, path, sizeof best);
    }
    if (!*best)
        return -ENOENT;
    memcpy(ret_path, best, sizeof best);
    return 0;
}

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Neither the content of the messages matters nor whether some were lost: each is just a reason to
 * scan again. */
static void discard_events(int watch_fd)
{
    char message[4096];

    while (recv(watch_fd, message, sizeof message, 0) >= 0 || errno == ENOBUFS || errno == EINTR)
        ;
}

int partition_find(
    int watch_fd, const char *label, int timeout_ms, char ret_path[static PARTITION_PATH_MAX])
{
    int64_t deadline = now_ms() + timeout_ms;

    for (;;) {
        struct pollfd watch = {.fd = watch_fd, .events = POLLIN};
        int64_t left;
        int r;

        if (watch_fd >= 0)
            discard_events(watch_fd); /* before scanning, so that later ones wake us */
        r = scan_partitions(label, ret_path);
        left = deadline - now_ms();
        if (r != -ENOENT || watch_fd < 0 || left <= 0)
            return r;
        if (poll(&watch, 1, (int)left) < 0 && errno != EINTR)
            return -errno;
    }
}
