/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "lib/crc32.h"
#include "qemu/image.h"

#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECTOR 512u
#define SECTORS 64u

static const char *const names[] = {"image.conf", "disk.img", "vmlinuz", "initrd.cpio"};

typedef struct {
    char *dir;
    GByteArray *disk;
} Fixture;

static void put_le(guint8 *p, guint64 value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        p[i] = (guint8)(value >> (8 * i));
}

static void put_gpt_header(guint8 *disk, guint64 lba, guint64 alternate)
{
    guint8 *header = disk + lba * SECTOR;

    memcpy(header, "EFI PART", 8);
    put_le(header + 8, 0x10000, 4);
    put_le(header + 12, 92, 4);
    put_le(header + 24, lba, 8);
    put_le(header + 32, alternate, 8);
    put_le(header + 16, sp_crc32(header, 92), 4);
}

/* @entry: which of the MBR's four says that a GPT follows */
static void make_gpt(guint8 *disk, guint entry)
{
    disk[0] = 0xeb; /* boot code */
    disk[446 + 16 * entry + 4] = 0xee;
    disk[446 + 16 * entry + 8] = 1;
    disk[510] = 0x55;
    disk[511] = 0xaa;
    put_gpt_header(disk, 1, SECTORS - 1);
    put_gpt_header(disk, SECTORS - 1, 1);
}

static void write_file(Fixture *f, const char *name, const void *data, gsize length)
{
    g_autofree char *path = g_build_filename(f->dir, name, NULL);
    g_autoptr(GError) error = NULL;

    g_file_set_contents(path, data, (gssize)length, &error);
    g_assert_no_error(error);
}

static void write_disk(Fixture *f)
{
    write_file(f, "disk.img", f->disk->data, f->disk->len);
}

static void set_up(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *made = NULL;

    made = g_dir_make_tmp("slotproof-test-XXXXXX", &error);
    g_assert_no_error(error);
    f->dir = realpath(made, NULL);
    g_assert_nonnull(f->dir);
    f->disk = g_byte_array_new();
    g_byte_array_set_size(f->disk, SECTORS * SECTOR);
    memset(f->disk->data, 0, f->disk->len);
    make_gpt(f->disk->data, 0);
    write_disk(f);
    write_file(f, "vmlinuz", "kernel", 6);
    write_file(f, "initrd.cpio", "initrd", 6);
}

static void tear_down(Fixture *f, gconstpointer data)
{
    for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *path = g_build_filename(f->dir, names[i], NULL);
        unlink(path);
        rmdir(path);
    }
    g_assert_cmpint(rmdir(f->dir), ==, 0);
    g_free(f->dir);
    g_byte_array_unref(f->disk);
}

static SpImage *load(Fixture *f, const char *text)
{
    g_autoptr(GError) error = NULL;
    SpImage *image;

    write_file(f, "image.conf", text, strlen(text));
    image = sp_image_load(f->dir, &error);
    g_assert_no_error(error);
    return image;
}

#define MINIMAL "[Image]\nArchitecture=x86_64\nDisk=disk.img\n"
#define WITH_KERNEL MINIMAL "Kernel=vmlinuz\nInitrd=initrd.cpio\n"
#define BUILD "[Build]\nCommand=true\n"

static void test_defaults(Fixture *f, gconstpointer data)
{
    g_autoptr(SpImage) image = load(f, MINIMAL);
    g_autofree char *disk = g_build_filename(f->dir, "disk.img", NULL);
    g_autofree char *name = g_path_get_basename(f->dir);

    g_assert_cmpstr(image->name, ==, name);
    g_assert_cmpstr(image->dir, ==, f->dir);
    g_assert_cmpstr(image->architecture, ==, "x86_64");
    g_assert_cmpstr(image->disk, ==, disk);
    g_assert_cmpstr(image->disk_format, ==, "raw");
    g_assert_null(image->kernel);
    g_assert_null(image->initrd);
    g_assert_null(image->command_line);
    g_assert_null(image->watchdog);
    g_assert_null(image->build_command);
    g_assert_cmpuint(image->memory_mib, ==, 512);
    g_assert_cmpuint(image->cpus, ==, 1);
    g_assert_true(image->has_agent);
    g_assert_false(image->has_boot_snapshot);
}

