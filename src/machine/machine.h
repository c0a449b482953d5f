/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/log.h"
#include "base/wait.h"
#include "network/switch.h"
#include "qemu/accel.h"
#include "qemu/command.h"
#include "qemu/image.h"

#include <glib.h>
#include <stdbool.h>

/**
 * One virtual machine of a test: QEMU as a child process, its disk overlay, consoles and agent.
 * This header has its life; what else it can do is declared by subject in machine-*.h.
 *
 * The overlay lives from sp_machine_new() to sp_machine_free(): a machine that crashed or shut down
 * finds its disk as it was left when it is started again. Everything that belongs to a machine
 * (overlay, sockets) is held by descriptors only, so nothing is left behind when the process dies,
 * however it does.
 *
 * All calls block, turning the default main context meanwhile, and are for the main thread. Calls
 * that talk to the guest first wait until the agent answers. Each fails at once with
 * SP_ERROR_MACHINE when the guest panics or oopses, QEMU dies, or the agent is lost. Times are in
 * milliseconds of the host's clock; a negative one is the default time-out unless noted otherwise.
 * Messages of errors begin with "machine 'NAME': ".
 *
 * A machine with virtual time counts instructions for a clock (QEMU's -icount, with sleep=off): its
 * time stands still while QEMU does, and skips what the guest sleeps. It runs under TCG on one
 * thread, whatever the accelerator, and must not exchange packets with another machine.
 */
typedef struct SpMachine SpMachine;

/** 900 s as in the NixOS test driver; longer without hardware virtualisation. */
#define SP_DEFAULT_TIMEOUT_MS 900000
#define SP_NO_TIMEOUT (-2)
#define SP_MACHINE_NICS_MAX 8u

/** What a machine is made from. Nothing is owned, and what isn't copied outlives the machine. */
typedef struct {
    const char *name; /* the test's choice; copied */
    const SpImage *image;
    const SpAccel *accel;
    const char *disk; /* a raw file in place of the image's disk; NULL: none. Copied */
    guint cpus;       /* 0: the image's default */
    guint memory_mib; /* 0: the image's default */
    SpSwitch *networks[SP_MACHINE_NICS_MAX]; /* of each network card */
    guint nics;
    bool has_virtual_time; /* an idle guest jumps to its next timer: see above */
    const char *kept_disk; /* the file that keeps its disk (qemu/overlay.h); NULL: none. Copied */
    guint64 seed;          /* decides MAC addresses and the like, unique within a run */
    const char *out_dir;   /* existing directory for console logs and files copied out; copied */
    SpLog *log;            /* may be NULL */
    SpInterrupt interrupt;
} SpMachineConfig;

/** The part of @config that QEMU is started with. Valid as long as @config. */
static inline SpQemuConfig sp_machine_qemu_config(const SpMachineConfig *config)
{
    return (SpQemuConfig){
        .name = config->name,
        .image = config->image,
        .accel = config->accel,
        .disk = config->disk,
        .cpus = config->cpus,
        .memory_mib = config->memory_mib,
        .nics = config->nics,
        .has_virtual_time = config->has_virtual_time,
        .seed = config->seed,
    };
}

SpMachine *sp_machine_new(const SpMachineConfig *config, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** Kills QEMU if it runs, and waits until it is gone. Accepts NULL. */
void sp_machine_free(SpMachine *machine);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpMachine, sp_machine_free)

const char *sp_machine_name(SpMachine *machine);
/** What it was made from, with the image's defaults filled in. Lives as long as @machine. */
const SpMachineConfig *sp_machine_config(SpMachine *machine);
/** The image's directory. */
const char *sp_machine_image_dir(SpMachine *machine);
const char *sp_machine_out_dir(SpMachine *machine);
/** The factor by which default time-outs are stretched on this machine's accelerator; at least 1.
 */
double sp_machine_time_factor(SpMachine *machine);
bool sp_machine_is_up(SpMachine *machine);
/** The process ID of its QEMU; 0 while it is off. */
int sp_machine_pid(SpMachine *machine);
/** Whether the console's last lines are in the message of an @error of a call of these headers. */
bool sp_machine_error_shows_console(const GError *error);

/** Start QEMU. Does nothing if it is already running. Returns once QMP answers, not when the guest
 * is up. */
bool sp_machine_start(
    SpMachine *machine, bool allow_reboot, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** Ask the guest to power off (by the agent, else by ACPI), and wait until QEMU has ended. */
bool sp_machine_shutdown(
    SpMachine *machine, gint64 timeout_ms, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** Wait until QEMU has ended by itself. @timeout_ms: negative for no time-out. */
bool sp_machine_wait_for_shutdown(
    SpMachine *machine, gint64 timeout_ms, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** Cut the power: QEMU is killed at once, and what the guest had not flushed is lost. */
bool sp_machine_crash(SpMachine *machine, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** Have the guest reboot in an orderly way; returns when it has left its old boot. */
bool sp_machine_reboot(
    SpMachine *machine, gint64 timeout_ms, GError **error) G_GNUC_WARN_UNUSED_RESULT;
