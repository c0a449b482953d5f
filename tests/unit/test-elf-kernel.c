/* SPDX-License-Identifier: MIT */
#include "appliance/boot/elf-kernel.h"

#include <errno.h>
#include <glib.h>
#include <stdbool.h>
#include <string.h>

#define MIB G_GUINT64_CONSTANT(0x100000)
#define GIB G_GUINT64_CONSTANT(0x40000000)
#define FILE_SIZE 0x5000
#define PROGRAM_HEADER_SIZE 56
#define HEADERS 64 /* where those of the segments are */

typedef struct {
    guint32 type;
    guint64 offset, address, size, memory;
} Segment;

#define LOAD 1
#define NOTE 4

/* As a kernel's: text, data, and data that is zeros. */
static const Segment whole[] = {
    {LOAD, 0x1000, 16 * MIB, 0x2000, 0x2000},
    {LOAD, 0x3000, 16 * MIB + 0x2000, 0x1800, 0x5001},
    {NOTE, 0x2000, 0, 0x24, 0},
};
#define ENTRY (16 * MIB + 0x40)

static void put_le(guint8 *at, guint64 value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        at[i] = (guint8)(value >> 8 * i);
}

/* Offsets of ELF-64: fields of the file's header, then of a segment's. */
enum { TYPE = 16, MACHINE = 18, ENTRY_AT = 24, HEADERS_AT = 32, HEADER_EACH = 54, COUNT = 56 };
enum { P_TYPE = 0, P_OFFSET = 8, P_VADDR = 16, P_PADDR = 24, P_FILESZ = 32, P_MEMSZ = 40 };

/* A file of FILE_SIZE bytes, to be freed. */
static guint8 *make_file(const Segment *segments, size_t count, guint64 entry)
{
    static const guint8 ident[] = {0x7f, 'E', 'L', 'F', 2, 1, 1};
    guint8 *file = g_malloc0(FILE_SIZE);

    memcpy(file, ident, sizeof ident);
    put_le(file + TYPE, 2, 2);
    put_le(file + MACHINE, 62, 2);
    put_le(file + ENTRY_AT, entry, 8);
    put_le(file + HEADERS_AT, HEADERS, 8);
    put_le(file + HEADER_EACH, PROGRAM_HEADER_SIZE, 2);
    put_le(file + COUNT, count, 2);
    for (size_t i = 0; i < count; i++) {
        guint8 *header = file + HEADERS + i * PROGRAM_HEADER_SIZE;

        put_le(header + P_TYPE, segments[i].type, 4);
        put_le(header + P_OFFSET, segments[i].offset, 8);
        put_le(header + P_VADDR, segments[i].address + G_GUINT64_CONSTANT(0xffffffff80000000), 8);
        put_le(header + P_PADDR, segments[i].address, 8);
        put_le(header + P_FILESZ, segments[i].size, 8);
        put_le(header + P_MEMSZ, segments[i].memory, 8);
    }
    return file;
}

/* From the heap and no longer than @size, so that a sanitizer sees a read past the end. Returns
 * whether it was taken; what is refused must leave the output alone. */
static bool parse(const guint8 *file, size_t size, struct elf_kernel *ret_kernel)
{
    g_autofree guint8 *copy = g_malloc(size > 0 ? size : 1);
    struct elf_kernel kernel, before;
    int r;

    memset(&kernel, 0xa5, sizeof kernel);
    before = kernel;
    memcpy(copy, file, size);
    r = elf_kernel_parse(copy, size, &kernel);
    if (r == 0) {
        *ret_kernel = kernel;
        return true;
    }
    g_assert_cmpint(r, ==, -ENOEXEC);
    g_assert_cmpmem(&kernel, sizeof kernel, &before, sizeof before);
    return false;
}

static bool takes(const Segment *segments, size_t count, guint64 entry)
{
    g_autofree guint8 *file = make_file(segments, count, entry);
    struct elf_kernel kernel;

    return parse(file, FILE_SIZE, &kernel);
}

static bool takes_one(Segment segment, guint64 entry)
{
    return takes(&segment, 1, entry);
}

/* --- headers --------------------------------------------------------------------------------- */

