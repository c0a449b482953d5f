/* SPDX-License-Identifier: MIT */
#include "suite/images.h"

#include "base/error.h"

#include <string.h>

char *sp_images_dir(const char *option)
{
    const char *variable = g_getenv("SLOTPROOF_IMAGES");

    if (option)
        return g_strdup(option);
    return g_strdup(variable && *variable ? variable : SP_IMAGES_DEFAULT);
}

static int compare_images(const void *a, const void *b)
{
    return strcmp((*(SpImage *const *)a)->name, (*(SpImage *const *)b)->name);
}

/* Stands for an image that can't be loaded. Takes @fault. */
static SpImage *new_faulty_image(const char *dir, GError *fault)
{
    SpImage *image = g_new0(SpImage, 1);

    image->dir = g_canonicalize_filename(dir, NULL);
    image->name = g_path_get_basename(image->dir);
    image->fault = fault;
    return image;
}

GPtrArray *sp_images_load(const char *images, GError **error)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func((GDestroyNotify)sp_image_free);
    g_autoptr(GError) local = NULL;
    g_autoptr(GDir) dir = g_dir_open(images, 0, &local);
    const char *name;

    if (!dir) {
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
            "no images: %s (build them with './run', or name the directory with --images)",
            local->message);
        return NULL;
    }
    while ((name = g_dir_read_name(dir))) {
        g_autofree char *image_dir = g_build_filename(images, name, NULL);
        g_autofree char *path = g_build_filename(image_dir, "image.conf", NULL);
        GError *fault = NULL;
        SpImage *image;

        if (!g_file_test(path, G_FILE_TEST_EXISTS))
            continue;
        image = sp_image_load(image_dir, &fault);
        g_ptr_array_add(list, image ? image : new_faulty_image(image_dir, fault));
    }
    if (list->len == 0) {
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
            "there is no image in '%s': expected a directory with an image.conf", images);
        return NULL;
    }
    g_ptr_array_sort(list, compare_images);
    return g_steal_pointer(&list);
}

/* An image named by its path, which is loaded once. */
static SpImage *find_by_path(GPtrArray *list, const char *path, GError **error)
{
    g_autofree char *dir = g_canonicalize_filename(path, NULL);
    SpImage *image;

    for (guint i = 0; i < list->len; i++) {
        image = g_ptr_array_index(list, i);
        if (image->is_by_path && g_str_equal(image->dir, dir))
            return image;
    }
    image = sp_image_load(path, error);
    if (!image)
        return NULL;
    image->is_by_path = true;
    g_ptr_array_add(list, image);
    return image;
}

static SpImage *check_fault(SpImage *image, GError **error)
{
    if (!image->fault)
        return image;
    g_propagate_error(error, g_error_copy(image->fault));
    return NULL;
}

SpImage *sp_images_find(GPtrArray *list, const char *name, GError **error)
{
    GString *known;

    if (name && strchr(name, '/'))
        return find_by_path(list, name, error);
    known = g_string_new(NULL);
    for (guint i = 0; i < list->len; i++) {
        SpImage *image = g_ptr_array_index(list, i);
        if (name ? g_str_equal(image->name, name) : list->len == 1) {
            g_string_free(known, TRUE);
            return check_fault(image, error);
        }
        g_string_append_printf(known, "%s%s", i > 0 ? ", " : "", image->name);
    }
    if (name)
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE, "there is no image '%s': expected one of %s",
            name, known->str);
    else
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
            "Image= is missing in test.conf, and there are several images: expected one of %s",
            known->str);
    g_string_free(known, TRUE);
    return NULL;
}
