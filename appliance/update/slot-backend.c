/* SPDX-License-Identifier: MIT */

/*
 * slot-backend: what RAUC calls to read and change the boot state (RAUC manual, "Custom Bootloader
 * Backend Interface").
 */

#include "appliance/boot/cmdline.h"
#include "lib/atomic-file.h"
#include "lib/boot-state.h"
#include "lib/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define PROGRAM "slot-backend"
#define DEFAULT_STATE_DIR "/state"
#define DEFAULT_CMDLINE "/proc/cmdline"

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct backend {
    const char *folder;
    int dirfd, lock_fd;
    struct sp_boot_state state;
};

struct command {
    const char *name;
    int arguments;
    const char *usage;
    int (*run)(char **arguments);
};

__attribute__((format(printf, 2, 3))) static int fail(int status, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs(PROGRAM ": ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return status;
}

static void backend_clear(struct backend *b)
{
    sp_cleanup_close(&b->lock_fd);
    sp_cleanup_close(&b->dirfd);
}

#define auto_backend __attribute__((cleanup(backend_clear)))
#define BACKEND_INIT                                                                               \
    {                                                                                              \
        .dirfd = -1, .lock_fd = -1                                                                 \
    }

/* Lock and load. Returns an exit status, and has said what failed. */
static int backend_open(struct backend *b)
{
    enum sp_boot_source source;
    int r;

    b->folder = getenv("SLOT_STATE_DIR");
    if (!b->folder || !*b->folder)
        b->folder = DEFAULT_STATE_DIR;
    b->dirfd = open(b->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (b->dirfd < 0)
        return fail(EXIT_FAILED, "folder %s of the boot state: %s", b->folder, strerror(errno));
    b->lock_fd = sp_boot_state_lock(b->dirfd);
    if (b->lock_fd < 0)
        return fail(EXIT_FAILED, "%s can't be locked: %s", b->folder, strerror(-b->lock_fd));
    r = sp_boot_state_load(b->dirfd, &b->state, &source);
    if (r < 0)
        return fail(EXIT_FAILED, "the boot state in %s can't be read: %s", b->folder, strerror(-r));
    if (source != SP_BOOT_FROM_FILE)
        fail(0, "the boot state in %s was missing or broken, rebuilt from the last good slot %s",
            b->folder, sp_slot_bootname(sp_boot_last_good_load(b->dirfd)));
    return EXIT_OK;
}

static int backend_store(const struct backend *b)
{
    int r = sp_boot_state_store(b->dirfd, &b->state);

    if (r < 0)
        return fail(
            EXIT_FAILED, "the boot state in %s can't be written: %s", b->folder, strerror(-r));
    return EXIT_OK;
}

/* Returns an exit status. */
static int parse_slot(const char *name, enum sp_slot *ret_slot)
{
    enum sp_slot slot = sp_slot_from_bootname(name);

    if (slot == SP_SLOT_NONE)
        return fail(EXIT_USAGE, "there is no bootname '%s', only A and B", name);
    *ret_slot = slot;
    return EXIT_OK;
}

/* The slot that runs; SP_SLOT_NONE if that is not known. */
static enum sp_slot current_slot(void)
{
    const char *path = getenv("SLOT_CMDLINE");
    char cmdline[4096];
    ssize_t length = sp_read_file_at(
        AT_FDCWD, path && *path ? path : DEFAULT_CMDLINE, cmdline, sizeof cmdline - 1);

    if (length < 0)
        return SP_SLOT_NONE;
    cmdline[length] = '\0';
    return cmdline_slot(cmdline);
}

static int get_primary(char **arguments)
{
    auto_backend struct backend b = BACKEND_INIT;
    int status = backend_open(&b);
    enum sp_slot slot = SP_SLOT_NONE;

    if (status != EXIT_OK)
        return status;
    slot = sp_boot_primary(&b.state);
    if (slot == SP_SLOT_NONE)
        return fail(EXIT_FAILED, "no slot has attempts left");
    puts(sp_slot_bootname(slot));
    return EXIT_OK;
}

static int set_primary(char **arguments)
{
    auto_backend struct backend b = BACKEND_INIT;
    enum sp_slot slot = SP_SLOT_NONE;
    int status = parse_slot(arguments[0], &slot);

    if (status == EXIT_OK)
        status = backend_open(&b);
    if (status != EXIT_OK)
        return status;
    sp_boot_set_primary(&b.state, slot);
    return backend_store(&b);
}

static int get_state(char **arguments)
{
    auto_backend struct backend b = BACKEND_INIT;
    enum sp_slot slot = SP_SLOT_NONE;
    int status = parse_slot(arguments[0], &slot);

    if (status == EXIT_OK)
        status = backend_open(&b);
    if (status != EXIT_OK)
        return status;
    puts(sp_boot_is_bootable(&b.state, slot) ? "good" : "bad");
    return EXIT_OK;
}

/*
 * Two files are written, last-good first. If the power fails between the two, then
 * - of a slot marked good: boot-state still counts its attempts, so it is verified once more. The
 *   other way round a broken boot-state later would bring back a slot that an install has since
 *   overwritten.
 * - of a slot marked bad: boot-state still has it as it was before, and marking it is tried again
 *   (RAUC begins an install with that). The other way round last-good would name a bad slot.
 */
static int store_marked(const struct backend *b, enum sp_slot last_good)
{
    int r = 0;

    if (last_good != SP_SLOT_NONE)
        r = sp_boot_last_good_store(b->dirfd, last_good);
    if (r < 0)
        return fail(
            EXIT_FAILED, "the last good slot in %s can't be written: %s", b->folder, strerror(-r));
    return backend_store(b);
}

/* A slot marked bad (about to be overwritten, that is) must not stay the last good one: with the
 * boot state lost it would be booted. The other slot is, if it runs or may be booted. */
static enum sp_slot last_good_without(const struct backend *b, enum sp_slot bad)
{
    enum sp_slot other = bad == SP_SLOT_A ? SP_SLOT_B : SP_SLOT_A;

    if (sp_boot_last_good_load(b->dirfd) != bad)
        return SP_SLOT_NONE;
    return sp_boot_is_bootable(&b->state, other) || current_slot() == other ? other : SP_SLOT_NONE;
}

static int set_state(char **arguments)
{
    auto_backend struct backend b = BACKEND_INIT;
    enum sp_slot slot = SP_SLOT_NONE;
    bool is_good = strcmp(arguments[1], "good") == 0;
    int status = parse_slot(arguments[0], &slot);

    if (status == EXIT_OK && !is_good && strcmp(arguments[1], "bad") != 0)
        return fail(EXIT_USAGE, "there is no state '%s', only good and bad", arguments[1]);
    if (status == EXIT_OK)
        status = backend_open(&b);
    if (status != EXIT_OK)
        return status;
    if (is_good) {
        sp_boot_set_good(&b.state, slot);
        return store_marked(&b, slot);
    }
    sp_boot_set_bad(&b.state, slot);
    return store_marked(&b, last_good_without(&b, slot));
}

static int get_current(char **arguments)
{
    enum sp_slot slot = current_slot();

    if (slot == SP_SLOT_NONE)
        return fail(EXIT_FAILED, "the kernel's command line has no rauc.slot=A or rauc.slot=B");
    puts(sp_slot_bootname(slot));
    return EXIT_OK;
}

static int help(char **arguments);

static int version(char **arguments)
{
    puts(PROGRAM " " SLOTPROOF_VERSION);
    return EXIT_OK;
}

static const struct command commands[] = {
    {"get-primary", 0, "print the slot that boots next", get_primary},
    {"set-primary", 1, "NAME  boot this slot first, with all attempts", set_primary},
    {"get-state", 1, "NAME  print whether the slot may be booted: good or bad", get_state},
    {"set-state", 2, "NAME good|bad  mark the slot", set_state},
    {"get-current", 0, "print the slot that runs", get_current},
    {"--help", 0, "print this", help},
    {"--version", 0, "print the version", version},
};
#define COMMANDS (sizeof commands / sizeof *commands)

static int help(char **arguments)
{
    puts(
        "usage: " PROGRAM " COMMAND\n\n"
        "The boot state for RAUC's custom bootloader backend. Slots are called A and B. The state\n"
        "is kept in " DEFAULT_STATE_DIR ", or in the folder that SLOT_STATE_DIR names.\n");
    for (size_t i = 0; i < COMMANDS; i++)
        printf("  %-12s %s\n", commands[i].name, commands[i].usage);
    puts("\nEnds with 0, with 1 if it failed, and with 2 if it was called wrongly.");
    return EXIT_OK;
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";

    for (size_t i = 0; i < COMMANDS; i++) {
        int status;

        if (strcmp(name, commands[i].name) != 0)
            continue;
        if (argc - 2 != commands[i].arguments)
            return fail(EXIT_USAGE, "%s takes %d arguments: %s", name, commands[i].arguments,
                commands[i].usage);
        status = commands[i].run(argv + 2);
        if (fflush(stdout) != 0)
            return fail(EXIT_FAILED, "the answer can't be written: %s", strerror(errno));
        return status;
    }
    return fail(EXIT_USAGE, "no command '%s', see --help", name);
}