static void test_whole(void)
{
    g_autofree guint8 *file = make_file(whole, G_N_ELEMENTS(whole), ENTRY);
    struct elf_kernel kernel;

    g_assert_true(parse(file, FILE_SIZE, &kernel));
    g_assert_cmpuint(kernel.count, ==, 2);
    g_assert_cmphex(kernel.entry, ==, ENTRY);
    g_assert_cmphex(kernel.segment[0].offset, ==, 0x1000);
    g_assert_cmphex(kernel.segment[0].size, ==, 0x2000);
    g_assert_cmphex(kernel.segment[0].address, ==, 16 * MIB);
    g_assert_cmphex(kernel.segment[0].memory, ==, 0x2000);
    g_assert_cmphex(kernel.segment[1].offset, ==, 0x3000);
    g_assert_cmphex(kernel.segment[1].size, ==, 0x1800);
    g_assert_cmphex(kernel.segment[1].address, ==, 16 * MIB + 0x2000);
    g_assert_cmphex(kernel.segment[1].memory, ==, 0x6000); /* whole pages */
    g_assert_cmphex(kernel.end, ==, 16 * MIB + 0x8000);
}

/* The last in memory need not be the last in the file. */
static void test_order(void)
{
    const Segment swapped[] = {whole[1], whole[2], whole[0]};
    g_autofree guint8 *file = make_file(swapped, G_N_ELEMENTS(swapped), ENTRY);
    struct elf_kernel kernel;

    g_assert_true(parse(file, FILE_SIZE, &kernel));
    g_assert_cmpuint(kernel.count, ==, 2);
    g_assert_cmphex(kernel.segment[1].address, ==, 16 * MIB);
    g_assert_cmphex(kernel.end, ==, 16 * MIB + 0x8000);
}

/* At each byte: it takes all that the segments hold. */
static void test_truncated(void)
{
    g_autofree guint8 *file = make_file(whole, G_N_ELEMENTS(whole), ENTRY);
    struct elf_kernel kernel;

    for (size_t size = 0; size < FILE_SIZE; size++)
        g_assert_cmpint(parse(file, size, &kernel), ==, size >= 0x4800);
}

/* The headers stand last: each byte of them is needed. */
static void test_truncated_headers(void)
{
    const size_t end = FILE_SIZE - 1, count = G_N_ELEMENTS(whole);
    const size_t at = end - count * PROGRAM_HEADER_SIZE;
    g_autofree guint8 *file = make_file(whole, count, ENTRY);
    struct elf_kernel kernel;

    memcpy(file + at, file + HEADERS, count * PROGRAM_HEADER_SIZE);
    memset(file + HEADERS, 0, count * PROGRAM_HEADER_SIZE);
    put_le(file + HEADERS_AT, at, 8);
    for (size_t size = at - 10; size <= end + 1; size++)
        g_assert_cmpint(parse(file, size, &kernel), ==, size >= end);
}

/* Each byte of what says what it is. */
static void test_ident(void)
{
    static const size_t needed[] = {
        0, 1, 2, 3, 4, 5, MACHINE, MACHINE + 1, HEADER_EACH, HEADER_EACH + 1};
    g_autofree guint8 *file = make_file(whole, G_N_ELEMENTS(whole), ENTRY);
    struct elf_kernel kernel;

    for (size_t i = 0; i < G_N_ELEMENTS(needed); i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            file[needed[i]] ^= 1u << bit;
            g_assert_false(parse(file, FILE_SIZE, &kernel));
            file[needed[i]] ^= 1u << bit;
        }
    }
    g_assert_true(parse(file, FILE_SIZE, &kernel));
}

static void test_headers_outside(void)
{
    static const struct {
        guint64 at, count;
    } cases[] = {
        {FILE_SIZE, 1}, {FILE_SIZE + 1, 0}, {FILE_SIZE + 1, 1},
        {FILE_SIZE - PROGRAM_HEADER_SIZE + 1, 1}, {HEADERS, 0xffff},
        {HEADERS, (FILE_SIZE - HEADERS) / PROGRAM_HEADER_SIZE + 1}, {G_MAXUINT64, 1},
        {G_MAXUINT64 - PROGRAM_HEADER_SIZE + 1, 1}, {G_MAXUINT64 - 2 * PROGRAM_HEADER_SIZE + 1, 2},
        {G_MAXUINT64 / 2 + 1, 1}, {HEADERS, 0}, /* none: there is nothing to enter */
    };
    g_autofree guint8 *file = make_file(whole, G_N_ELEMENTS(whole), ENTRY);
    struct elf_kernel kernel;

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_test_message("case %zu", i);
        put_le(file + HEADERS_AT, cases[i].at, 8);
        put_le(file + COUNT, cases[i].count, 2);
        g_assert_false(parse(file, FILE_SIZE, &kernel));
    }
}

