/* SPDX-License-Identifier: MIT */

#include "appliance/boot/slot-kernel.h"

#include "appliance/boot/cmdline.h"
#include "appliance/boot/elf-kernel.h"
#include "lib/atomic-file.h"
#include "lib/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kexec.h>
#include <lz4frame.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#ifdef __x86_64__
#include <sys/io.h>
#endif
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Unpacked: more than a boot partition of 32 MiB can reasonably hold. */
#define KERNEL_MAX (256u * 1024 * 1024)
/* The memory after its end is where the kernel puts what it needs first. */
#define INITRD_GAP (UINT64_C(4) * 1024 * 1024)

struct bytes {
    uint8_t *data; /* of mmap() */
    size_t length;
    size_t mapped;
};

static void bytes_clear(const struct bytes *bytes)
{
    if (bytes->mapped > 0)
        (void)munmap(bytes->data, bytes->mapped);
}

#define auto_bytes __attribute__((cleanup(bytes_clear)))

static int explain_failure(const char *what, int error, const char **ret_what)
{
    *ret_what = what;
    return error;
}

/* Allocates zeroed memory, in large pages if possible: each first access of a page is a trap. */
static int bytes_init(struct bytes *bytes, size_t size)
{
    void *data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (data == MAP_FAILED)
        return -errno;
    (void)madvise(data, size, MADV_HUGEPAGE);
    *bytes = (struct bytes){.data = data, .mapped = size};
    return 0;
}

static int read_whole_file(int fd, struct bytes *ret_bytes)
{
    struct stat st;
    int r;

    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || st.st_size <= 0 || st.st_size > KERNEL_MAX)
        return -ENOEXEC;
    r = bytes_init(ret_bytes, (size_t)st.st_size);
    while (r == 0 && ret_bytes->length < ret_bytes->mapped) {
        ssize_t n =
            read(fd, ret_bytes->data + ret_bytes->length, ret_bytes->mapped - ret_bytes->length);

        if (n == 0)
            r = -EIO; /* shorter than fstat() said */
        else if (n > 0)
            ret_bytes->length += (size_t)n;
        else if (errno != EINTR)
            r = -errno;
    }
    return r;
}

static int unpack_lz4(const struct bytes *packed, struct bytes *ret_bytes)
{
    size_t used = 0, left = 1;
    LZ4F_dctx *context;
    int r = bytes_init(ret_bytes, KERNEL_MAX);

    if (r < 0)
        return r;
    if (LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION)))
        return -ENOMEM;
    while (left != 0 && used < packed->length && ret_bytes->length < ret_bytes->mapped) {
        size_t in = packed->length - used, out = ret_bytes->mapped - ret_bytes->length;

        left = LZ4F_decompress(
            context, ret_bytes->data + ret_bytes->length, &out, packed->data + used, &in, NULL);
        if (LZ4F_isError(left))
            break;
        used += in;
        ret_bytes->length += out;
    }
    LZ4F_freeDecompressionContext(context);
    return left == 0 ? 0 : -EBADMSG;
}

struct layout {
    struct kexec_segment segment[ELF_KERNEL_SEGMENTS_MAX + 4];
    unsigned long count;
    uint64_t next; /* first free address */
};

static uint64_t add_to_layout(struct layout *layout, const void *data, size_t size)
{
    uint64_t address = layout->next;
    uint64_t memory = ((uint64_t)size + ELF_KERNEL_PAGE - 1) / ELF_KERNEL_PAGE * ELF_KERNEL_PAGE;

    layout->segment[layout->count++] = (struct kexec_segment){
        .buf = data, .bufsz = size, .mem = (const void *)(uintptr_t)address, .memsz = memory};
    layout->next = address + memory;
    return address;
}

#ifdef __x86_64__
/* Registers of VGA: an index register and the registers that it selects. */
enum { GRAPHICS_INDEX = 0x3ce, CRTC_INDEX = 0x3d4, PORTS_FIRST = 0x3c0, PORTS = 0x20 };
enum { GRAPHICS_MISCELLANEOUS = 6, CRTC_CURSOR_HIGH = 14, CRTC_CURSOR_LOW = 15 };

static uint8_t read_register(uint16_t index, uint8_t which)
{
    outb(which, index);
    return inb((uint16_t)(index + 1));
}

/* Describes a screen that the firmware left in text mode; the running kernel does not know of it.
 * If there is no VGA, all bits read as set, including the one for graphics mode. */
