/* SPDX-License-Identifier: MIT */

/*
 * slot-selector: the boot loader, in effect: PID 1 and the only program of the initramfs that QEMU
 * starts. Reads the boot state, takes an attempt from the slot it chooses, makes that durable, and
 * starts the slot's kernel by kexec. Never returns.
 */

#include "appliance/boot/boot-plan.h"
#include "appliance/boot/cmdline.h"
#include "appliance/boot/early-boot.h"
#include "appliance/boot/slot-kernel.h"
#include "lib/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/reboot.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <unistd.h>

#define STATE_DIRECTORY "/state"
#define BOOT_DIRECTORY "/boot"
#define PARTITION_FLAGS (MS_NOATIME | MS_NOSUID | MS_NODEV | MS_NOEXEC)

/* The disk may take a while to appear. Once the state partition is there, the partition table has
 * been read, and a slot's partition that is missing will not appear any more. */
#define STATE_WAIT_MS 10000
#define SLOT_WAIT_MS 500

static const char *const boot_labels[SP_SLOT_COUNT] = {"boot-a", "boot-b"};

struct selector {
    struct early_boot boot;
    struct boot_plan plan;
    char cmdline[CMDLINE_FILE_MAX];
};

static void on_plan_line(void *data, const char *line)
{
    const struct early_boot *boot = data;

    early_boot_say(boot, "%s", line);
}

static int open_state_directory(void)
{
    int fd = open(STATE_DIRECTORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd < 0 ? -errno : fd;
}

/* No lock, here and in store_state(): nothing else is running. */
static int load_plan(struct selector *s)
{
    sp_auto_close int dir = open_state_directory();
    enum sp_boot_source source;
    struct sp_boot_state state;
    int r;

    if (dir < 0)
        return dir;
    r = sp_boot_state_load(dir, &state, &source);
    if (r < 0)
        return r;
    boot_plan_init(&s->plan, &state, source, sp_boot_last_good_load(dir), on_plan_line, &s->boot);
    return 0;
}

static void make_plan(struct selector *s)
{
    /* Read-only until something has to be written: booting a good slot writes nothing. */
    int r = early_boot_mount_partition(
        &s->boot, "state", STATE_WAIT_MS, STATE_DIRECTORY, "ext4", PARTITION_FLAGS | MS_RDONLY);
    const char *what = r < 0 ? "mount the state partition" : "read the file";
    char why[128];

    if (r == 0)
        r = load_plan(s);
    if (r == 0)
        return;
    snprintf(why, sizeof why, "%s: %s", what, strerror(-r));
    boot_plan_init_unreadable(&s->plan, r == -ENOENT ? "there is no partition called state" : why,
        on_plan_line, &s->boot);
}

static int store_state(const struct selector *s)
{
    sp_auto_close int dir = -1;

    if (mount(NULL, STATE_DIRECTORY, NULL, MS_REMOUNT | PARTITION_FLAGS, NULL) < 0)
        return -errno;
    dir = open_state_directory();
    if (dir < 0)
        return dir;
    return sp_boot_state_store(dir, &s->plan.state);
}

/* Returns whether @step may be booted now. */
static bool make_plan_durable(struct selector *s, const struct boot_step *step)
{
    int r;

    if (!s->plan.is_dirty)
        return true;
    r = store_state(s);
    if (r < 0)
        return boot_plan_not_stored(&s->plan, step, strerror(-r));
    boot_plan_stored(&s->plan);
    return true;
}

/* Returns whether the slot's kernel is ready to be started. */
static bool load_slot(struct selector *s, enum sp_slot slot)
{
    const char *label = boot_labels[slot], *what = NULL;
    char why[128];
    int r = early_boot_mount_partition(
        &s->boot, label, SLOT_WAIT_MS, BOOT_DIRECTORY, "vfat", PARTITION_FLAGS | MS_RDONLY);

    if (r == 0) {
        r = slot_kernel_load(BOOT_DIRECTORY, s->cmdline, slot, s->plan.note, &what);
        (void)umount2(BOOT_DIRECTORY, MNT_DETACH);
        if (r == 0)
            return true;
        snprintf(why, sizeof why, "%s: %s: %s", label, what, strerror(-r));
    } else if (r == -ENOENT) {
        snprintf(why, sizeof why, "there is no partition called %s", label);
    } else {
        snprintf(why, sizeof why, "mount %s: %s", label, strerror(-r));
    }
    boot_plan_failed(&s->plan, slot, why);
    return false;
}

static void unmount_state(const struct selector *s)
{
    if (umount2(STATE_DIRECTORY, 0) < 0 && errno != EINVAL && errno != ENOENT) {
        early_boot_say(&s->boot, "unmount " STATE_DIRECTORY ": %s", strerror(errno));
        (void)mount(NULL, STATE_DIRECTORY, NULL, MS_REMOUNT | MS_RDONLY, NULL);
    }
    sync();
}

static void boot_some_slot(struct selector *s)
{
    struct boot_step step;

    while (boot_plan_next(&s->plan, &step)) {
        if (!make_plan_durable(s, &step) || !load_slot(s, step.slot))
            continue;
        unmount_state(s);
        early_boot_drain(&s->boot);
        (void)reboot(LINUX_REBOOT_CMD_KEXEC);
        early_boot_fail(&s->boot, "slot %s does not start: %s, resetting",
            sp_slot_bootname(step.slot), strerror(errno));
    }
}

int main(void)
{
    struct selector s = {0};
    int r;

    early_boot_start(&s.boot, "slot-selector");
    r = cmdline_read(CMDLINE_FILE, s.cmdline);
    if (r < 0)
        early_boot_say(&s.boot, CMDLINE_FILE ": %s", strerror(-r));
    make_plan(&s);
    boot_some_slot(&s);
    unmount_state(&s);
    early_boot_fail(&s.boot, "no slot boots, resetting");
}