/* --- segments -------------------------------------------------------------------------------- */

#define AT (16 * MIB)

static void test_file_bounds(void)
{
    g_assert_true(takes_one((Segment){LOAD, 0, AT, FILE_SIZE, FILE_SIZE}, AT));
    g_assert_true(takes_one((Segment){LOAD, FILE_SIZE - 1, AT, 1, 1}, AT));
    g_assert_false(takes_one((Segment){LOAD, 0, AT, FILE_SIZE + 1, FILE_SIZE + 1}, AT));
    g_assert_false(takes_one((Segment){LOAD, FILE_SIZE, AT, 1, 1}, AT));
    g_assert_false(takes_one((Segment){LOAD, FILE_SIZE - 1, AT, 2, 2}, AT));
    g_assert_false(takes_one((Segment){LOAD, G_MAXUINT64, AT, 1, 1}, AT));
    g_assert_false(takes_one((Segment){LOAD, G_MAXUINT64, AT, 2, 2}, AT));
    g_assert_false(takes_one((Segment){LOAD, 0, AT, G_MAXUINT64, G_MAXUINT64}, AT));
    g_assert_false(takes_one((Segment){LOAD, 1, AT, G_MAXUINT64, 16}, AT));
    g_assert_false(takes_one((Segment){LOAD, 16, AT, G_MAXUINT64 - 15, G_MAXUINT64 - 15}, AT));
}

static void test_sizes(void)
{
    const Segment first = {LOAD, 0, AT, 16, 16};
    Segment pair[] = {first, {LOAD, 0, AT + MIB, 0, 0}};

    g_assert_true(takes(pair, 2, AT)); /* nothing at all */
    pair[1].memory = 1;
    g_assert_true(takes(pair, 2, AT)); /* only zeros */
    pair[1].size = 1;
    g_assert_true(takes(pair, 2, AT));
    pair[1].size = 2;
    g_assert_false(takes(pair, 2, AT)); /* more than there is room for */
    pair[1].memory = 0;
    g_assert_false(takes(pair, 2, AT));
    pair[1].size = 0x1001;
    pair[1].memory = 0x1000;
    g_assert_false(takes(pair, 2, AT));
}

/* What is no segment to load may be anything. */
static void test_other_types(void)
{
    Segment pair[] = {whole[0], {NOTE, G_MAXUINT64, 5, G_MAXUINT64, 3}};

    for (guint32 type = 0; type < 8; type++) {
        pair[1].type = type;
        g_assert_cmpint(takes(pair, 2, ENTRY), ==, type != LOAD);
    }
    pair[1].type = 0x6474e551; /* PT_GNU_STACK */
    g_assert_true(takes(pair, 2, ENTRY));
    pair[1].type = 0x01000001;
    g_assert_true(takes(pair, 2, ENTRY));
}

static bool takes_at(guint64 address, guint64 memory)
{
    return takes_one((Segment){LOAD, 0, address, 16, memory}, address);
}

static void test_addresses(void)
{
    g_assert_true(takes_at(MIB, 16));
    g_assert_true(takes_at(2 * GIB - 0x1000, 16));
    g_assert_true(takes_at(2 * GIB - 0x1000, 0x1000));
    g_assert_true(takes_at(MIB, 2 * GIB - MIB));
    g_assert_false(takes_at(0, 16));
    g_assert_false(takes_at(MIB - 0x1000, 0x2000));
    g_assert_false(takes_at(2 * GIB, 16));
    g_assert_false(takes_at(2 * GIB - 0x1000, 0x1001));
    g_assert_false(takes_at(MIB, 2 * GIB - MIB + 1));
    g_assert_false(takes_at(4 * GIB + MIB, 16));
    g_assert_false(takes_at(G_MAXUINT64 - 0xfff, 16));
    g_assert_false(takes_at(G_MAXUINT64 - 0xfff, 0x1000));
    g_assert_false(takes_at(MIB, G_MAXUINT64));
    g_assert_false(takes_at(MIB, G_MAXUINT64 - MIB + 1));
    g_assert_false(takes_at(MIB, G_MAXUINT64 - 0xfff));
    for (guint64 shift = 1; shift < 0x1000; shift <<= 1)
        g_assert_false(takes_at(AT + shift, 16)); /* not on a page */
}

