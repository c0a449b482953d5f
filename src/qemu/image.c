/* SPDX-License-Identifier: MIT */
#include "qemu/image.h"

#include "base/error.h"
#include "base/keyfile.h"

static const SpKey image_keys[] = {
    {"Image", "Architecture"},
    {"Image", "Disk"},
    {"Image", "DiskFormat"},
    {"Image", "Kernel"},
    {"Image", "Initrd"},
    {"Image", "CommandLine"},
    {"Image", "VirtualTimeCommandLine"},
    {"Image", "BootSnapshot"},
    {"Image", "Memory"},
    {"Image", "CPUs"},
    {"Image", "Agent"},
    {"Image", "Watchdog"},
    {"Build", "Command"},
    {NULL, NULL},
};

static bool read_agent(SpImage *image, SpKeyFile *file, GError **error)
{
    g_autofree char *agent = sp_key_file_string(file, "Image", "Agent");

    image->has_agent = !agent || g_str_equal(agent, "virtio-serial");
    if (image->has_agent || g_str_equal(agent, "none"))
        return true;
    return sp_key_file_refuse(file, "Image", "Agent", "'virtio-serial' or 'none'", error);
}

static bool read_boot_snapshot(SpImage *image, SpKeyFile *file, GError **error)
{
    g_autofree char *text = sp_key_file_string(file, "Image", "BootSnapshot");

    image->has_boot_snapshot = g_strcmp0(text, "yes") == 0;
    if (text && !image->has_boot_snapshot && !g_str_equal(text, "no"))
        return sp_key_file_refuse(file, "Image", "BootSnapshot", "'yes' or 'no'", error);
    if (!image->has_boot_snapshot || image->kernel)
        return true;
    return sp_key_file_refuse(
        file, "Image", "BootSnapshot", "this key only beside 'Kernel'", error);
}

static bool read_disk_format(SpImage *image, SpKeyFile *file, GError **error)
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
    if (!sp_key_file_path(file, "Image", "Disk", image->dir, &image->disk, error) ||
        !sp_key_file_path(file, "Image", "Kernel", image->dir, &image->kernel, error) ||
        !sp_key_file_path(file, "Image", "Initrd", image->dir, &image->initrd, error))
        return false;
    if (!image->disk)
        return sp_key_file_refuse(file, "Image", "Disk", "the path of a disk image", error);
    image->command_line = sp_key_file_string(file, "Image", "CommandLine");
    image->virtual_time_command_line = sp_key_file_string(file, "Image", "VirtualTimeCommandLine");
    image->watchdog = sp_key_file_string(file, "Image", "Watchdog");
    if (!image->kernel && (image->initrd || image->command_line))
        return sp_key_file_refuse(file, "Image", image->initrd ? "Initrd" : "CommandLine",
            "this key only beside 'Kernel'", error);
    if (!sp_key_file_size_mib(file, "Image", "Memory", 512, &image->memory_mib, error) ||
        !sp_key_file_uint(file, "Image", "CPUs", 1, 1, 255, &image->cpus, error) ||
        !read_agent(image, file, error) || !read_disk_format(image, file, error) ||
        !read_boot_snapshot(image, file, error))
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
    if (g_str_equal(image->disk_format, "qcow2"))
        (void)!sp_qcow2_backing(image->disk, &image->backing, NULL);
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
    sp_backing_clear(&image->backing);
    g_free(image->kernel);
    g_free(image->initrd);
    g_free(image->command_line);
    g_free(image->virtual_time_command_line);
    g_free(image->watchdog);
    g_strfreev(image->build_command);
    g_clear_error(&image->fault);
    g_free(image);
}
