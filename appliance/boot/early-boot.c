/* SPDX-License-Identifier: MIT */
#include "appliance/boot/early-boot.h"

#include "appliance/boot/boot-modules.h"
#include "lib/atomic-file.h"
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
#define WATCHDOG_WAIT_MS 10000

static const struct {
    const char *type, *target;
    unsigned long flags;
} mounts[] = {
    {"proc", "/proc", MS_NOSUID | MS_NOEXEC | MS_NODEV},
    {"sysfs", "/sys", MS_NOSUID | MS_NOEXEC | MS_NODEV},
    {"devtmpfs", "/dev", MS_NOSUID},
};

__attribute__((format(printf, 2, 0))) static void say(
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
    say(boot, format, args);
    va_end(args);
}

void early_boot_drain(const struct early_boot *boot)
{
    while (tcdrain(boot->console_fd) < 0 && errno == EINTR)
        ;
}

/* Where there is one. It stays armed when its descriptor is closed without the magic character, and
 * over a kexec; a kernel that does not get as far as to feed it is reset. */
static void arm_watchdog(void)
{
    sp_auto_close int fd = open("/dev/watchdog", O_WRONLY | O_CLOEXEC);
    int timeout_s = WATCHDOG_TIMEOUT_S;

    if (fd >= 0)
        (void)ioctl(fd, WDIOC_SETTIMEOUT, &timeout_s);
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
        early_boot_say(boot, "no events of the kernel: %s", strerror(-r));
    boot->watch_fd = r;
    r = boot_modules_load("/modules", on_module_error, boot);
    if (r < 0)
        early_boot_say(boot, "/modules/order: %s", strerror(-r));
    arm_watchdog();
}

int early_boot_cmdline(char *ret_cmdline, size_t size)
{
    ssize_t length = sp_read_file_at(AT_FDCWD, "/proc/cmdline", ret_cmdline, size - 1);

    if (length < 0)
        return (int)length;
    ret_cmdline[length] = '\0';
    return 0;
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

/* Comes back only where there is no watchdog, or one that does not bite. */
static void reset_by_watchdog(void)
{
    sp_auto_close int fd = open("/dev/watchdog", O_WRONLY | O_CLOEXEC);
    int timeout_s = RESET_TIMEOUT_S;

    if (fd < 0)
        return;
    (void)ioctl(fd, WDIOC_SETTIMEOUT, &timeout_s);
    (void)poll(NULL, 0, WATCHDOG_WAIT_MS);
}

void early_boot_fail(const struct early_boot *boot, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(boot, format, args);
    va_end(args);
    early_boot_drain(boot);
    sync();
    reset_by_watchdog();
    (void)reboot(RB_AUTOBOOT);
    /* pid 1 must not end: the kernel would panic, and might stay there */
    for (;;)
        (void)pause();
}