static void test_overlap(void)
{
    static const struct {
        guint64 address, memory;
        bool expected;
    } cases[] = {
        /* against pages AT + 0x4000 to AT + 0x8000, of which the last is used in part */
        {AT, 0x4000, true},
        {AT + 0x8000, 0x1000, true},
        {AT, 0x4001, false},
        {AT + 0x7000, 0x1000, false}, /* in the rest of its last page */
        {AT + 0x4000, 0x1000, false},
        {AT + 0x4000, 0x4000, false},
        {AT + 0x5000, 0x1000, false},
        {AT, 0x10000, false},
        {AT + 0x3000, 0x1000, true},
        {AT + 0x3000, 0x1001, false},
        {AT + 0x6000, 0x10000, false},
        {AT + 0x9000, 0x1000, true},
    };
    const Segment first = {LOAD, 0, AT + 0x4000, 16, 0x3001};
    const Segment middle = {LOAD, 0, AT + 16 * MIB, 16, 16};

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        const Segment second = {LOAD, 0, cases[i].address, 16, cases[i].memory};
        const Segment one_way[] = {first, second, middle}, other_way[] = {second, middle, first};

        g_test_message("case %zu", i);
        g_assert_cmpint(takes(one_way, 3, AT + 0x4000), ==, cases[i].expected);
        g_assert_cmpint(takes(other_way, 3, AT + 0x4000), ==, cases[i].expected);
    }
}

static void test_too_many(void)
{
    Segment segments[ELF_KERNEL_SEGMENTS_MAX + 2];

    for (size_t i = 0; i < G_N_ELEMENTS(segments); i++)
        segments[i] = (Segment){LOAD, 0, AT + i * MIB, 16, 16};
    g_assert_true(takes(segments, ELF_KERNEL_SEGMENTS_MAX, AT));
    g_assert_false(takes(segments, ELF_KERNEL_SEGMENTS_MAX + 1, AT));
    g_assert_false(takes(segments, ELF_KERNEL_SEGMENTS_MAX + 2, AT));
    segments[3].type = NOTE;
    segments[5].memory = segments[5].size = 0;
    g_assert_true(takes(segments, ELF_KERNEL_SEGMENTS_MAX + 2, AT));
}

