/* SPDX-License-Identifier: MIT */

/* Checks of an image's files before a machine starts from them. */

#include "base/error.h"
#include "lib/byte-order.h"
#include "lib/crc32.h"
#include "qemu/board.h"
#include "qemu/image.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTOR 512u
#define SECTOR_4KN 4096u
#define GPT_HEADER_MIN 92u
#define BOOT_CODE 440u

/* What a raw disk never begins with. */
static const struct {
    guint offset, length;
    const char *magic;
    const char *fault;
} foreign[] = {
    {0, 3, "\x1f\x8b\x08", "is compressed: unpack it with 'gunzip -k', and name the result"},
    {0, 6, "\xfd\x37zXZ", "is compressed: unpack it with 'unxz -k', and name the result"},
    {0, 4, "\x28\xb5\x2f\xfd", "is compressed: unpack it with 'unzstd', and name the result"},
    {0, 4, "\x04\x22\x4d\x18", "is compressed: unpack it with 'unlz4', and name the result"},
    {0, 3, "BZh", "is compressed: unpack it with 'bunzip2 -k', and name the result"},
    {0, 4, "PK\x03\x04", "is a zip archive: unpack it with 'unzip', and name the disk in it"},
    {0, 4, "QFI\xfb", "is a qcow2 image: image.conf lacks DiskFormat=qcow2"},
    {0, 4, "KDMV", "is a VMDK image: make it a raw one with 'qemu-img convert -O raw'"},
    {0, 8, "vhdxfile", "is a VHDX image: make it a raw one with 'qemu-img convert -O raw'"},
    {0, 8, "conectix", "is a VHD image: make it a raw one with 'qemu-img convert -O raw'"},
    {64, 4, "\x7f\x10\xda\xbe", "is a VDI image: make it a raw one with 'qemu-img convert -O raw'"},
    {0, 4, "\x3a\xff\x26\xed", "is an Android sparse image: make it a raw one with 'simg2img'"},
};

#define NO_TABLE "has no partition table, so no firmware starts it, and image.conf has no Kernel="
#define NO_BOOT_CODE                                                                               \
    "has no boot code for a BIOS in its first sector, and image.conf has no Kernel=: it may need " \
    "UEFI firmware, which slotproof can't give it yet"
#define NO_BIOS                                                                                    \
    "needs a Kernel= in image.conf: machines of its architecture have no firmware that starts a "  \
    "disk"
#define OTHER_SECTORS                                                                              \
    "has a partition table for a disk with sectors of 4096 bytes (4Kn), but the machines' disks "  \
    "have sectors of 512: partition it for those"

/* What is wrong with a file; a damaged one may be better when it is built again. */
typedef struct {
    const char *text;
    bool is_damaged;
    bool lacks_kernel; /* with Kernel= it would do */
} Fault;

static bool refuse_image(const SpImage *image, const char *path, Fault fault, GError **error)
{
    const SpBoard *board = sp_board_find(image->architecture);
    g_autofree char *advice = NULL;

    if (fault.lacks_kernel)
        advice = g_strdup_printf(
            ": with one, a bare file system will do (CommandLine=console=%s root=/dev/vda)",
            board ? board->console : "ttyS0");
    else if (fault.is_damaged && image->build_command)
        advice = g_strdup_printf(": run 'slotproof image %s' to build it anew", image->name);
    else if (fault.is_damaged)
        advice =
            g_strdup_printf(": put it there, or name another one in '%s/image.conf'", image->dir);
    g_set_error(error, SP_ERROR, SP_ERROR_USAGE, "image '%s': '%s' %s%s", image->name, path,
        fault.text, advice ? advice : "");
    return false;
}

/* The file's descriptor and size; -1 with @error if it is not a readable, non-empty file. */
static int open_image_file(
    const SpImage *image, const char *path, goffset *ret_size, GError **error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), saved = errno;
    g_autofree char *why = NULL;
    struct stat st = {0};

    if (fd < 0 && saved == ENOENT) {
        refuse_image(image, path, (Fault){"is missing", .is_damaged = true}, error);
    } else if (fd < 0) {
        why = g_strdup_printf("can't be opened: %s", g_strerror(saved));
        refuse_image(image, path, (Fault){.text = why}, error);
    } else if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        refuse_image(image, path, (Fault){.text = "is not a file"}, error);
    } else if (st.st_size == 0) {
        refuse_image(image, path, (Fault){"is empty", .is_damaged = true}, error);
    } else {
        *ret_size = st.st_size;
        return fd;
    }
    if (fd >= 0)
        close(fd);
    return -1;
}

static bool is_gpt_header(int fd, guint64 offset)
{
    char signature[8];

    return pread(fd, signature, sizeof signature, (off_t)offset) == sizeof signature &&
           memcmp(signature, "EFI PART", sizeof signature) == 0;
}