static void describe_screen(uint8_t params[static BOOT_PARAMS_SIZE])
{
    if (ioperm(PORTS_FIRST, PORTS, 1) < 0)
        return;
    if ((read_register(GRAPHICS_INDEX, GRAPHICS_MISCELLANEOUS) & 1) == 0) {
        unsigned high = read_register(CRTC_INDEX, CRTC_CURSOR_HIGH);
        unsigned low = read_register(CRTC_INDEX, CRTC_CURSOR_LOW);

        elf_kernel_text_screen(params, (uint16_t)(high << 8 | low));
    }
    (void)ioperm(PORTS_FIRST, PORTS, 0);
}
#else
static void describe_screen(uint8_t params[static BOOT_PARAMS_SIZE])
{
    (void)params;
}
#endif

static int load_elf(int fd, int initrd_fd, const char *cmdline, const char **ret_what)
{
    auto_bytes struct bytes packed = {0}, kernel = {0}, initrd = {0};
    uint8_t params[BOOT_PARAMS_SIZE], stub[ELF_KERNEL_STUB_MAX];
    uint64_t initrd_address, cmdline_address, params_address, stub_address;
    struct layout layout = {0};
    struct elf_kernel elf;
    int r = read_whole_file(fd, &packed);

    if (r == 0)
        r = unpack_lz4(&packed, &kernel);
    if (r == 0)
        r = elf_kernel_parse(kernel.data, kernel.length, &elf);
    if (r < 0)
        return explain_failure("vmlinux.lz4", r, ret_what);
    r = read_whole_file(initrd_fd, &initrd);
    if (r < 0)
        return explain_failure("initrd.img", r, ret_what);
    if (sp_read_file_at(AT_FDCWD, "/sys/kernel/boot_params/data", params, sizeof params) !=
        BOOT_PARAMS_SIZE)
        return explain_failure("/sys/kernel/boot_params/data", -EIO, ret_what);

    describe_screen(params);
    /* Only as much of a segment as the file has: the started kernel zeroes the rest itself
     * (clear_bss()), so clearing and copying it here would be wasted. */
    for (size_t i = 0; i < elf.count; i++) {
        layout.next = elf.segment[i].address;
        add_to_layout(&layout, kernel.data + elf.segment[i].offset, elf.segment[i].size);
    }
    layout.next = elf.end + INITRD_GAP;
    initrd_address = add_to_layout(&layout, initrd.data, initrd.length);
    cmdline_address = add_to_layout(&layout, cmdline, strlen(cmdline) + 1);
    params_address = add_to_layout(&layout, params, sizeof params);
    elf_kernel_boot_params(
        params, cmdline_address, (uint32_t)strlen(cmdline) + 1, initrd_address, initrd.length);
    stub_address = add_to_layout(&layout, stub, elf_kernel_stub(stub, elf.entry, params_address));
    if (syscall(SYS_kexec_load, stub_address, layout.count, layout.segment, KEXEC_ARCH_X86_64) != 0)
        return explain_failure("kexec_load", -errno, ret_what);
    return 0;
}

static int load_packed(int fd, int initrd_fd, const char *cmdline, const char **ret_what)
{
    /* Only the return value counts: errno may be set even if the kernel was loaded. */
    if (syscall(SYS_kexec_file_load, fd, initrd_fd, strlen(cmdline) + 1, cmdline, 0ul) != 0)
        return explain_failure("kexec_file_load", -errno, ret_what);
    return 0;
}

static int build_cmdline(
    int dir, const char *own, enum sp_slot slot, const char *note, char cmdline[static CMDLINE_MAX])
{
    char extra[CMDLINE_EXTRA_MAX];
    ssize_t length = sp_read_file_at(dir, "cmdline", extra, sizeof extra);

    if (length == -ENOENT)
        length = 0;
    if (length < 0)
        return (int)length;
    return cmdline_build(own, extra, (size_t)length, slot, note, cmdline);
}

int slot_kernel_load(const char *directory, const char *own, enum sp_slot slot, const char *note,
    const char **ret_what)
{
    sp_auto_close int dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    sp_auto_close int kernel = -1;
    sp_auto_close int initrd = -1;
    bool is_elf;
    char cmdline[CMDLINE_MAX];
    int r;

    if (dir < 0)
        return explain_failure(directory, -errno, ret_what);
    kernel = openat(dir, "vmlinux.lz4", O_RDONLY | O_CLOEXEC);
    is_elf = kernel >= 0 || errno != ENOENT;
    if (!is_elf)
        kernel = openat(dir, "vmlinuz", O_RDONLY | O_CLOEXEC);
    if (kernel < 0)
        return explain_failure(is_elf ? "vmlinux.lz4" : "vmlinuz", -errno, ret_what);
    initrd = openat(dir, "initrd.img", O_RDONLY | O_CLOEXEC);
    if (initrd < 0)
        return explain_failure("initrd.img", -errno, ret_what);
    r = build_cmdline(dir, own, slot, note, cmdline);
    if (r < 0)
        return explain_failure("cmdline", r, ret_what);
    return is_elf ? load_elf(kernel, initrd, cmdline, ret_what)
                  : load_packed(kernel, initrd, cmdline, ret_what);
}
