/* SPDX-License-Identifier: MIT */

#include "appliance/boot/early-boot.h"

#include "appliance/boot/boot-modules.h"
#include "lib/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/watchdog.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#define LINE_SIZE 320u
#define RESET_TIMEOUT_S 2
#define WATCHDOG_TIMEOUT_S 30
#define RESET_WAIT_MS 10000

static const struct {
    const char *type, *target;
    unsigned long flags;
} mounts[] = {
    {"proc", "/proc", MS_NOSUID | MS_NOEXEC | MS_NODEV},
    {"sysfs", "/sys", MS_NOSUID | MS_NOEXEC | MS_NODEV},
    {"devtmpfs", "/dev", MS_NOSUID},
};

__attribute__((format(printf, 2, 0))) static void write_line(
    const struct early_boot *boot, const char *format, va_list args)
{
    char line[LINE_SIZE];
    int n = snprintf(line, sizeof line, "%s: ", boot->program);
    size_t length = (size_t)n, written = 0;

    n = vsnprintf(line + length, sizeof line - length - 1, format, args);
    if (n < 0)
        return;
    length = strlen(line);
    line[length++] = '\n';
    while (written < length) {
        ssize_t r = write(boot->console_fd, line + written, length - written);

        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return;
        written += (size_t)r;
    }
}

void early_boot_say(const struct early_boot *boot, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    write_line(boot, format, args);
    va_end(args);
}

void early_boot_drain(const struct early_boot *boot)
{
    while (tcdrain(boot->console_fd) < 0 && errno == EINTR)
        ;
}

/* Opens the watchdog, which arms it. It stays armed when the descriptor is closed without the magic
 * character, and over a kexec: a kernel that does not get far enough to feed it is reset. Returns
 * -1 if there is no watchdog. */
static int open_watchdog(int timeout_s)
{
    int fd = open("/dev/watchdog", O_WRONLY | O_CLOEXEC);

    if (fd >= 0)
        (void)ioctl(fd, WDIOC_SETTIMEOUT, &timeout_s);
    return fd;
}

static void arm_watchdog(void)
{
    int fd = open_watchdog(WATCHDOG_TIMEOUT_S);

    if (fd >= 0)
        (void)close(fd);
}

static void on_module_error(void *data, const char *name, int error)
{
    early_boot_say(data, "module %s: %s", name, strerror(-error));
}

void early_boot_start(struct early_boot *boot, const char *program)
{
    int r;

    *boot = (struct early_boot){.program = program, .console_fd = STDERR_FILENO, .watch_fd = -1};
    if (getpid() != 1) {
        early_boot_say(boot, "runs only as pid 1 of an initramfs");
        _exit(2);
    }
    umask(0);
    for (size_t i = 0; i < sizeof mounts / sizeof *mounts; i++) {
        r = early_boot_mkdir(mounts[i].target);
        if (r == 0 &&
            mount(mounts[i].type, mounts[i].target, mounts[i].type, mounts[i].flags, NULL) < 0 &&
            errno != EBUSY)
            r = -errno;
        if (r < 0)
            early_boot_say(boot, "mount %s: %s", mounts[i].target, strerror(-r));
    }
    r = open("/dev/console", O_WRONLY | O_NOCTTY | O_CLOEXEC);
    if (r < 0)
        r = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
    if (r >= 0)
        boot->console_fd = r;

    r = partition_watch_open();
    if (r < 0)
        early_boot_say(boot, "kernel events are not available: %s", strerror(-r));
    boot->watch_fd = r;
    r = boot_modules_load("/modules", on_module_error, boot);
    if (r < 0)
        early_boot_say(boot, "/modules/order: %s", strerror(-r));
    arm_watchdog();
}

int early_boot_mkdir(const char *path)
{
    return mkdir(path, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

int early_boot_mount_partition(const struct early_boot *boot, const char *label, int timeout_ms,
    const char *target, const char *type, unsigned long flags)
{
    char device[PARTITION_PATH_MAX];
    int r = partition_find(boot->watch_fd, label, timeout_ms, device);

    if (r == 0)
        r = early_boot_mkdir(target);
    if (r == 0 && mount(device, target, type, flags, NULL) < 0)
        r = -errno;
    return r;
}

/* Returns only if there is no watchdog, or one that does not reset the machine. */
static void reset_by_watchdog(void)
{
    sp_auto_close int fd = open_watchdog(RESET_TIMEOUT_S);

    if (fd >= 0)
        (void)poll(NULL, 0, RESET_WAIT_MS);
}

void early_boot_fail(const struct early_boot *boot, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    write_line(boot, format, args);
    va_end(args);
    early_boot_drain(boot);
    sync();
    reset_by_watchdog();
    (void)reboot(RB_AUTOBOOT);
    /* PID 1 must not end: the kernel would panic, and might not reset */
    for (;;)
        (void)pause();
}
