/* SPDX-License-Identifier: MIT */

/* The table of boards: a new architecture is a row here. */

#include "qemu/board.h"

/* isa-debug-exit ends QEMU with (value << 1) | 1. */
static const guint8 x86_code[] = {
    0xb0, 0x31, /* mov $0x31, %al */
    0xe6, 0xf4, /* out %al, $0xf4 */
    0xf4,       /* hlt */
    0xeb, 0xfd, /* jmp to the hlt */
};
static const SpBoardCheck x86_check = {
    .code = x86_code,
    .length = sizeof x86_code,
    .exit_device = "isa-debug-exit,iobase=0xf4,iosize=4",
    .exit_status = (0x31 << 1) | 1,
};

/* relative to where Debian has the programs; the second of each is Debian's own */
static const char *const x86_firmware[] = {"../share/qemu", "../share/seabios", NULL};
static const char *const arm_firmware[] = {"../share/qemu", "../share/qemu-efi-aarch64", NULL};

static const char *const no_input[] = {NULL};
/* 'virt' has no keyboard of its own, which send_key() needs */
static const char *const usb_input[] = {"qemu-xhci", "usb-kbd", NULL};

/* The CPU models for TCG were measured: 'max' has instructions whose emulation costs more than they
 * save a kernel that uses the newest it finds. On aarch64 it has pointer authentication, with which
 * a boot takes 25 times as long. */
static const SpBoard boards[] = {
    {
        .architecture = "x86_64",
        .program = "qemu-system-x86_64",
        .package = "qemu-system-x86",
        .machine = "q35,usb=off,vmport=off,smbus=off",
        .cpu_tcg = "Nehalem",
        .cpu_kvm = "host",
        .pci_bus = "pcie.0",
        .display = "VGA",
        .input_devices = no_input,
        .console = "ttyS0",
        .has_bios = true,
        .firmware_dirs = x86_firmware,
        .kvm_check = &x86_check,
    },
    {
        .architecture = "aarch64",
        .program = "qemu-system-aarch64",
        .package = "qemu-system-arm",
        .machine = "virt",
        .cpu_tcg = "cortex-a57",
        .cpu_kvm = "host",
        .pci_bus = "pcie.0",
        .display = "virtio-gpu-pci",
        .input_devices = usb_input,
        .console = "ttyAMA0",
        .has_bios = false,
        .firmware_dirs = arm_firmware,
        .kvm_check = NULL,
    },
};

const SpBoard *sp_board_find(const char *architecture)
{
    for (gsize i = 0; i < G_N_ELEMENTS(boards); i++) {
        if (g_str_equal(boards[i].architecture, architecture))
            return &boards[i];
    }
    return NULL;
}

char *sp_board_list(void)
{
    GString *text = g_string_new(NULL);

    for (gsize i = 0; i < G_N_ELEMENTS(boards); i++)
        g_string_append_printf(text, "%s'%s'", i > 0 ? ", " : "", boards[i].architecture);
    return g_string_free(text, FALSE);
}
