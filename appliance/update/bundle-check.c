/* SPDX-License-Identifier: MIT */

/*
 * bundle-check: RAUC's pre-install handler (RAUC manual, "System-Based Customization: Handlers").
 * RAUC itself notices some faults of a bundle only when it reaches them, with part of the inactive
 * slot already overwritten. This handler checks the whole bundle before the first byte is written:
 * it has an image for each slot of the pair, each image fits, and each can be read to its end,
 * which for a bundle in the verity format verifies every byte. It also keeps an unconfirmed release
 * from overwriting the only confirmed one.
 */

#include "appliance/boot/boot-state.h"
#include "lib/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define PROGRAM "bundle-check"
#define BUFFER_SIZE (1024u * 1024)
#define DATA_DIR "/data"
#define STATE_DIR "/state"
/* Needed for RAUC's status file, which an installation rewrites. */
#define DATA_FREE_MIN (UINT64_C(1024) * 1024)

/* Prints the reason in the form that RAUC passes on as a message of the installation. */
__attribute__((format(printf, 1, 2))) static bool refuse(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("<< error ", stdout);
    vfprintf(stdout, format, args);
    putchar('\n');
    va_end(args);
    return false;
}

static const char *get_slot_variable(const char *prefix, const char *number)
{
    char name[64];

    if ((size_t)snprintf(name, sizeof name, "%s_%s", prefix, number) >= sizeof name)
        return NULL;
    return getenv(name);
}

static int get_device_size(const char *path, uint64_t *ret_size)
{
    sp_auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    if (S_ISBLK(st.st_mode))
        return ioctl(fd, BLKGETSIZE64, ret_size) < 0 ? -errno : 0;
    *ret_size = (uint64_t)st.st_size;
    return 0;
}

static int read_to_end(int fd)
{
    sp_auto_free char *buffer = malloc(BUFFER_SIZE);
    ssize_t n;

    if (!buffer)
        return -ENOMEM;
    do {
        n = read(fd, buffer, BUFFER_SIZE);
    } while (n > 0 || (n < 0 && errno == EINTR));
    return n < 0 ? -errno : 0;
}

static bool check_image(
    const char *directory, const char *name, const char *slot, const char *device)
{
    sp_auto_close int dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    sp_auto_close int fd = dir < 0 ? -1 : openat(dir, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    uint64_t size = 0;
    struct stat st;
    int r;

    if (fd < 0 || fstat(fd, &st) < 0)
        return refuse("image %s of the bundle: %s", name, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return refuse("image %s of the bundle is not a file", name);
    r = get_device_size(device, &size);
    if (r < 0)
        return refuse("device %s of slot %s: %s", device, slot, strerror(-r));
    if ((uint64_t)st.st_size > size)
        return refuse("image %s has %" PRIu64 " bytes, but slot %s holds only %" PRIu64, name,
            (uint64_t)st.st_size, slot, size);
    r = read_to_end(fd);
    if (r < 0)
        return refuse("image %s is damaged or can't be read: %s", name, strerror(-r));
    return true;
}

static bool check_slot(const char *directory, const char *number)
{
    const char *slot = get_slot_variable("RAUC_SLOT_NAME", number);
    const char *device = get_slot_variable("RAUC_SLOT_DEVICE", number);
    const char *image = get_slot_variable("RAUC_IMAGE_NAME", number);

    if (!slot || !device)
        return refuse("RAUC did not say what slot %s is", number);
    if (!image || !*image)
        return refuse("the bundle has no image for slot %s: a release is the whole pair", slot);
    return check_image(directory, image, slot, device);
}

static bool check_target_slots(const char *directory, const char *numbers)
{
    sp_auto_free char *copy = strdup(numbers);
    char *rest = NULL;
    unsigned count = 0;

    if (!copy)
        return refuse("%s", strerror(ENOMEM));
    for (char *n = strtok_r(copy, " ", &rest); n; n = strtok_r(NULL, " ", &rest), count++) {
        if (!check_slot(directory, n))
            return false;
    }
    return count > 0 || refuse("RAUC named no slot to install to");
}

static bool check_data(const char *directory)
{
    struct statvfs fs;
    uint64_t available;

    if (statvfs(directory, &fs) < 0)
        return refuse("%s: %s", directory, strerror(errno));
    available = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (available < DATA_FREE_MIN)
        return refuse("%s is full: %" PRIu64 " KiB are free, an installation needs %" PRIu64,
            directory, available / 1024, DATA_FREE_MIN / 1024);
    return true;
}

/* Refuses if the running slot is unconfirmed and the installation would overwrite a slot that is
 * good. If neither is good there is nothing to lose. */
static bool check_confirmed(const char *directory, const char *bootname)
{
    sp_auto_close int dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum sp_slot current = sp_slot_from_bootname(bootname), other;
    struct sp_boot_state state;
    int r = dir < 0 ? -errno : sp_boot_state_load(dir, &state, NULL);

    if (r < 0)
        return refuse("the boot state in %s can't be read: %s", directory, strerror(-r));
    if (current == SP_SLOT_NONE)
        return refuse("RAUC did not say which slot runs");
    other = current == SP_SLOT_A ? SP_SLOT_B : SP_SLOT_A;
    if (!state.slot[current].is_good && state.slot[other].is_good)
        return refuse("slot %s is not confirmed yet, and slot %s is the only good one: wait for "
                      "os-verification, or mark slot %s good",
            bootname, sp_slot_bootname(other), bootname);
    return true;
}

int main(int argc, char **argv)
{
    const char *bundle = getenv("RAUC_BUNDLE_MOUNT_POINT");
    const char *slots = getenv("RAUC_TARGET_SLOTS");
    const char *current = getenv("RAUC_CURRENT_BOOTNAME");
    const char *data = getenv("SLOTPROOF_DATA"), *state = getenv("SLOT_STATE_DIR"); /* for tests */
    bool is_good;

    if (!bundle || !slots) {
        fputs(PROGRAM ": this is a handler for RAUC, which sets RAUC_BUNDLE_MOUNT_POINT and "
                      "RAUC_TARGET_SLOTS\n",
            stderr);
        return 2;
    }
    is_good = check_confirmed(state ? state : STATE_DIR, current ? current : "") &&
              check_data(data ? data : DATA_DIR) && check_target_slots(bundle, slots);
    return is_good && fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
