/* SPDX-License-Identifier: MIT */
#pragma once

#include "lib/boot-state.h"

/**
 * Load the kernel of @slot for kexec from its boot partition, mounted at @folder: "vmlinux.lz4" (an
 * ELF kernel in an LZ4 frame, which is started fastest) or else "vmlinuz" (as distributions have
 * it); "initrd.img"; and if there is one, "cmdline" with more arguments in one line.
 *
 * @own is the selector's own command line, @note what the slot's system is told; see
 * cmdline_build(). Returns 0, or a negative errno with *@ret_what set to what failed (a constant).
 */
int slot_kernel_load(const char *folder, const char *own, enum sp_slot slot, const char *note,
    const char **ret_what);
