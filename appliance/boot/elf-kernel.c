/* SPDX-License-Identifier: MIT */

#include "appliance/boot/elf-kernel.h"

#include "lib/byte-order.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define ADDRESS_MIN (UINT64_C(1) << 20)
#define ADDRESS_MAX (UINT64_C(1) << 31)

#define GET(base, type, field)                                                                     \
    _Generic(((const type *)0)->field, uint16_t                                                    \
             : sp_get_le16, uint32_t                                                               \
             : sp_get_le32, uint64_t                                                               \
             : sp_get_le64)((base) + offsetof(type, field))

static bool is_x86_64(const uint8_t *file, size_t size)
{
    return size >= sizeof(Elf64_Ehdr) && memcmp(file, ELFMAG, SELFMAG) == 0 &&
           file[EI_CLASS] == ELFCLASS64 && file[EI_DATA] == ELFDATA2LSB &&
           GET(file, Elf64_Ehdr, e_machine) == EM_X86_64 &&
           GET(file, Elf64_Ehdr, e_phentsize) == sizeof(Elf64_Phdr);
}

static bool overlaps_segment(const struct elf_kernel *kernel, const struct elf_segment *segment)
{
    for (size_t i = 0; i < kernel->count; i++) {
        const struct elf_segment *other = &kernel->segment[i];

        if (segment->address < other->address + other->memory &&
            other->address < segment->address + segment->memory)
            return true;
    }
    return false;
}

static int add_segment(struct elf_kernel *kernel, const uint8_t *header, size_t file_size)
{
    struct elf_segment segment = {
        .offset = GET(header, Elf64_Phdr, p_offset),
        .size = GET(header, Elf64_Phdr, p_filesz),
        .address = GET(header, Elf64_Phdr, p_paddr),
        .memory = GET(header, Elf64_Phdr, p_memsz),
    };

    if (segment.memory == 0 && segment.size == 0)
        return 0;
    if (kernel->count == ELF_KERNEL_SEGMENTS_MAX || segment.size > file_size ||
        segment.offset > file_size - segment.size || segment.size > segment.memory ||
        segment.address < ADDRESS_MIN || segment.address >= ADDRESS_MAX ||
        segment.address % ELF_KERNEL_PAGE != 0 || segment.memory > ADDRESS_MAX - segment.address)
        return -ENOEXEC;
    segment.memory = (segment.memory + ELF_KERNEL_PAGE - 1) / ELF_KERNEL_PAGE * ELF_KERNEL_PAGE;
    if (overlaps_segment(kernel, &segment))
        return -ENOEXEC;
    kernel->segment[kernel->count++] = segment;
    if (segment.address + segment.memory > kernel->end)
        kernel->end = segment.address + segment.memory;
    return 0;
}

static bool has_entry(const struct elf_kernel *kernel)
{
    for (size_t i = 0; i < kernel->count; i++) {
        const struct elf_segment *segment = &kernel->segment[i];

        if (kernel->entry >= segment->address && kernel->entry - segment->address < segment->size)
            return true;
    }
    return false;
}

int elf_kernel_parse(const uint8_t *file, size_t size, struct elf_kernel *ret_kernel)
{
    struct elf_kernel kernel = {0};
    uint64_t headers, count;

    if (!is_x86_64(file, size))
        return -ENOEXEC;
    headers = GET(file, Elf64_Ehdr, e_phoff);
    count = GET(file, Elf64_Ehdr, e_phnum);
    if (headers > size || count > (size - headers) / sizeof(Elf64_Phdr))
        return -ENOEXEC;
    kernel.entry = GET(file, Elf64_Ehdr, e_entry);
    for (uint64_t i = 0; i < count; i++) {
        const uint8_t *header = file + headers + i * sizeof(Elf64_Phdr);
        int r = GET(header, Elf64_Phdr, p_type) == PT_LOAD ? add_segment(&kernel, header, size) : 0;

        if (r < 0)
            return r;
    }
    if (!has_entry(&kernel))
        return -ENOEXEC;
    *ret_kernel = kernel;
    return 0;
}

#define TEXT_COLUMNS 80
#define TEXT_LINES 25

