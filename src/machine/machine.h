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
 * One virtual machine of a test: QEMU as a child, its disk overlay, consoles and agent.
 *
 * The overlay lives from sp_machine_new() to sp_machine_free(): a machine that crashed or shut down
 * and is started again finds its disk as it was left. Everything that belongs to a machine
 * (overlay, sockets) is held by descriptors only, so that nothing is left when the process dies,
 * however it does.
 *
 * All calls block, turning the default main context meanwhile, and are for the main thread. Calls
 * that talk to the guest wait first until the agent answers. Each ends at once with
 * SP_ERROR_MACHINE, and the console's tail in the message, when the guest panics or oopses, QEMU
 * dies, or the agent is lost. Times are in milliseconds of the host's clock; a negative one is
 * SP_DEFAULT_TIMEOUT where not said otherwise.
 *
 * A machine with virtual time counts instructions for a clock (QEMU's -icount, with sleep=off): its
 * time stands still while the host looks away, and leaps over what the guest sleeps. It runs under
 * TCG on one thread, whatever the accelerator, and must not exchange packets with another machine.
 */
typedef struct SpMachine SpMachine;

/** 900 s as in the NixOS test driver, stretched without hardware virtualisation. */
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

SpMachine *sp_machine_new(const SpMachineConfig *config, GError **error);
/** Kills QEMU if it runs, and waits until it is gone. NULL is fine. */
void sp_machine_free(SpMachine *machine);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpMachine, sp_machine_free)

const char *sp_machine_name(SpMachine *machine);
/** What it was made from, with the image's defaults filled in. Lives as long as @machine. */
const SpMachineConfig *sp_machine_config(SpMachine *machine);
bool sp_machine_is_up(SpMachine *machine);
/** The process of its QEMU; 0 while it is off. */
int sp_machine_pid(SpMachine *machine);
/** Whether the guest could be given a command at this moment, as far as is known: one that hangs
 * may not have been found out yet. */
bool sp_machine_answers(SpMachine *machine);
const char *sp_machine_out_dir(SpMachine *machine);
/** The factor by which default time-outs are stretched on this machine's accelerator; at least 1.
 */
double sp_machine_time_factor(SpMachine *machine);

/** Start QEMU; nothing where it runs already. Returns once QMP answers, not when the guest is up.
 */
bool sp_machine_start(SpMachine *machine, bool allow_reboot, GError **error);
/**
 * Start it if need be and wait for the agent. While nothing is heard of the machine for long, that
 * is said in the log; SP_ERROR_TIMEOUT says what was seen last.
 */
bool sp_machine_connect(SpMachine *machine, gint64 timeout_ms, GError **error);
/** The guest is about to leave its boot, or has left it: nobody gets in contact with it before it
 * answers in another boot than that of the last contact. */
void sp_machine_expect_boot(SpMachine *machine);
/** Whether sp_machine_connect() would return at once. */
bool sp_machine_is_connected(SpMachine *machine);
/** Wait until it answers in another boot than that of the last contact, whatever starts that. */
bool sp_machine_wait_for_boot(SpMachine *machine, gint64 timeout_ms, GError **error);
/** The boot of the last contact, as in the guest's /proc/sys/kernel/random/boot_id; "" for none.
 * Free with g_free(). */
char *sp_machine_boot_id(SpMachine *machine);
/** Ask the guest to power off (agent, else ACPI), and wait until QEMU has ended. */
bool sp_machine_shutdown(SpMachine *machine, gint64 timeout_ms, GError **error);
/** Cut the power: QEMU is killed on the spot, what the guest had not flushed is lost. */
bool sp_machine_crash(SpMachine *machine, GError **error);
/** Have the guest reboot in an orderly way, and return when it has left its old boot. */
bool sp_machine_reboot(SpMachine *machine, gint64 timeout_ms, GError **error);
/**
 * Have systemd leave the initramfs for the real root, and wait for the agent there. An agent has to
 * run in the initramfs as well; there it is that initrd.target is waited for.
 */
bool sp_machine_switch_root(SpMachine *machine, gint64 timeout_ms, GError **error);
/** Wait until QEMU has ended by itself. @timeout_ms: negative for none. */
bool sp_machine_wait_for_shutdown(SpMachine *machine, gint64 timeout_ms, GError **error);

typedef struct {
    int status;      /* exit status; 128 + signal number if killed by one; 124 on time-out */
    GString *output; /* stdout, as bytes; NULL if not asked for */
    GString *errors; /* stderr, as bytes */
    bool timed_out;  /* it was killed for that, and @status says nothing */
} SpCommandResult;
void sp_command_result_clear(SpCommandResult *result);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(SpCommandResult, sp_command_result_clear)

/**
 * Run @command by the guest's shell with errexit, nounset and pipefail, as root.
 *
 * At the end of @timeout_ms (SP_NO_TIMEOUT: none) the command is killed and its status is 124; that
 * is no error here. It counts from the call: where the guest takes no commands by then, that is
 * SP_ERROR_TIMEOUT (with SP_NO_TIMEOUT after the default time).
 */
