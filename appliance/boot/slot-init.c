/* SPDX-License-Identifier: MIT */

/*
 * slot-init: PID 1 and the only program of a slot's initramfs. Mounts the slot's squashfs, with a
 * tmpfs over it for what is written, as the root, and becomes its init. A failure resets the
 * machine, and so counts as a failed boot of the slot.
 */

#include "appliance/boot/cmdline.h"
#include "appliance/boot/early-boot.h"
#include "lib/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define ROOTFS_WAIT_MS 10000
#define LOWER "/run/rootfs-ro" /* stays mounted: the root as it was installed */
#define WRITABLE "/writable"
#define NEW_ROOT "/newroot"

static const char *const rootfs_labels[SP_SLOT_COUNT] = {"rootfs-a", "rootfs-b"};
static const char *const moved_mounts[] = {"/proc", "/sys", "/dev", "/run"};
static const char *const inits[] = {"/sbin/init", "/usr/lib/systemd/systemd"};

static void mkdir_or_fail(const struct early_boot *boot, const char *path)
{
    int r = early_boot_mkdir(path);

    if (r < 0)
        early_boot_fail(boot, "make %s: %s, resetting", path, strerror(-r));
}

static void mount_or_fail(const struct early_boot *boot, const char *type, const char *target,
    unsigned long flags, const char *options)
{
    mkdir_or_fail(boot, target);
    if (mount(type, target, type, flags, options) < 0)
        early_boot_fail(boot, "mount %s: %s, resetting", target, strerror(errno));
}

static enum sp_slot get_slot_or_fail(const struct early_boot *boot)
{
    char cmdline[CMDLINE_FILE_MAX];
    int r = cmdline_read(CMDLINE_FILE, cmdline);
    enum sp_slot slot;

    if (r < 0)
        early_boot_fail(boot, CMDLINE_FILE ": %s, resetting", strerror(-r));
    slot = cmdline_slot(cmdline);
    if (slot == SP_SLOT_NONE)
        early_boot_fail(boot, "the kernel was given no rauc.slot=, resetting");
    return slot;
}

static void mount_root(const struct early_boot *boot)
{
    const char *label = rootfs_labels[get_slot_or_fail(boot)];
    int r;

    mount_or_fail(boot, "tmpfs", "/run", MS_NOSUID | MS_NODEV, "mode=0755,size=20%");
    r = early_boot_mount_partition(boot, label, ROOTFS_WAIT_MS, LOWER, "squashfs", MS_RDONLY);
    if (r == -ENOENT)
        early_boot_fail(boot, "there is no partition called %s, resetting", label);
    if (r < 0)
        early_boot_fail(boot, "mount %s: %s, resetting", label, strerror(-r));

    mount_or_fail(boot, "tmpfs", WRITABLE, 0, "mode=0755");
    mkdir_or_fail(boot, WRITABLE "/upper");
    mkdir_or_fail(boot, WRITABLE "/work");
    mount_or_fail(boot, "overlay", NEW_ROOT, 0,
        "lowerdir=" LOWER ",upperdir=" WRITABLE "/upper,workdir=" WRITABLE "/work");
    /* the overlay keeps it; nothing else may write there */
    (void)umount2(WRITABLE, MNT_DETACH);

    for (size_t i = 0; i < sizeof moved_mounts / sizeof *moved_mounts; i++) {
        char target[64];

        snprintf(target, sizeof target, NEW_ROOT "%s", moved_mounts[i]);
        mkdir_or_fail(boot, target);
        if (mount(moved_mounts[i], target, NULL, MS_MOVE, NULL) < 0)
            early_boot_fail(boot, "move %s: %s, resetting", moved_mounts[i], strerror(errno));
    }
}

/* Removes everything in the directory that is on the same file system. Closes the descriptor. */
static void remove_content(int fd, dev_t device)
{
    sp_auto_closedir DIR *dir = fdopendir(fd);
    struct dirent *entry;

    if (!dir) {
        (void)close(fd);
        return;
    }
    while ((entry = readdir(dir))) {
        const char *name = entry->d_name;
        struct stat st;

        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
            fstatat(dirfd(dir), name, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_dev != device)
            continue;
        if (S_ISDIR(st.st_mode)) {
            int sub = openat(dirfd(dir), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

            if (sub >= 0)
                remove_content(sub, device);
        }
        (void)unlinkat(dirfd(dir), name, S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0);
    }
}

/* The initramfs takes memory and can no longer be reached: free it. */
static void remove_initramfs(void)
{
    int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct statfs fs;
    struct stat st;

    if (fd < 0)
        return;
    /* never empty a disk */
    if (fstatfs(fd, &fs) < 0 || fstat(fd, &st) < 0 ||
        (fs.f_type != RAMFS_MAGIC && fs.f_type != TMPFS_MAGIC)) {
        (void)close(fd);
        return;
    }
    remove_content(fd, st.st_dev);
}

static void enter_root(const struct early_boot *boot)
{
    if (chdir(NEW_ROOT) < 0)
        early_boot_fail(boot, "enter the root: %s, resetting", strerror(errno));
    remove_initramfs();
    if (mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 || chdir("/") < 0)
        early_boot_fail(boot, "change the root: %s, resetting", strerror(errno));
}

int main(int argc, char **argv)
{
    struct early_boot boot;
    int error = ENOENT;

    early_boot_start(&boot, "slot-init");
    mount_root(&boot);
    enter_root(&boot);
    for (size_t i = 0; i < sizeof inits / sizeof *inits; i++) {
        char *name = strdup(inits[i]);

        if (argc > 0 && name)
            argv[0] = name;
        execv(inits[i], argv);
        if (errno != ENOENT)
            error = errno;
        free(name);
    }
    early_boot_fail(&boot, "%s: %s, resetting", inits[0], strerror(error));
}
