/* SPDX-License-Identifier: MIT */
#pragma once

#include "appliance/boot/boot-state.h"

/**
 * Load the kernel of @slot for kexec from its boot partition, which is mounted at @directory. The
 * files there are "vmlinux.lz4" (an ELF kernel in an LZ4 frame, loaded by kexec_load(), which
 * starts fastest; x86-64 only) or else "vmlinuz" (as distributions pack it, loaded by
 * kexec_file_load()); "initrd.img"; and optionally "cmdline", one line of further arguments.
 *
 * @own is the selector's own command line, @note a message to the slot's system; see
 * cmdline_build(). Returns 0, or a negative errno with *@ret_what set to what failed: @directory or
 * a constant.
 */
int slot_kernel_load(const char *directory, const char *own, enum sp_slot slot, const char *note,
    const char **ret_what);
