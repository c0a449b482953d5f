/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>

/**
 * For -accel, where a machine's instructions are translated. The translations take 192 MiB at most,
 * which is a boot's; QEMU then forgets all of them at once. Where it has room for more, it keeps
 * those of the system that was there before a reset until each is overwritten, and throws them away
 * one by one: 5 of 29 s of processor time.
 */
#define SP_ACCEL_TCG "tcg,thread=single,tb-size=192"

/**
 * The accelerator that QEMU is started with: KVM where it works, else TCG.
 */
typedef struct {
    char *name;         /* "kvm" or "tcg" */
    char *argument;     /* for -accel, e.g. SP_ACCEL_TCG */
    char *cpu;          /* for -cpu */
    char *reason;       /* why this one, a sentence */
    double time_factor; /* by which default time-outs are stretched; 1 for kvm */
} SpAccel;

/**
 * Find the accelerator for @qemu (path of a qemu-system-* of the host's architecture).
 *
 * Where /dev/kvm can be opened for writing, a tiny guest (some bytes of code that end QEMU by its
 * debug exit device or its reset) is run under it with a deadline of ten seconds: only one that
 * ends as it should makes it KVM; an abort, an error or a hang is TCG. How the guest ended is
 * remembered in @cache_dir (NULL: not) under a key of host boot id, kernel release and QEMU binary
 * (path, size, time), for an hour if it did not end in time: a busy host may do better later. That
 * QEMU could not be started or /dev/kvm could not be opened is not remembered. The environment
 * variable SLOTPROOF_ACCEL=kvm|tcg overrides; another value is SP_ERROR_USAGE.
 */
SpAccel *sp_accel_probe(const char *qemu, const char *cache_dir, GError **error);
void sp_accel_free(SpAccel *accel);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpAccel, sp_accel_free)

/** For tests: sp_accel_probe() with another path for /dev/kvm and another deadline, and without a
 * look at the environment. */
SpAccel *sp_accel_probe_device(
    const char *qemu, const char *device, const char *cache_dir, gint64 timeout_ms);
