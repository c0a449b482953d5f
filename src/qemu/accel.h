/* SPDX-License-Identifier: MIT */
#pragma once

#include "qemu/board.h"

#include <glib.h>

/**
 * For -accel under TCG, which translates a machine's instructions. The translations take 192 MiB at
 * most, which is what a boot needs; then QEMU drops all of them at once. With more space it keeps
 * those of the system that ran before a reset until each is overwritten, and evicts them one by
 * one, which takes 5 of 29 s of processor time.
 */
#define SP_ACCEL_TCG "tcg,thread=single,tb-size=192"

/**
 * The accelerator that QEMU is started with: KVM if it works, else TCG.
 */
typedef struct {
    const char *name;     /* "kvm" or "tcg" */
    const char *argument; /* for -accel, e.g. SP_ACCEL_TCG */
    double time_factor;   /* by which default time-outs are stretched; 1 for kvm */
    char *reason;         /* why this one, a sentence */
} SpAccel;

/**
 * Detect the accelerator for machines of @board that @qemu, the path of its program, runs.
 *
 * If /dev/kvm can be opened for writing, the board's tiny guest is run under it with a deadline of
 * ten seconds. KVM is chosen only if that ends as it should, and TCG if it aborts, fails or hangs.
 * The result is remembered in @cache_dir (NULL: not remembered) under a key of the host's boot ID,
 * the kernel's release and the QEMU binary (path, size, time); for an hour only if the guest did
 * not end in time, since a busy host may do better later. Not remembered is that QEMU could not be
 * started or /dev/kvm could not be opened. The environment variable SLOTPROOF_ACCEL=kvm|tcg
 * overrides all this; SP_ERROR_USAGE if it has another value.
 */
SpAccel *sp_accel_detect(const SpBoard *board, const char *qemu, const char *cache_dir,
    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** Accepts NULL. */
void sp_accel_free(SpAccel *accel);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpAccel, sp_accel_free)

/** The CPU model of @board under @accel, for -cpu. Static. */
const char *sp_accel_cpu(const SpAccel *accel, const SpBoard *board);

/** For tests: sp_accel_detect() with another path for /dev/kvm and another deadline, ignoring the
 * environment. */
SpAccel *sp_accel_detect_device(const SpBoard *board, const char *qemu, const char *device,
    const char *cache_dir, gint64 timeout_ms);
