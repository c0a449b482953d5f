/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>

/**
 * A guest that shows whether KVM works: a boot sector that ends QEMU with a status of its own.
 */
typedef struct {
    const guint8 *code; /* from the start of the disk's first sector */
    gsize length;
    const char *exit_device; /* for -device: ends QEMU when the code writes to it */
    int exit_status;         /* QEMU's, then */
} SpBoardCheck;

/**
 * A board: everything in which machines of one architecture differ from those of another. What
 * hangs off PCI (disk, network cards, the agent's port, the watchdog i6300esb) is the same on all.
 */
typedef struct {
    const char *architecture; /* as in image.conf */
    const char *program;      /* QEMU's, looked up in PATH */
    const char *package;      /* Debian's, which contains it */
    const char *machine;      /* for -machine */
    const char *cpu_tcg;      /* for -cpu, under TCG */
    const char *cpu_kvm;      /* and under KVM */
    const char *pci_bus;      /* the bus that the network cards are on */
    const char
        *display; /* for -device: a screen on which a text console needs no driver of its own */
    const char *const *input_devices; /* for -device; NULL-terminated */
    const char *console;              /* Linux's name for the first serial port */
    bool has_bios;                    /* it starts the boot code of a disk by itself */
    /* directories from which QEMU may load firmware (*.bin) by itself, relative to the program's;
     * NULL-terminated */
    const char *const *firmware_dirs;
    const SpBoardCheck *kvm_check; /* NULL: none is known, so KVM isn't used */
} SpBoard;

/** The board of machines of @architecture; NULL if there is none. Static. */
const SpBoard *sp_board_find(const char *architecture);
/** The architectures that there are boards for, for messages: "'x86_64', 'aarch64'". Free with
 * g_free(). */
char *sp_board_list(void);
