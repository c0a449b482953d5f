/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Starting an unpacked x86-64 kernel by kexec_load(2): what goes where in memory. The kernel of a
 * slot is kept as "vmlinux.lz4", since unpacking xz takes a processor that is emulated five
 * seconds, and so does kexec_file_load()'s checksum over a packed one.
 *
 * Sources: System V ABI, "ELF-64 Object File Format"; Linux, Documentation/arch/x86/boot.rst
 * ("64-bit Boot Protocol") and zero-page.rst.
 *
 * Pure functions of bytes; negative errno on failure.
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
    uint64_t address; /* physical, a whole number of pages */
    uint64_t memory;  /* bytes there, at least size, a whole number of pages */
};

struct elf_kernel {
    struct elf_segment segment[ELF_KERNEL_SEGMENTS_MAX];
    size_t count;
    uint64_t entry; /* physical address of startup_64 */
    uint64_t end;   /* behind the last segment */
};

/**
 * Read the headers of the @size bytes at @file. -ENOEXEC for what is no x86-64 kernel that can be
 * started so: among it segments that overlap, reach over the file's end, lie below 1 MiB or above
 * 2 GiB, and an entry in none of them.
 */
int elf_kernel_parse(const uint8_t *file, size_t size, struct elf_kernel *ret_kernel);

/**
 * Make of @params, those that the running kernel was started with, those of the next one:
 * other places for command line and initramfs, no setup data.
 */
void elf_kernel_boot_params(uint8_t params[static BOOT_PARAMS_SIZE], uint64_t cmdline,
    uint32_t cmdline_size, uint64_t initrd, uint64_t initrd_size);

/**
 * Tell the next kernel of a screen in VGA's text mode of 80 columns and 25 lines, with the cursor
 * at the character @cursor: a kernel that was itself started without a firmware's questions (PVH)
 * does not know of it, and hands down that there is none.
 */
void elf_kernel_text_screen(uint8_t params[static BOOT_PARAMS_SIZE], uint16_t cursor);

/** Code that enters the kernel with RSI at the boot parameters. Returns its length. */
size_t elf_kernel_stub(uint8_t stub[static ELF_KERNEL_STUB_MAX], uint64_t entry, uint64_t params);