static void test_all_keys(Fixture *f, gconstpointer data)
{
    g_autoptr(SpImage) image = load(f,
        "[Image]\nArchitecture=x86_64\nDisk=/srv/d.qcow2\nDiskFormat=qcow2\nKernel=vmlinuz\n"
        "Initrd=sub/../initrd.cpio\nCommandLine=console=ttyS0 a=b\nMemory=2G\nCPUs=4\nAgent=none\n"
        "Watchdog=i6300esb\nBootSnapshot=yes\n[Build]\nCommand=ninja -C '/a b' image\n");
    g_autofree char *kernel = g_build_filename(f->dir, "vmlinuz", NULL);
    g_autofree char *initrd = g_build_filename(f->dir, "initrd.cpio", NULL);
    const char *const command[] = {"ninja", "-C", "/a b", "image", NULL};

    g_assert_cmpstr(image->disk, ==, "/srv/d.qcow2");
    g_assert_cmpstr(image->disk_format, ==, "qcow2");
    g_assert_cmpstr(image->kernel, ==, kernel);
    g_assert_cmpstr(image->initrd, ==, initrd);
    g_assert_cmpstr(image->command_line, ==, "console=ttyS0 a=b");
    g_assert_cmpuint(image->memory_mib, ==, 2048);
    g_assert_cmpuint(image->cpus, ==, 4);
    g_assert_false(image->has_agent);
    g_assert_true(image->has_boot_snapshot);
    g_assert_cmpstr(image->watchdog, ==, "i6300esb");
    g_assert_cmpstrv(image->build_command, command);
}

typedef struct {
    const char *text;
    const char *line; /* where the message says the fault is */
    const char *what; /* and what it names */
} Refused;

static const Refused refused[] = {
    {"", ":1:", "Architecture"},
    {"[Image]\nDisk=disk.img\n", ":1:", "Architecture"},
    {"# of ours\n\n[Image]\nArchitecture=x86_64\n", ":3:", "Disk"},
    {MINIMAL "Colour=red\n", ":4:", "'Colour'"},
    {MINIMAL "[Colours]\n", ":4:", "[Colours]"},
    {MINIMAL "[Build]\nDisk=x\n", ":5:", "'Disk' in [Build]"},
    {MINIMAL "Memory=512\n", ":4:", "512M"},
    {MINIMAL "Memory=M\n", ":4:", "512M"},
    {MINIMAL "Memory=0M\n", ":4:", "512M"},
    {MINIMAL "Memory=-1G\n", ":4:", "512M"},
    {MINIMAL "Memory=99999999999999999999G\n", ":4:", "1024G"},
    {MINIMAL "\nCPUs=0\n", ":5:", "1 to 255"},
    {MINIMAL "CPUs=two\n", ":4:", "1 to 255"},
    {MINIMAL "Agent=ssh\n", ":4:", "'virtio-serial' or 'none'"},
    {MINIMAL "Kernel=k\nBootSnapshot=maybe\n", ":5:", "'yes' or 'no'"},
    {MINIMAL "BootSnapshot=yes\n", ":4:", "'Kernel'"},
    {MINIMAL "DiskFormat=vmdk\n", ":4:", "'raw' or 'qcow2'"},
    {MINIMAL "Initrd=initrd.cpio\n", ":4:", "'Kernel'"},
    {MINIMAL "CommandLine=quiet\n", ":4:", "'Kernel'"},
    {MINIMAL "[Build]\nCommand='ninja\n", ":5:", "quotes"},
    {MINIMAL "Disk=other.img\n", ":4:", "Disk=other.img"},
    {MINIMAL "nonsense\n", ":4:", "Key=Value"},
    {"Disk=disk.img\n", ":1:", "[Group]"},
    {"[Image]\nArchitecture=\xff\n", ":1:", "UTF-8"},
};

static void test_refused(Fixture *f, gconstpointer data)
{
    for (gsize i = 0; i < G_N_ELEMENTS(refused); i++) {
        g_autoptr(GError) error = NULL;

        g_test_message("%s", refused[i].what);
        write_file(f, "image.conf", refused[i].text, strlen(refused[i].text));
        g_assert_null(sp_image_load(f->dir, &error));
        g_assert_error(error, SP_ERROR, SP_ERROR_USAGE);
        g_assert_nonnull(strstr(error->message, "image.conf"));
        g_assert_nonnull(strstr(error->message, refused[i].line));
        g_assert_nonnull(strstr(error->message, refused[i].what));
    }
}

