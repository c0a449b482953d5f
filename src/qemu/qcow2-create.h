/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>

/**
 * Write an empty qcow2 image (QEMU, docs/interop/qcow2.txt) into the empty file @fd. It is based on
 * the file @base, open as @base_fd, of the format @base_format ("raw" or "qcow2"), and has its
 * size. This is what "qemu-img create" does, without a process that takes longer to start than to
 * do it. SP_ERROR_HOST if @base_fd is no such image, or writing fails.
 */
bool sp_qcow2_create(int fd, const char *base, const char *base_format, int base_fd,
    GError **error) G_GNUC_WARN_UNUSED_RESULT;