/* Offsets in the boot parameters (zero-page.rst, and boot.rst for those from 0x1f1 on). */
enum {
    ORIG_X = 0x000,
    ORIG_Y = 0x001,
    ORIG_VIDEO_PAGE = 0x004,
    ORIG_VIDEO_MODE = 0x006,
    ORIG_VIDEO_COLS = 0x007,
    ORIG_VIDEO_EGA_BX = 0x00a,
    ORIG_VIDEO_LINES = 0x00e,
    ORIG_VIDEO_IS_VGA = 0x00f,
    ORIG_VIDEO_POINTS = 0x010,
    EXT_RAMDISK_IMAGE = 0x0c0,
    EXT_RAMDISK_SIZE = 0x0c4,
    EXT_CMD_LINE_PTR = 0x0c8,
    SENTINEL = 0x1ef,
    BOOT_FLAG = 0x1fe,
    HEADER = 0x202,
    VERSION = 0x206,
    TYPE_OF_LOADER = 0x210,
    LOADFLAGS = 0x211,
    RAMDISK_IMAGE = 0x218,
    RAMDISK_SIZE = 0x21c,
    CMD_LINE_PTR = 0x228,
    CMDLINE_SIZE = 0x238,
    SETUP_DATA = 0x250,
};

void elf_kernel_boot_params(uint8_t params[static BOOT_PARAMS_SIZE], uint64_t cmdline,
    uint32_t cmdline_size, uint64_t initrd, uint64_t initrd_size)
{
    params[SENTINEL] = 0;
    sp_put_le16(params + BOOT_FLAG, 0xaa55);
    memcpy(params + HEADER, "HdrS", 4);
    sp_put_le16(params + VERSION, 0x020c);
    params[TYPE_OF_LOADER] = 0xff; /* one without a number of its own */
    params[LOADFLAGS] = 1;         /* loaded high */
    sp_put_le32(params + RAMDISK_IMAGE, (uint32_t)initrd);
    sp_put_le32(params + EXT_RAMDISK_IMAGE, (uint32_t)(initrd >> 32));
    sp_put_le32(params + RAMDISK_SIZE, (uint32_t)initrd_size);
    sp_put_le32(params + EXT_RAMDISK_SIZE, (uint32_t)(initrd_size >> 32));
    sp_put_le32(params + CMD_LINE_PTR, (uint32_t)cmdline);
    sp_put_le32(params + EXT_CMD_LINE_PTR, (uint32_t)(cmdline >> 32));
    sp_put_le32(params + CMDLINE_SIZE, cmdline_size);
    sp_put_le64(params + SETUP_DATA, 0);
}

void elf_kernel_text_screen(uint8_t params[static BOOT_PARAMS_SIZE], uint16_t cursor)
{
    bool is_inside = cursor < TEXT_COLUMNS * TEXT_LINES;

    params[ORIG_X] = is_inside ? cursor % TEXT_COLUMNS : 0;
    params[ORIG_Y] = is_inside ? cursor / TEXT_COLUMNS : 0;
    sp_put_le16(params + ORIG_VIDEO_PAGE, 0);
    params[ORIG_VIDEO_MODE] = 3; /* 80x25 in colour */
    params[ORIG_VIDEO_COLS] = TEXT_COLUMNS;
    sp_put_le16(params + ORIG_VIDEO_EGA_BX, 3); /* an adapter with 256 KiB: no CGA */
    params[ORIG_VIDEO_LINES] = TEXT_LINES;
    params[ORIG_VIDEO_IS_VGA] = 1;
    sp_put_le16(params + ORIG_VIDEO_POINTS, 16);
}

size_t elf_kernel_stub(uint8_t stub[static ELF_KERNEL_STUB_MAX], uint64_t entry, uint64_t params)
{
    static const uint8_t code[] = {
        0x48, 0xbe, 0, 0, 0, 0, 0, 0, 0, 0, /* mov $params, %rsi */
        0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, /* mov $entry, %rax */
        0xff, 0xe0,                         /* jmp *%rax */
    };

    memcpy(stub, code, sizeof code);
    sp_put_le64(stub + 2, params);
    sp_put_le64(stub + 12, entry);
    return sizeof code;
}
