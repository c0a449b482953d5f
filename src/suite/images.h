/* SPDX-License-Identifier: MIT */
#pragma once

#include "qemu/image.h"

#include <glib.h>

#define SP_IMAGES_DEFAULT "build/images"
/** The directory of images: @option if given, else $SLOTPROOF_IMAGES, else the default. Free with
 * g_free(). */
char *sp_images_dir(const char *option);
/** The images in the directory @images, sorted by name: an array of SpImage. An image whose
 * image.conf is invalid is included with its fault, which matters only to those who want it. */
GPtrArray *sp_images_load(const char *images, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/**
 * The image @name in @list, or the only one if @name is NULL. A name with a slash is the path of an
 * image's directory, which is loaded and added to the list. Owned by the list. An image with a
 * fault is an error.
 */
SpImage *sp_images_find(
    GPtrArray *list, const char *name, GError **error) G_GNUC_WARN_UNUSED_RESULT;
