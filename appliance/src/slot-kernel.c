/* SPDX-License-Identifier: MIT */
#include "slot-kernel.h"

#include "cmdline.h"
#include "lib/atomic-file.h"
#include "lib/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int failed(const char *what, int error, const char **ret_what)
{
    *ret_what = what;
    return error;
}

int slot_kernel_load(
    const char *folder, const char *own, enum sp_slot slot, const char *note, const char **ret_what)
{
    sp_auto_close int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    sp_auto_close int kernel = -1;
    sp_auto_close int initrd = -1;
    char extra[CMDLINE_EXTRA_MAX], cmdline[CMDLINE_MAX];
    ssize_t length;
    int r;

    if (dir < 0)
        return failed(folder, -errno, ret_what);
    kernel = openat(dir, "vmlinuz", O_RDONLY | O_CLOEXEC);
    if (kernel < 0)
        return failed("vmlinuz", -errno, ret_what);
    initrd = openat(dir, "initrd.img", O_RDONLY | O_CLOEXEC);
    if (initrd < 0)
        return failed("initrd.img", -errno, ret_what);
    length = sp_read_file_at(dir, "cmdline", extra, sizeof extra);
    if (length == -ENOENT)
        length = 0;
    if (length < 0)
        return failed("cmdline", (int)length, ret_what);
    r = cmdline_build(own, extra, (size_t)length, slot, note, cmdline);
    if (r < 0)
        return failed("cmdline", r, ret_what);

    /* Only what it returns counts: errno may be set though the kernel was loaded. */
    if (syscall(SYS_kexec_file_load, kernel, initrd, strlen(cmdline) + 1, cmdline, 0ul) != 0)
        return failed("kexec_file_load", -errno, ret_what);
    return 0;
}
