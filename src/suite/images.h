/* SPDX-License-Identifier: MIT */
#pragma once

#include "qemu/image.h"

#include <glib.h>

#define SP_IMAGES_DEFAULT "build/images"
/** The directory of images: @option if given, else $SLOTPROOF_IMAGES, else the default. Free with
 * g_free(). */
char *sp_images_folder(const char *option);
/** The images below the folder @images, by name: an array of SpImage. One whose image.conf can't be
 * used is in it with its fault: it is in nobody's way who does not want it. */
GPtrArray *sp_images_load(const char *images, GError **error);
/**
 * The image @name out of @list, or the only one for NULL. A name with a slash is the path of an
 * image's folder: that one is loaded, and added to the list. Owned by the list. NULL with @error
 * also where it has a fault.
 */
SpImage *sp_images_find(GPtrArray *list, const char *name, GError **error);
