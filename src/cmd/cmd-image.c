/* SPDX-License-Identifier: MIT */
#include "cmd/cmd-options.h"
#include "cmd/commands.h"

#include <gio/gio.h>
#include <stdio.h>
#include <sys/stat.h>

/* Bring the image's files up to date; the output goes where ours goes. */
static bool build_image(const SpImage *image, GError **error)
{
    g_autoptr(GSubprocessLauncher) launcher = g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_NONE);
    g_autoptr(GSubprocess) process = NULL;

    g_subprocess_launcher_set_cwd(launcher, image->dir);
    process =
        g_subprocess_launcher_spawnv(launcher, (const char *const *)image->build_command, error);
    if (!process || !g_subprocess_wait_check(process, NULL, error)) {
        g_prefix_error(
            error, "image '%s' could not be built by '%s': ", image->name, image->build_command[0]);
        return false;
    }
    return true;
}

static void print_image(const SpImage *image)
{
    struct stat st;
    g_autofree char *size = NULL;

    if (stat(image->disk, &st) == 0)
        size = g_format_size_full((guint64)st.st_size, G_FORMAT_SIZE_IEC_UNITS);
    printf("%-16s %s, %s, %u MiB, %u CPUs: %s\n", image->name, image->architecture,
        size ? size : "?", image->memory_mib, image->cpus, image->disk);
}

/* Returns the exit status for one image. A fault is printed, and does not keep the others from
 * being looked at. */
static int use_image(GPtrArray *images, const char *name, bool is_built)
{
    g_autoptr(GError) error = NULL;
    const SpImage *image = sp_images_find(images, name, &error);

    if (!image || (is_built && image->build_command && !build_image(image, &error)) ||
        !sp_image_check(image, &error))
        return sp_usage_error("%s", error->message);
    print_image(image);
    (void)fflush(stdout);
    return 0;
}

int sp_cmd_image(int argc, char **argv)
{
    g_autofree char *images_option = NULL;
    gboolean check_only = FALSE;
    const GOptionEntry options[] = {
        SP_OPTION_IMAGES(&images_option),
        {"check", 'c', 0, G_OPTION_ARG_NONE, &check_only, "Do not build images, only check them",
            NULL},
        G_OPTION_ENTRY_NULL,
    };
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) images = NULL;
    g_autofree char *dir = NULL;
    int status = 0;
    guint count;

    if (!sp_parse_options(&argc, &argv, "slotproof image", "[NAME...]",
            "Build what is out of date in the named images, or in all; check and list them.",
            options))
        return 2;
    dir = sp_images_dir(images_option);
    images = sp_images_load(dir, &error);
    if (!images)
        return sp_usage_error("%s", error->message);
    count = images->len;
    for (int i = 1; i < argc; i++)
        status = MAX(status, use_image(images, argv[i], !check_only));
    for (guint i = 0; i < count && argc < 2; i++) {
        const SpImage *image = g_ptr_array_index(images, i);

        status = MAX(status, use_image(images, image->name, !check_only));
    }
    return status;
}
