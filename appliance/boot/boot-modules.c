/* SPDX-License-Identifier: MIT */

/* Kernel modules in an initramfs, which has neither modprobe nor an index. */

#include "appliance/boot/boot-modules.h"

#include "lib/atomic-file.h"
#include "lib/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ORDER_MAX 16384u

static int load_module(int dirfd, const char *name, const char *parameters)
{
    sp_auto_close int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    if (syscall(SYS_finit_module, fd, parameters, 0) < 0 && errno != EEXIST && errno != ENODEV)
        return -errno;
    return 0;
}

int boot_modules_load(const char *directory, boot_modules_error_func on_error, void *data)
{
    sp_auto_close int dirfd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char order[ORDER_MAX], *rest = order, *name;
    ssize_t length;

    if (dirfd < 0)
        return -errno;
    length = sp_read_file_at(dirfd, "order", order, sizeof order - 1);
    if (length < 0)
        return (int)length;
    order[length] = '\0';

    while ((name = strsep(&rest, "\n"))) {
        char *parameters = name;
        int r;

        if (*name == '\0' || *name == '#')
            continue;
        name = strsep(&parameters, " ");
        r = load_module(dirfd, name, parameters ? parameters : "");
        if (r < 0)
            on_error(data, name, r);
    }
    return 0;
}
