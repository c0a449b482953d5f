/* SPDX-License-Identifier: MIT */
#include "appliance/boot/elf-kernel.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool is_right)
{
    if (!is_right)
        abort();
}

static void check_segment(const struct elf_kernel *kernel, size_t i, size_t size)
{
    const struct elf_segment *segment = &kernel->segment[i];

    check(segment->size <= size && segment->offset <= size - segment->size);
    check(segment->memory > 0 && segment->size <= segment->memory);
    check(segment->address % ELF_KERNEL_PAGE == 0 && segment->memory % ELF_KERNEL_PAGE == 0);
    check(segment->address >= 0x100000 && segment->address < kernel->end);
    check(segment->memory <= kernel->end - segment->address);
    for (size_t j = 0; j < i; j++) {
        const struct elf_segment *other = &kernel->segment[j];

        check(segment->address >= other->address + other->memory ||
              other->address >= segment->address + segment->memory);
    }
}

static bool is_in_file(const struct elf_kernel *kernel, uint64_t address)
{
    for (size_t i = 0; i < kernel->count; i++) {
        if (address >= kernel->segment[i].address &&
            address < kernel->segment[i].address + kernel->segment[i].size)
            return true;
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct elf_kernel kernel;
    int r = elf_kernel_parse(data, size, &kernel);

    check(r == 0 || r == -ENOEXEC);
    if (r < 0)
        return 0;
    check(kernel.count >= 1 && kernel.count <= ELF_KERNEL_SEGMENTS_MAX);
    check(kernel.end <= UINT64_C(1) << 31);
    for (size_t i = 0; i < kernel.count; i++)
        check_segment(&kernel, i, size);
    check(is_in_file(&kernel, kernel.entry));
    return 0;
}
