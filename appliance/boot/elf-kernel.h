/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Starting an unpacked x86-64 kernel by kexec_load(2): what goes where in memory.
 *
 * The kernel of a slot is kept as "vmlinux.lz4", because an emulated processor takes five seconds
 * to unpack a kernel that is packed by xz, and about as long for the checksum that
 * kexec_file_load() makes of one. The price is that this part runs on x86-64 only; everywhere else,
 * and with a kernel as distributions pack it, kexec_file_load() does the same (slot-kernel.h).
 *
 * Sources: System V ABI, "ELF-64 Object File Format"; Linux, Documentation/arch/x86/boot.rst
 * ("64-bit Boot Protocol") and zero-page.rst.
 *
 * Pure functions of bytes; they return a negative errno on failure.
 */

#include <stddef.h>
#include <stdint.h>

#define ELF_KERNEL_SEGMENTS_MAX 8u
#define BOOT_PARAMS_SIZE 4096u
#define ELF_KERNEL_STUB_MAX 32u
#define ELF_KERNEL_PAGE 4096u

struct elf_segment {
    uint64_t offset;  /* in the file */
    uint64_t size;    /* bytes in the file */
    uint64_t address; /* physical, a multiple of the page size */
    uint64_t memory;  /* bytes in memory: at least size, a multiple of the page size */
};

struct elf_kernel {
    struct elf_segment segment[ELF_KERNEL_SEGMENTS_MAX];
    size_t count;
    uint64_t entry; /* physical address of startup_64 */
    uint64_t end;   /* first address after the last segment */
};

/**
 * Read the headers of the @size bytes at @file. Returns -ENOEXEC if it is not an x86-64 kernel that
 * can be started this way: for example if segments overlap, reach past the end of the file, or lie
 * below 1 MiB or above 2 GiB, or if no segment contains the entry.
 */
int elf_kernel_parse(const uint8_t *file, size_t size, struct elf_kernel *ret_kernel);

/**
 * Turn @params, the boot parameters of the running kernel, into those of the next one: with its own
 * command line and initramfs, and no setup data.
 */
void elf_kernel_boot_params(uint8_t params[static BOOT_PARAMS_SIZE], uint64_t cmdline,
    uint32_t cmdline_size, uint64_t initrd, uint64_t initrd_size);

/**
 * Describe to the next kernel a screen in VGA's text mode of 80 columns and 25 lines, with the
 * cursor at character @cursor. A running kernel that was started without asking the firmware (PVH)
 * does not know of the screen, and would pass on that there is none.
 */
void elf_kernel_text_screen(uint8_t params[static BOOT_PARAMS_SIZE], uint16_t cursor);

/** Write code that enters the kernel with RSI at the boot parameters. Returns its length. */
size_t elf_kernel_stub(uint8_t stub[static ELF_KERNEL_STUB_MAX], uint64_t entry, uint64_t params);
