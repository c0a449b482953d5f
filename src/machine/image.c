/* SPDX-License-Identifier: MIT */
#include "machine/image.h"

#include "base/error.h"
#include "base/keyfile.h"
#include "lib/crc32.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTOR 512u
#define GPT_HEADER_MIN 92u

static const SpKey image_keys[] = {
    {"Image", "Architecture"},
    {"Image", "Disk"},
    {"Image", "DiskFormat"},
    {"Image", "Kernel"},
    {"Image", "Initrd"},
    {"Image", "CommandLine"},
    {"Image", "VirtualTimeCommandLine"},
    {"Image", "KeepPowerOn"},
    {"Image", "Memory"},
    {"Image", "CPUs"},
    {"Image", "Agent"},
    {"Image", "Watchdog"},
    {"Build", "Command"},
    {NULL, NULL},
};

static char *get_path(SpKeyFile *file, const char *dir, const char *key)
{
    g_autofree char *value = sp_key_file_string(file, "Image", key);

    return value ? g_canonicalize_filename(value, dir) : NULL;
}

static bool read_agent(SpImage *image, SpKeyFile *file, GError **error)
{
    g_autofree char *agent = sp_key_file_string(file, "Image", "Agent");

    image->has_agent = !agent || g_str_equal(agent, "virtio-serial");
    if (image->has_agent || g_str_equal(agent, "none"))
        return true;
    return sp_key_file_refuse(file, "Image", "Agent", "'virtio-serial' or 'none'", error);
}

static bool read_power_on(SpImage *image, SpKeyFile *file, GError **error)
{
    g_autofree char *text = sp_key_file_string(file, "Image", "KeepPowerOn");

    image->keeps_power_on = g_strcmp0(text, "yes") == 0;
    if (text && !image->keeps_power_on && !g_str_equal(text, "no"))
        return sp_key_file_refuse(file, "Image", "KeepPowerOn", "'yes' or 'no'", error);
    if (!image->keeps_power_on || image->kernel)
        return true;
    return sp_key_file_refuse(file, "Image", "KeepPowerOn", "this key only beside 'Kernel'", error);
}

static bool read_format(SpImage *image, SpKeyFile *file, GError **error)
{
    image->disk_format = sp_key_file_string(file, "Image", "DiskFormat");
    if (!image->disk_format)
        image->disk_format = g_strdup("raw");
    if (g_str_equal(image->disk_format, "raw") || g_str_equal(image->disk_format, "qcow2"))
        return true;
    return sp_key_file_refuse(file, "Image", "DiskFormat", "'raw' or 'qcow2'", error);
}

static bool read_keys(SpImage *image, SpKeyFile *file, GError **error)
{
    g_autofree char *command = sp_key_file_string(file, "Build", "Command");
    g_autoptr(GError) local = NULL;

    image->architecture = sp_key_file_string(file, "Image", "Architecture");
    if (!image->architecture)
        return sp_key_file_refuse(file, "Image", "Architecture", "e.g. 'x86_64'", error);
    image->disk = get_path(file, image->dir, "Disk");
    if (!image->disk)
        return sp_key_file_refuse(file, "Image", "Disk", "the path of a disk image", error);
    image->kernel = get_path(file, image->dir, "Kernel");
    image->initrd = get_path(file, image->dir, "Initrd");
    image->command_line = sp_key_file_string(file, "Image", "CommandLine");
    image->virtual_time_command_line = sp_key_file_string(file, "Image", "VirtualTimeCommandLine");
    image->watchdog = sp_key_file_string(file, "Image", "Watchdog");
    if (!image->kernel && (image->initrd || image->command_line))
        return sp_key_file_refuse(file, "Image", image->initrd ? "Initrd" : "CommandLine",
            "this key only beside 'Kernel'", error);
    if (!sp_key_file_size_mib(file, "Image", "Memory", 512, &image->memory_mib, error) ||
        !sp_key_file_uint(file, "Image", "CPUs", 1, 1, 255, &image->cpus, error) ||
        !read_agent(image, file, error) || !read_format(image, file, error) ||
        !read_power_on(image, file, error))
        return false;
    if (command && !g_shell_parse_argv(command, NULL, &image->build_command, &local))
        return sp_key_file_refuse(
            file, "Build", "Command", "a command with its quotes closed", error);
    return true;
}