static void test_entry(void)
{
    const Segment pair[] = {{LOAD, 0, AT, 16, 0x1000}, {LOAD, 0, AT + 0x2000, 0x20, 0x20}};
    static const struct {
        guint64 entry;
        bool expected;
    } cases[] = {
        {AT, true},
        {AT + 15, true},
        {AT + 16, false}, /* zeros */
        {AT - 1, false},
        {AT + 0x1fff, false},
        {AT + 0x2000, true},
        {AT + 0x201f, true},
        {AT + 0x2020, false},
        {0, false},
        {G_MAXUINT64, false},
        {AT + G_GUINT64_CONSTANT(0xffffffff80000000), false}, /* a virtual address */
        {AT + 4 * GIB, false},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        g_assert_cmpint(takes(pair, 2, cases[i].entry), ==, cases[i].expected);
}

/* --- what the kernel is entered with --------------------------------------------------------- */

/* Documentation/arch/x86/zero-page.rst and boot.rst: offset, size, value. */
static void test_boot_params(void)
{
    static const struct {
        size_t offset, size;
        guint64 value;
    } fields[] = {
        {0x0c0, 4, 0x00000012}, /* ext_ramdisk_image */
        {0x0c4, 4, 0x0000009a}, /* ext_ramdisk_size */
        {0x0c8, 4, 0x00000023}, /* ext_cmd_line_ptr */
        {0x1ef, 1, 0},          /* sentinel: the fields are those of a loader */
        {0x1fe, 2, 0xaa55},     /* boot_flag */
        {0x202, 4, 0x53726448}, /* header: "HdrS" */
        {0x206, 2, 0x020c},     /* version, from which on there are addresses above 4 GiB */
        {0x210, 1, 0xff},       /* type_of_loader */
        {0x211, 1, 1},          /* loadflags: LOADED_HIGH */
        {0x218, 4, 0x3456789a}, /* ramdisk_image */
        {0x21c, 4, 0xbcdef012}, /* ramdisk_size */
        {0x228, 4, 0x456789ab}, /* cmd_line_ptr */
        {0x238, 4, 0x89abcdef}, /* cmdline_size */
        {0x250, 8, 0},          /* setup_data */
    };
    guint8 params[BOOT_PARAMS_SIZE], expected[BOOT_PARAMS_SIZE];

    /* all else stays what it was, the memory map for one */
    for (unsigned fill = 0; fill < 256; fill += 0x55) {
        memset(params, (int)fill, sizeof params);
        memset(expected, (int)fill, sizeof expected);
        for (size_t i = 0; i < G_N_ELEMENTS(fields); i++)
            put_le(expected + fields[i].offset, fields[i].value, fields[i].size);
        elf_kernel_boot_params(params, G_GUINT64_CONSTANT(0x23456789ab), 0x89abcdef,
            G_GUINT64_CONSTANT(0x123456789a), G_GUINT64_CONSTANT(0x9abcdef012));
        for (size_t i = 0; i < sizeof params; i++) {
            if (params[i] != expected[i])
                g_error("offset %#zx: %#x instead of %#x", i, params[i], expected[i]);
        }
    }
}

/* struct screen_info in include/uapi/linux/screen_info.h, which is at the start. */
static void test_text_screen(void)
{
    static const struct {
        guint16 cursor;
        guint8 x, y;
    } cases[] = {{0, 0, 0}, {79, 79, 0}, {80, 0, 1}, {1999, 79, 24}, {2000, 0, 0}, {0xffff, 0, 0}};
    static const guint8 fields[] = {
        0, 0, 0x55, 0x55, 0, 0, 3, 80, 0x55, 0x55, 3, 0, 0x55, 0x55, 25, 1, 16, 0};
    guint8 params[BOOT_PARAMS_SIZE], expected[BOOT_PARAMS_SIZE];

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        memset(params, 0x55, sizeof params);
        memset(expected, 0x55, sizeof expected);
        memcpy(expected, fields, sizeof fields);
        expected[0] = cases[i].x;
        expected[1] = cases[i].y;
        elf_kernel_text_screen(params, cases[i].cursor);
        g_assert_cmpmem(params, sizeof params, expected, sizeof expected);
    }
}

static void test_stub(void)
{
    static const guint8 expected[] = {
        0x48, 0xbe, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, /* movabs $0x11.., %rsi */
        0x48, 0xb8, 0xef, 0xcd, 0xab, 0x90, 0x78, 0x56, 0x34, 0x12, /* movabs $0x12.., %rax */
        0xff, 0xe0,                                                 /* jmp *%rax */
    };
    guint8 stub[ELF_KERNEL_STUB_MAX];
    size_t length = elf_kernel_stub(
        stub, G_GUINT64_CONSTANT(0x1234567890abcdef), G_GUINT64_CONSTANT(0x1122334455667788));

    g_assert_cmpmem(stub, length, expected, sizeof expected);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/elf-kernel/whole", test_whole);
    g_test_add_func("/elf-kernel/order", test_order);
    g_test_add_func("/elf-kernel/truncated", test_truncated);
    g_test_add_func("/elf-kernel/truncated-headers", test_truncated_headers);
    g_test_add_func("/elf-kernel/ident", test_ident);
    g_test_add_func("/elf-kernel/headers-outside", test_headers_outside);
    g_test_add_func("/elf-kernel/file-bounds", test_file_bounds);
    g_test_add_func("/elf-kernel/sizes", test_sizes);
    g_test_add_func("/elf-kernel/other-types", test_other_types);
    g_test_add_func("/elf-kernel/addresses", test_addresses);
    g_test_add_func("/elf-kernel/overlap", test_overlap);
    g_test_add_func("/elf-kernel/too-many", test_too_many);
    g_test_add_func("/elf-kernel/entry", test_entry);
    g_test_add_func("/elf-kernel/boot-params", test_boot_params);
    g_test_add_func("/elf-kernel/text-screen", test_text_screen);
    g_test_add_func("/elf-kernel/stub", test_stub);
    return g_test_run();
}