bool sp_machine_execute(SpMachine *machine, const char *command, gint64 timeout_ms,
    SpCommandResult *ret_result, GError **error);
/** Start @command in the guest and return without waiting for its end. */
bool sp_machine_execute_detached(
    SpMachine *machine, const char *command, gint64 timeout_ms, GError **error);

/** SP_ERROR_ASSERTION if the unit failed, or is inactive and no job is pending. */
bool sp_machine_wait_for_unit(
    SpMachine *machine, const char *unit, gint64 timeout_ms, GError **error);
bool sp_machine_wait_for_file(
    SpMachine *machine, const char *path, gint64 timeout_ms, GError **error);
/** Wait until @open is what a TCP connection to @address finds, seen from inside the guest. */
bool sp_machine_wait_for_port(SpMachine *machine, const char *address, guint port, bool open,
    gint64 timeout_ms, GError **error);
/** Wait until the guest's socket @path, of datagrams or of a stream, takes a connection. */
bool sp_machine_wait_for_unix_socket(
    SpMachine *machine, const char *path, bool is_datagram, gint64 timeout_ms, GError **error);
/**
 * Wait for a line of the console, from the last start or reset on, that matches behind what an
 * earlier wait matched. This one's match, and all before it, is then read; where it fails nothing
 * is. @timeout_ms negative for none.
 */
bool sp_machine_wait_for_console_text(
    SpMachine *machine, const char *regex, gint64 timeout_ms, GError **error);

/**
 * Write what the machine's screen shows as a PNG file at the host's @path. SP_ERROR_USAGE where
 * QEMU can't (before 7.1, or built without libpng).
 */
bool sp_machine_screenshot(SpMachine *machine, const char *path, GError **error);
/**
 * The text on the screen as a program reads it (machine/ocr.h), in as many ways as @variants says,
 * at most SP_OCR_VARIANTS: NULL-terminated, the most likely one first.
 */
char **sp_machine_screen_text(SpMachine *machine, guint variants, GError **error);
/** Wait until one of these matches @regex. Looks again and again, since a screen has no event. */
bool sp_machine_wait_for_text(
    SpMachine *machine, const char *regex, gint64 timeout_ms, GError **error);

/**
 * Press a key: a character, or keys of QEMU's names (QMP reference, "QKeyCode") joined by '-' for
 * pressing them together. Returns when they are up again. SP_ERROR_USAGE for what is no key.
 */
bool sp_machine_send_key(SpMachine *machine, const char *key, GError **error);
/** Type UTF-8 @text, waiting @delay_ms behind each key. SP_ERROR_USAGE, with nothing typed, for
 * what is not on a US keyboard. */
bool sp_machine_send_chars(SpMachine *machine, const char *text, gint64 delay_ms, GError **error);
/** Send bytes to the serial console, as if typed there. */
bool sp_machine_send_console(SpMachine *machine, const guint8 *data, gsize length, GError **error);

/**
 * Hand the user's terminal, which is both @input_fd and @output_fd, to a login shell in the guest;
 * returns when that has ended or the user has left it with Ctrl-]. SP_ERROR_USAGE where it is no
 * terminal.
 */
bool sp_machine_shell_interact(SpMachine *machine, int input_fd, int output_fd, GError **error);
/** The same for the serial console, until it is left or QEMU has ended. */
bool sp_machine_console_interact(SpMachine *machine, int input_fd, int output_fd, GError **error);

/** Copy the host's file or folder to @target in the guest; a folder's target is the new folder. */
bool sp_machine_copy_from_host(
    SpMachine *machine, const char *source, const char *target, GError **error);
/** Copy the guest's file or folder into @target_dir below the machine's out_dir ("" for itself). */
bool sp_machine_copy_from_machine(
    SpMachine *machine, const char *source, const char *target_dir, GError **error);

/**
 * Have QEMU execute @command of QMP, with @arguments, the text of a JSON object (NULL: none).
 * @ret_answer is given what it returned, as JSON. SP_ERROR_GUEST with QEMU's own words if it
 * refused; SP_ERROR_USAGE for arguments that are no JSON object.
 */
bool sp_machine_qmp(SpMachine *machine, const char *command, const char *arguments,
    char **ret_answer, GError **error);
/**
 * What QEMU's last refusal was, since the machine's start: the class of the error and QEMU's own
 * words, which live until the next command. False if there was none.
 */
bool sp_machine_qmp_refusal(
    SpMachine *machine, const char **ret_class, const char **ret_description);
/**
 * Take the first event of this name that QEMU has sent since the last start and that was not taken
 * yet, waiting for one if there is none. @ret_data is given its data, as JSON ("{}" for none).
 * @event NULL is any; then @ret_data is an object with `event`, its name, and `data`.
 */
