/* SPDX-License-Identifier: MIT */

/*
 * slot-backend: RAUC calls it to read and change the boot state (RAUC manual, "Custom Bootloader
 * Backend Interface").
 */

#include "appliance/boot/boot-state.h"
#include "appliance/boot/cmdline.h"
#include "lib/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define PROGRAM "slot-backend"
#define DEFAULT_STATE_DIR "/state"

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct backend {
    const char *directory;
    int dirfd, lock_fd;
    struct sp_boot_state state;
};

struct command {
    const char *name;
    int arguments;
    const char *usage;
    int (*run)(char **arguments);
};

__attribute__((format(printf, 2, 3))) static int report_error(int status, const char *format, ...)
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

/* Locks and loads the boot state. Reports what fails, and returns an exit status. */
static int backend_open(struct backend *b)
{
    enum sp_boot_source source;
    int r;

    b->directory = getenv("SLOT_STATE_DIR");
    if (!b->directory || !*b->directory)
        b->directory = DEFAULT_STATE_DIR;
    b->dirfd = open(b->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (b->dirfd < 0)
        return report_error(
            EXIT_FAILED, "directory %s of the boot state: %s", b->directory, strerror(errno));
    b->lock_fd = sp_boot_state_lock(b->dirfd);
    if (b->lock_fd < 0)
        return report_error(
            EXIT_FAILED, "%s can't be locked: %s", b->directory, strerror(-b->lock_fd));
    r = sp_boot_state_load(b->dirfd, &b->state, &source);
    if (r < 0)
        return report_error(
            EXIT_FAILED, "the boot state in %s can't be read: %s", b->directory, strerror(-r));
    if (source != SP_BOOT_FROM_FILE)
        report_error(0,
            "the boot state in %s was missing or broken, rebuilt from the last good slot %s",
            b->directory, sp_slot_bootname(sp_boot_last_good_load(b->dirfd)));
    return EXIT_OK;
}

static int backend_store(const struct backend *b)
{
    int r = sp_boot_state_store(b->dirfd, &b->state);

    if (r < 0)
        return report_error(
            EXIT_FAILED, "the boot state in %s can't be written: %s", b->directory, strerror(-r));
    return EXIT_OK;
}

/* Reports an unknown name, and returns an exit status. */
static int parse_slot(const char *name, enum sp_slot *ret_slot)
{
    enum sp_slot slot = sp_slot_from_bootname(name);

    if (slot == SP_SLOT_NONE)
        return report_error(EXIT_USAGE, "there is no bootname '%s', only A and B", name);
    *ret_slot = slot;
    return EXIT_OK;
}

/* The running slot; SP_SLOT_NONE if it is unknown. */
static enum sp_slot read_current_slot(void)
{
    const char *path = getenv("SLOT_CMDLINE"); /* for tests */

    return cmdline_read_slot(path && *path ? path : CMDLINE_FILE);
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
        return report_error(EXIT_FAILED, "no slot has attempts left");
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
 * Writes two files, last-good first. If power fails between the two:
 * - A slot being marked good still has its attempts counted in boot-state, so it is verified once
 *   more. In the other order, a boot state that is lost later would bring back a slot that an
 *   installation has since overwritten.
 * - A slot being marked bad is unchanged in boot-state, and marking it is tried again (an
 *   installation begins with it). In the other order, last-good would name a bad slot.
 */
static int store_marked(const struct backend *b, enum sp_slot last_good)
{
    int r = 0;

    if (last_good != SP_SLOT_NONE)
        r = sp_boot_last_good_store(b->dirfd, last_good);
    if (r < 0)
        return report_error(EXIT_FAILED, "the last good slot in %s can't be written: %s",
            b->directory, strerror(-r));
    return backend_store(b);
}

/* A slot that is marked bad (because it is about to be overwritten) must not stay the last good
 * one, or it would boot if the boot state were lost. The other slot takes its place, if it is
 * running or bootable. */
static enum sp_slot replace_last_good(const struct backend *b, enum sp_slot bad)
{
    enum sp_slot other = bad == SP_SLOT_A ? SP_SLOT_B : SP_SLOT_A;

    if (sp_boot_last_good_load(b->dirfd) != bad)
        return SP_SLOT_NONE;
    return sp_boot_is_bootable(&b->state, other) || read_current_slot() == other ? other
                                                                                 : SP_SLOT_NONE;
}

static int set_state(char **arguments)
{
    auto_backend struct backend b = BACKEND_INIT;
    enum sp_slot slot = SP_SLOT_NONE;
    bool is_good = strcmp(arguments[1], "good") == 0;
    int status = parse_slot(arguments[0], &slot);

    if (status == EXIT_OK && !is_good && strcmp(arguments[1], "bad") != 0)
        return report_error(EXIT_USAGE, "there is no state '%s', only good and bad", arguments[1]);
    if (status == EXIT_OK)
        status = backend_open(&b);
    if (status != EXIT_OK)
        return status;
    if (is_good) {
        sp_boot_set_good(&b.state, slot);
        return store_marked(&b, slot);
    }
    sp_boot_set_bad(&b.state, slot);
    return store_marked(&b, replace_last_good(&b, slot));
}

static int get_current(char **arguments)
{
    enum sp_slot slot = read_current_slot();

    if (slot == SP_SLOT_NONE)
        return report_error(
            EXIT_FAILED, "the kernel's command line has no rauc.slot=A or rauc.slot=B");
    puts(sp_slot_bootname(slot));
    return EXIT_OK;
}

static int print_help(char **arguments);

static int print_version(char **arguments)
{
    puts(PROGRAM " " SLOTPROOF_VERSION);
    return EXIT_OK;
}

static const struct command commands[] = {
    {"get-primary", 0, "print the slot that will boot next", get_primary},
    {"set-primary", 1, "NAME  boot this slot first, with all attempts", set_primary},
    {"get-state", 1, "NAME  print whether the slot is bootable: good or bad", get_state},
    {"set-state", 2, "NAME good|bad  mark the slot", set_state},
    {"get-current", 0, "print the running slot", get_current},
    {"--help", 0, "print this", print_help},
    {"--version", 0, "print the version", print_version},
};
#define COMMANDS (sizeof commands / sizeof *commands)

static int print_help(char **arguments)
{
    puts(
        "usage: " PROGRAM " COMMAND\n\n"
        "The boot state for RAUC's custom bootloader backend. Slots are called A and B. The state\n"
        "is kept in " DEFAULT_STATE_DIR ", or in the directory that SLOT_STATE_DIR names.\n");
    for (size_t i = 0; i < COMMANDS; i++)
        printf("  %-12s %s\n", commands[i].name, commands[i].usage);
    puts("\nExits with 0, with 1 on failure, and with 2 if the arguments are wrong.");
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
            return report_error(EXIT_USAGE, "%s takes %d arguments: %s", name,
                commands[i].arguments, commands[i].usage);
        status = commands[i].run(argv + 2);
        if (fflush(stdout) != 0)
            return report_error(EXIT_FAILED, "the answer can't be written: %s", strerror(errno));
        return status;
    }
    return report_error(EXIT_USAGE, "no command '%s', see --help", name);
}