SpImage *sp_image_load(const char *dir, GError **error)
{
    g_autoptr(SpImage) image = g_new0(SpImage, 1);
    g_autofree char *given = NULL, *real = NULL, *path = NULL;
    g_autoptr(SpKeyFile) file = NULL;

    given = g_canonicalize_filename(dir, NULL);
    image->name = g_path_get_basename(given);
    /* where image.conf lies, if the path is a link's: paths in it start there */
    real = realpath(given, NULL);
    image->dir = g_strdup(real ? real : given);
    path = g_build_filename(given, "image.conf", NULL);
    file = sp_key_file_load(path, image_keys, error);
    if (!file || !read_keys(image, file, error))
        return NULL;
    return g_steal_pointer(&image);
}

void sp_image_free(SpImage *image)
{
    if (!image)
        return;
    g_free(image->name);
    g_free(image->dir);
    g_free(image->architecture);
    g_free(image->disk);
    g_free(image->disk_format);
    g_free(image->kernel);
    g_free(image->initrd);
    g_free(image->command_line);
    g_free(image->virtual_time_command_line);
    g_free(image->watchdog);
    g_strfreev(image->build_command);
    g_free(image);
}

static bool refuse(const SpImage *image, const char *path, GError **error, const char *why)
{
    g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
        "image '%s': '%s' %s: run 'slotproof image %s' to build it anew", image->name, path, why,
        image->name);
    return false;
}

/* The file's descriptor and size; -1 with @error where it is not a readable file with contents. */
static int open_file(const SpImage *image, const char *path, goffset *ret_size, GError **error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st = {0};

    if (fd < 0) {
        refuse(image, path, error,
            errno == ENOENT   ? "is missing"
            : errno == EACCES ? "can't be read"
                              : "can't be opened");
        return -1;
    }
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size == 0) {
        refuse(image, path, error, S_ISREG(st.st_mode) ? "is empty" : "is not a file");
        close(fd);
        return -1;
    }
    *ret_size = st.st_size;
    return fd;
}

static guint64 get_le(const guint8 *p, int bytes)
{
    guint64 value = 0;

    for (int i = bytes - 1; i >= 0; i--)
        value = value << 8 | p[i];
    return value;
}

/* A GPT header (UEFI specification, 5.3.2) in the sector @lba. */
static bool gpt_header_is_good(int fd, guint64 lba, goffset size, guint64 *ret_alternate)
{
    guint8 header[SECTOR];
    guint64 length;
    guint32 crc;

    if (lba >= (guint64)size / SECTOR ||
        pread(fd, header, sizeof header, (off_t)(lba * SECTOR)) != sizeof header ||
        memcmp(header, "EFI PART", 8) != 0)
        return false;
    length = get_le(header + 12, 4);
    if (length < GPT_HEADER_MIN || length > sizeof header || get_le(header + 24, 8) != lba)
        return false;
    crc = (guint32)get_le(header + 16, 4);
    memset(header + 16, 0, 4);
    *ret_alternate = get_le(header + 32, 8);
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

static const char *raw_disk_fault(int fd, goffset size)
{
    guint8 first[SECTOR];
    guint64 backup, primary;

    if (size % SECTOR != 0)
        return "is not a whole number of sectors, so it is truncated or not a disk";
    if (pread(fd, first, sizeof first, 0) != sizeof first || first[510] != 0x55 ||
        first[511] != 0xaa)
        return "holds no partition table, so it is not a disk";
    if (!is_protective_mbr(first))
        return NULL;
    if (!gpt_header_is_good(fd, 1, size, &backup))
        return "has a broken partition table";
    /* one that names itself, or the MBR, has no backup */
    if (backup <= 1 || !gpt_header_is_good(fd, backup, size, &primary))
        return "is truncated: its backup partition table is not where it should be";
    return NULL;
}

static const char *disk_fault(const SpImage *image, int fd, goffset size)
{
    guint8 magic[4];

    if (g_str_equal(image->disk_format, "raw"))
        return raw_disk_fault(fd, size);
    if (pread(fd, magic, sizeof magic, 0) != sizeof magic || memcmp(magic, "QFI\xfb", 4) != 0)
        return "is not a qcow2 image";
    return NULL;
}

bool sp_image_check(const SpImage *image, GError **error)
{
    const char *const others[] = {image->kernel, image->initrd};
    const char *fault;
    goffset size;
    int fd;

    for (gsize i = 0; i < G_N_ELEMENTS(others); i++) {
        if (!others[i])
            continue;
        fd = open_file(image, others[i], &size, error);
        if (fd < 0)
            return false;
        close(fd);
    }
    fd = open_file(image, image->disk, &size, error);
    if (fd < 0)
        return false;
    fault = disk_fault(image, fd, size);
    close(fd);
    return fault ? refuse(image, image->disk, error, fault) : true;
}