bool sp_machine_wait_for_event(
    SpMachine *machine, const char *event, gint64 timeout_ms, char **ret_data, GError **error);

/**
 * Keep memory, devices and disk of the running machine under @name, in place of what had that name.
 * Snapshots live as long as the machine object does, over power cuts as well.
 */
bool sp_machine_save_snapshot(SpMachine *machine, const char *name, GError **error);
/**
 * Go on from a snapshot; a machine that is off is switched on for it. The guest goes on where it
 * was, and knows nothing of the time between: its clock stands as it did.
 */
bool sp_machine_load_snapshot(SpMachine *machine, const char *name, GError **error);
/**
 * Keep the disk alone of the running machine under @name: what the guest has written to it at one
 * instant, and none of its caches. The guest does not notice.
 */
bool sp_machine_save_disk_snapshot(SpMachine *machine, const char *name, GError **error);
/**
 * Give a machine that is off the disk that it had at a snapshot, of either kind, as if power had
 * failed just then. It stays off. SP_ERROR_USAGE where it is on, or has no such snapshot.
 */
bool sp_machine_load_disk_snapshot(SpMachine *machine, const char *name, GError **error);

/**
 * Take the link of the card on the network of that name away, or of all cards (NULL), or give it
 * back, as the guest sees it too. Holds for the running machine. SP_ERROR_USAGE where the machine
 * has no card on that network.
 */
bool sp_machine_set_links(SpMachine *machine, const char *network, bool are_up, GError **error);
/**
 * From now on, over power cuts as well, @loss (0 to 1) of the frames each way between the card on
 * the network of that name and the switch are lost, and those to the machine take @delay_ms more.
 * SP_ERROR_USAGE as above.
 */
bool sp_machine_set_cable(
    SpMachine *machine, const char *network, double loss, guint delay_ms, GError **error);

/**
 * Have connections to @host_port of the host's 127.0.0.1 (0: any that is free, told in @ret_port)
 * reach TCP port @guest_port of the guest's localhost, until the machine is freed: whenever it runs
 * and its agent answers. SP_ERROR_USAGE where the port is in use, or the image has no agent.
 */
bool sp_machine_forward_port(
    SpMachine *machine, guint host_port, guint guest_port, guint *ret_port, GError **error);

/** The bytes that the guest has written to its disk since the last start. */
bool sp_machine_disk_written(SpMachine *machine, guint64 *ret_bytes, GError **error);
/** Wait until these are at least @bytes. Asks QEMU again and again, since it tells of no such
 * thing: the nearer it is the more often. */
bool sp_machine_wait_for_disk_written(
    SpMachine *machine, guint64 bytes, gint64 timeout_ms, GError **error);

/**
 * @size bytes of the running machine's disk from @offset on, as they are now: what the guest has in
 * its caches is not among them. SP_ERROR_USAGE where the disk ends before.
 */
GBytes *sp_machine_read_disk(SpMachine *machine, guint64 offset, gsize size, GError **error);

/**
 * Write the machine's disk as it is now to @path, as a qcow2 file on the image's disk. The machine
 * is ended for it: by QEMU itself, so that nothing is missing that the guest has written. False
 * with SP_ERROR_USAGE where the machine was never started.
 */
bool sp_machine_keep_disk(SpMachine *machine, const char *path, GError **error);

/**
 * Record what the running machine writes to its disk from now on, over resets too, into the new
 * folder @folder below its out_dir:
 *
 *   disk.raw    the disk as it is now, sparse; it is flushed, so that all of it counts as durable
 *   writes.log  each write, discard and flush since, in the order in which they ended: a log of
 *               QEMU's blklogwrites, whose last entries are not lost for want of a flush
 *   marks.json  what sp_machine_mark_recording() noted
 *
 * What the guest has only in its caches comes as writes. The recording ends with
 * sp_machine_stop_recording() or with QEMU, and does not go on at the next start; a snapshot can't
 * be loaded during it. A write that was under way when a flush was asked for may stand before it,
 * although the disk need not have flushed it: a guest that waits for its writes first, as Linux
 * does, is not told apart from one that does not.
 */
bool sp_machine_record_disk(SpMachine *machine, const char *folder, GError **error);
/**
 * Note @name in the recording. @ret_entries is how many entries it has: all that the guest knows to
 * have been written or flushed is among them.
 */
bool sp_machine_mark_recording(
    SpMachine *machine, const char *name, guint64 *ret_entries, GError **error);
/** End it. What the guest wrote up to now is in the log, flushed or not. Fine after a power cut. */
bool sp_machine_stop_recording(SpMachine *machine, GError **error);

/** The console's last @lines lines. */
char *sp_machine_console_tail(SpMachine *machine, guint lines);
/** What the console said since the last start, its last lines where that is very long. */
char *sp_machine_console_log(SpMachine *machine);
/** The image's folder. */
const char *sp_machine_image_dir(SpMachine *machine);