/* A GPT header (UEFI specification, 5.3.2) in the sector @lba. */
static bool gpt_header_is_good(int fd, guint64 lba, goffset size, guint64 *ret_alternate)
{
    guint8 header[SECTOR];
    guint64 length;
    guint32 crc;

    if (lba >= (guint64)size / SECTOR || !is_gpt_header(fd, lba * SECTOR) ||
        pread(fd, header, sizeof header, (off_t)(lba * SECTOR)) != sizeof header)
        return false;
    length = sp_get_le32(header + 12);
    if (length < GPT_HEADER_MIN || length > sizeof header || sp_get_le64(header + 24) != lba)
        return false;
    crc = sp_get_le32(header + 16);
    memset(header + 16, 0, 4);
    *ret_alternate = sp_get_le64(header + 32);
    return sp_crc32(header, length) == crc;
}

/* An MBR with an entry of type 0xee has a GPT behind it, which may stand in any of the four where
 * the MBR is a hybrid. */
static bool is_protective_mbr(const guint8 *mbr)
{
    for (guint i = 0; i < 4; i++) {
        if (mbr[446 + i * 16 + 4] == 0xee)
            return true;
    }
    return false;
}

/* One that says where the table is: in the first sector after it (UEFI, 5.2.3). */
static bool has_gpt_behind(const guint8 *mbr)
{
    static const guint8 sector_one[4] = {1, 0, 0, 0};

    for (guint i = 0; i < 4; i++) {
        const guint8 *entry = mbr + 446 + i * 16;
        if (entry[4] == 0xee && memcmp(entry + 8, sector_one, sizeof sector_one) == 0)
            return true;
    }
    return false;
}

static bool has_boot_code(const guint8 *mbr)
{
    for (guint i = 0; i < BOOT_CODE; i++) {
        if (mbr[i] != 0)
            return true;
    }
    return false;
}

static Fault gpt_fault(int fd, goffset size)
{
    guint64 backup, primary;

    if (!is_gpt_header(fd, SECTOR) && is_gpt_header(fd, SECTOR_4KN))
        return (Fault){.text = OTHER_SECTORS};
    if (!gpt_header_is_good(fd, 1, size, &backup))
        return (Fault){"has a broken partition table", .is_damaged = true};
    /* one that names itself, or the MBR, has no backup */
    if (backup <= 1 || !gpt_header_is_good(fd, backup, size, &primary))
        return (Fault){"is truncated: its backup partition table is not where it should be",
            .is_damaged = true};
    return (Fault){0};
}

static Fault raw_disk_fault(const SpImage *image, int fd, goffset size)
{
    const SpBoard *board = sp_board_find(image->architecture);
    guint8 first[SECTOR];
    bool has_table;

    if (pread(fd, first, sizeof first, 0) != sizeof first)
        return (Fault){
            "is shorter than a sector, so it is truncated or not a disk", .is_damaged = true};
    for (gsize i = 0; i < G_N_ELEMENTS(foreign); i++) {
        if (memcmp(first + foreign[i].offset, foreign[i].magic, foreign[i].length) == 0)
            return (Fault){.text = foreign[i].fault};
    }
    has_table = first[510] == 0x55 && first[511] == 0xaa;
    /* what a kernel is told to use need not be a disk: a file system may look like this as well */
    if (image->kernel && !(has_table && has_gpt_behind(first)))
        return (Fault){0};
    if (size % SECTOR != 0)
        return (Fault){"is not a whole number of sectors, so it is truncated or not a disk",
            .is_damaged = true};
    if (!has_table)
        return (Fault){NO_TABLE, .lacks_kernel = true};
    if (is_protective_mbr(first)) {
        Fault fault = gpt_fault(fd, size);

        if (fault.text)
            return fault;
    }
    if (!image->kernel && board && !board->has_bios)
        return (Fault){.text = NO_BIOS};
    return image->kernel || has_boot_code(first) ? (Fault){0} : (Fault){.text = NO_BOOT_CODE};
}

static bool check_chain(const SpImage *image, GError **error)
{
    g_autoptr(GPtrArray) chain = sp_qcow2_chain(image->disk, error);

    if (!chain)
        g_prefix_error(error, "image '%s': ", image->name);
    return chain != NULL;
}

bool sp_image_check(const SpImage *image, GError **error)
{
    const char *const others[] = {image->kernel, image->initrd};
    Fault fault = {0};
    goffset size;
    int fd;

    for (gsize i = 0; i < G_N_ELEMENTS(others); i++) {
        if (!others[i])
            continue;
        fd = open_image_file(image, others[i], &size, error);
        if (fd < 0)
            return false;
        close(fd);
    }
    fd = open_image_file(image, image->disk, &size, error);
    if (fd < 0)
        return false;
    if (g_str_equal(image->disk_format, "raw"))
        fault = raw_disk_fault(image, fd, size);
    close(fd);
    if (fault.text)
        return refuse_image(image, image->disk, fault, error);
    return g_str_equal(image->disk_format, "raw") || check_chain(image, error);
}