/* Paths start where image.conf lies, also where its directory is reached by a link. */
static void test_link(Fixture *f, gconstpointer data)
{
    const char *text = "[Image]\nArchitecture=x86_64\nDisk=../beside.img\n";
    g_autofree char *images = g_build_filename(f->dir, "images", NULL);
    g_autofree char *link = g_build_filename(images, "mine", NULL);
    g_autofree char *parent = g_path_get_dirname(f->dir);
    g_autofree char *disk = g_build_filename(parent, "beside.img", NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(SpImage) image = NULL;

    write_file(f, "image.conf", text, strlen(text));
    g_assert_cmpint(g_mkdir(images, 0700), ==, 0);
    g_assert_cmpint(symlink(f->dir, link), ==, 0);
    image = sp_image_load(link, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(image->name, ==, "mine");
    g_assert_cmpstr(image->dir, ==, f->dir);
    g_assert_cmpstr(image->disk, ==, disk);
    unlink(link);
    rmdir(images);
}

static void test_no_conf(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(sp_image_load(f->dir, &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_USAGE);
    g_assert_nonnull(strstr(error->message, "image.conf"));
}

static void assert_good(Fixture *f, const char *text)
{
    g_autoptr(SpImage) image = load(f, text);
    g_autoptr(GError) error = NULL;

    (void)!sp_image_check(image, &error);
    g_assert_no_error(error);
}

static char *check_bad(Fixture *f, const char *text, const char *name, const char *why)
{
    g_autoptr(SpImage) image = load(f, text);
    g_autoptr(GError) error = NULL;

    g_assert_false(sp_image_check(image, &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_USAGE);
    g_test_message("%s", error->message);
    g_assert_nonnull(strstr(error->message, name));
    g_assert_nonnull(strstr(error->message, why));
    return g_strdup(error->message);
}

/* What a build brings about again is not mended by one. */
static void assert_unfit(Fixture *f, const char *text, const char *name, const char *why)
{
    g_autofree char *with_build = g_strconcat(text, BUILD, NULL);
    g_autofree char *said = check_bad(f, with_build, name, why);

    g_assert_null(strstr(said, "slotproof image"));
}

/* What can be made anew: by slotproof, where image.conf says how. */
static void assert_bad(Fixture *f, const char *text, const char *name, const char *why)
{
    g_autofree char *with_build = g_strconcat(text, BUILD, NULL);
    g_autofree char *built = check_bad(f, with_build, name, why);
    g_autofree char *given = check_bad(f, text, name, why);

    g_assert_nonnull(strstr(built, "run 'slotproof image "));
    g_assert_null(strstr(given, "slotproof image"));
    g_assert_nonnull(strstr(given, "image.conf"));
}

static void test_good_disks(Fixture *f, gconstpointer data)
{
    assert_good(f, MINIMAL);
    assert_good(f, WITH_KERNEL);
    memset(f->disk->data, 0, SECTOR);
    f->disk->data[510] = 0x55;
    f->disk->data[511] = 0xaa;
    f->disk->data[450] = 0x83;
    f->disk->data[0] = 0xfa;
    memset(f->disk->data + SECTOR, 0, SECTOR); /* an MBR needs no GPT */
    write_disk(f);
    assert_good(f, MINIMAL);
}

/* What QEMU gives to a kernel need not be what firmware could start. */
static void test_with_kernel(Fixture *f, gconstpointer data)
{
    memset(f->disk->data, 0, f->disk->len);
    write_disk(f);
    assert_good(f, WITH_KERNEL);
    assert_unfit(f, MINIMAL, "disk.img", "no partition table");
    assert_unfit(f, MINIMAL, "disk.img", "Kernel=");
    write_file(f, "disk.img", f->disk->data, f->disk->len - 1);
    assert_good(f, WITH_KERNEL);
    f->disk->data[510] = 0x55; /* as a FAT file system has it */
    f->disk->data[511] = 0xaa;
    f->disk->data[450] = 0xee; /* which may be any of its bytes */
    write_disk(f);
    assert_good(f, WITH_KERNEL);
    make_gpt(f->disk->data, 0);
    f->disk->data[0] = 0;
    write_disk(f);
    assert_good(f, WITH_KERNEL);
    write_file(f, "disk.img", f->disk->data, f->disk->len - SECTOR);
    assert_bad(f, WITH_KERNEL, "disk.img", "is truncated");
    write_file(f, "disk.img", "no disk", 7);
    assert_bad(f, WITH_KERNEL, "disk.img", "not a disk");
}

/* The firmware of machines is a BIOS. */
static void test_no_boot_code(Fixture *f, gconstpointer data)
{
    memset(f->disk->data, 0, 440);
    write_disk(f);
    assert_unfit(f, MINIMAL, "disk.img", "UEFI");
    assert_unfit(f, MINIMAL, "disk.img", "Kernel=");
    assert_good(f, WITH_KERNEL);
}

/* A GPT whose header lies in the second sector of 4096 bytes. */
static void test_large_sectors(Fixture *f, gconstpointer data)
{
    memmove(f->disk->data + 4096, f->disk->data + SECTOR, SECTOR);
    memset(f->disk->data + SECTOR, 0, SECTOR);
    write_disk(f);
    assert_unfit(f, MINIMAL, "disk.img", "4Kn");
    assert_unfit(f, WITH_KERNEL, "disk.img", "4096");
}

static void test_foreign(Fixture *f, gconstpointer data)
{
    static const struct {
        const char *magic;
        gsize length;
        const char *why;
    } foreign[] = {
        {"\x1f\x8b\x08", 3, "gunzip"},
        {"\xfd\x37zXZ\0", 6, "unxz"},
        {"\x28\xb5\x2f\xfd", 4, "unzstd"},
        {"QFI\xfb", 4, "DiskFormat=qcow2"},
        {"KDMV", 4, "qemu-img convert"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(foreign); i++) {
        memcpy(f->disk->data, foreign[i].magic, foreign[i].length);
        write_disk(f);
        assert_unfit(f, MINIMAL, "disk.img", foreign[i].why);
        assert_unfit(f, WITH_KERNEL, "disk.img", foreign[i].why);
    }
}

/* A shell would have made something of it; where there is a file of that name, it is meant. */
static void test_unexpanded(Fixture *f, gconstpointer data)
{
    static const char *const values[] = {
        "~/disk.img", "\"disk.img\"", "'disk.img'", "$HOME/x", "*.img"};
    g_autofree char *path = g_build_filename(f->dir, "$HOME.img", NULL);

    for (gsize i = 0; i < G_N_ELEMENTS(values); i++) {
        g_autofree char *text =
            g_strdup_printf("[Image]\nArchitecture=x86_64\nDisk=%s\n", values[i]);
        g_autoptr(GError) error = NULL;

        write_file(f, "image.conf", text, strlen(text));
        g_assert_null(sp_image_load(f->dir, &error));
        g_assert_error(error, SP_ERROR, SP_ERROR_USAGE);
        g_assert_nonnull(strstr(error->message, values[i]));
        g_assert_nonnull(strstr(error->message, "mean nothing"));
    }
    write_file(f, "$HOME.img", f->disk->data, f->disk->len);
    assert_good(f, "[Image]\nArchitecture=x86_64\nDisk=$HOME.img\n");
    unlink(path);
}

/* Cut after each sector and at an odd byte: only the whole disk will do. */
static void test_truncated(Fixture *f, gconstpointer data)
{
    for (guint sectors = 0; sectors < SECTORS; sectors++) {
        write_file(f, "disk.img", f->disk->data, sectors * SECTOR);
        assert_bad(f, MINIMAL, "disk.img",
            sectors == 0   ? "is empty"
            : sectors == 1 ? "has a broken partition table"
                           : "is truncated");
    }
    write_file(f, "disk.img", f->disk->data, f->disk->len - 1);
    assert_bad(f, MINIMAL, "disk.img", "whole number of sectors");
}

static void test_broken_disks(Fixture *f, gconstpointer data)
{
    g_autofree guint8 *header = g_memdup2(f->disk->data + SECTOR, SECTOR);

    /* a table that is wiped, where a kernel is loaded too */
    memset(f->disk->data + SECTOR, 0, SECTOR);
    write_disk(f);
    assert_bad(f, WITH_KERNEL, "disk.img", "broken partition table");
    memcpy(f->disk->data + SECTOR, header, SECTOR);
    f->disk->data[SECTOR + 40] ^= 1; /* under the header's CRC */
    write_disk(f);
    assert_bad(f, MINIMAL, "disk.img", "broken partition table");
    memset(f->disk->data, 0, 2 * SECTOR);
    make_gpt(f->disk->data, 2); /* a hybrid MBR */
    f->disk->data[(SECTORS - 1) * SECTOR] ^= 1;
    write_disk(f);
    assert_bad(f, MINIMAL, "disk.img", "is truncated");
    f->disk->data[510] = 0;
    write_disk(f);
    assert_unfit(f, MINIMAL, "disk.img", "has no partition table");
    assert_unfit(f, MINIMAL "DiskFormat=qcow2\n", "disk.img", "is not a qcow2 image");
}

/* A header that claims to be longer than its sector, or nothing, or to have its copy far away. */
static void test_hostile_headers(Fixture *f, gconstpointer data)
{
    const guint64 lengths[] = {0, 91, 513, 0xffffffff};
    const guint64 backups[] = {SECTORS, G_MAXUINT64, G_MAXINT64 / SECTOR + 1, 0, 1};

    for (gsize i = 0; i < G_N_ELEMENTS(lengths); i++) {
        put_le(f->disk->data + SECTOR + 12, lengths[i], 4);
        write_disk(f);
        assert_bad(f, MINIMAL, "disk.img", "broken partition table");
    }
    /* the backup's, which is good, but not here */
    memcpy(f->disk->data + SECTOR, f->disk->data + (SECTORS - 1) * SECTOR, SECTOR);
    write_disk(f);
    assert_bad(f, MINIMAL, "disk.img", "broken partition table");
    for (gsize i = 0; i < G_N_ELEMENTS(backups); i++) {
        memset(f->disk->data + SECTOR, 0, SECTOR);
        put_gpt_header(f->disk->data, 1, backups[i]);
        write_disk(f);
        assert_bad(f, MINIMAL, "disk.img", "is truncated");
    }
}

static void test_missing_files(Fixture *f, gconstpointer data)
{
    g_autofree char *kernel = g_build_filename(f->dir, "vmlinuz", NULL);
    g_autofree char *initrd = g_build_filename(f->dir, "initrd.cpio", NULL);
    g_autofree char *disk = g_build_filename(f->dir, "disk.img", NULL);

    write_file(f, "initrd.cpio", "", 0);
    assert_bad(f, WITH_KERNEL, initrd, "is empty");
    unlink(kernel);
    assert_bad(f, WITH_KERNEL, kernel, "is missing");
    g_assert_cmpint(g_mkdir(kernel, 0700), ==, 0);
    assert_unfit(f, WITH_KERNEL, kernel, "is not a file");
    unlink(disk);
    assert_bad(f, MINIMAL, disk, "is missing");
    assert_unfit(f, "[Image]\nArchitecture=x86_64\nDisk=/dev/null\n", "/dev/null", "is not a file");
    assert_unfit(f, "[Image]\nArchitecture=x86_64\nDisk=.\n", f->dir, "is not a file");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, func) g_test_add("/image/" name, Fixture, NULL, set_up, func, tear_down)
    ADD("defaults", test_defaults);
    ADD("all-keys", test_all_keys);
    ADD("refused", test_refused);
    ADD("no-conf", test_no_conf);
    ADD("link", test_link);
    ADD("good-disks", test_good_disks);
    ADD("with-kernel", test_with_kernel);
    ADD("no-boot-code", test_no_boot_code);
    ADD("large-sectors", test_large_sectors);
    ADD("foreign", test_foreign);
    ADD("unexpanded", test_unexpanded);
    ADD("truncated", test_truncated);
    ADD("broken-disks", test_broken_disks);
    ADD("hostile-headers", test_hostile_headers);
    ADD("missing-files", test_missing_files);
    return g_test_run();
}
