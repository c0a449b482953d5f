/* SPDX-License-Identifier: MIT */
#pragma once

/* What the files of the machine share. Each has one subject, named at its top; machine.c has the
 * life of a machine, machine-error.c how its errors are explained, machine-command.c the calls of
 * QMP. */

#include "agent/agent-client.h"
#include "agent/forward.h"
#include "base/process.h"
#include "machine/machine.h"
#include "qemu/console.h"
#include "qemu/overlay.h"
#include "qemu/qmp.h"

typedef struct {
    double loss;
    guint delay_ms;
    bool is_pulled; /* from this QEMU's card */
} SpCable;

typedef struct SpBootSnapshot SpBootSnapshot;
typedef struct SpRecording SpRecording;

struct SpMachine {
    SpMachineConfig config; /* its strings are in config_strings */
    GStringChunk *config_strings;
    char *program;
    SpOverlay *overlay;            /* made at the first start */
    bool is_incoming;              /* memory and devices are about to be loaded */
    bool has_template;             /* devices alone: memory is in a file */
    int memory_fd;                 /* the file that is its memory (memory-file.h); -1: none */
    bool memory_is_own;            /* it is of a checkpoint that is being made */
    char *memory_path;             /* of what is or was that file; NULL: none */
    bool stops_at_first_read;      /* its boot snapshot is being made */
    SpBootSnapshot *boot_snapshot; /* that it continues from; NULL: it boots in full */
    bool has_snapshot_job;         /* QEMU saves or loads */
    SpConsole *console;
    SpCable cables[SP_MACHINE_NICS_MAX];
    GPtrArray *forwards;    /* of SpForward */
    SpRecording *recording; /* of its disk; NULL: none */
    guint64 log_line;       /* the console's first line since the last start */
    SpProcess *qemu;        /* these five only while it runs */
    SpQmp *qmp;
    SpAgent *agent;                     /* NULL also if the image has none */
    SpPort *ports[SP_MACHINE_NICS_MAX]; /* on the networks */
    GHashTable *snapshots;              /* name of each: SnapshotKind of machine-snapshot.c */
    guint jobs;                         /* begun with QEMU, for their names */
    guint resets;                       /* of the guest since the start */
    guint8 boot_id[SP_BOOT_ID_SIZE];    /* of the last contact's boot */
    bool has_contact;                   /* there was one */
    bool awaits_boot;                   /* the next one is to be in another boot */
    guint boots;                        /* in which there was contact */
    gint64 heard_us;                    /* when its console last showed a line */
    char *last_line;                    /* that one, since the last start or reset; NULL: none */
    bool has_kernel;                    /* one since then was a kernel's */
    guint agent_losses;                 /* how often the agent closed its port */
    char *shutdown_reason;              /* QEMU's word for why it ends, once it does */
    char *host_failure; /* why the guest can't go on, where that is the host's fault */
    gint64 boot_begin;  /* when the last start or reset was */
    char *fatal;        /* the line by which the kernel gave up; until the next reset */
    gint64 fatal_since;
    char *suspected;   /* a panic's line that the agent may refute */
    SpChannel *probe;  /* what is asked of it */
    guint probe_timer; /* looks at the answer */
};

/** The guest's boot is over; what was known of it is dropped. @why is for calls that wait for its
 * agent. */
void sp_machine_forget_boot(SpMachine *machine, const char *why);

/** Look at a new @line of the console. Sets machine->fatal if it means that the kernel failed,
 * unless an agent that answers proves that it did not. */
void sp_machine_look_for_panic(SpMachine *machine, const char *line);
/** Forget earlier lines about panics. */
void sp_machine_forget_panic(SpMachine *machine);

/*
 * Errors: the functions declared here set errors that don't name the machine ("is not running"),
 * and each public function passes its own through sp_machine_report(), once.
 */

/**
 * What each public function ends with: propagates its error @local (taken; NULL if it succeeded) to
 * @error, with the machine's name in front and, if sp_machine_error_shows_console(), the console's
 * last lines behind. Returns whether @local is NULL. An interrupt stays as it is.
 */
bool sp_machine_report(SpMachine *machine, GError *local, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** Why QEMU has ended, as a sentence. Free with g_free(). */
char *sp_machine_describe_end(SpMachine *machine);

/** Start the machine if it is off, as sp_machine_start(). */
bool sp_machine_switch_on(
    SpMachine *machine, bool allow_reboot, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** The two halves of this: start QEMU, */
bool sp_machine_spawn(
    SpMachine *machine, bool allow_reboot, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** and wait until it answers and the guest runs, or is about to be loaded. */
bool sp_machine_wait_for_qemu(
    SpMachine *machine, bool allow_reboot, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** Release a QEMU that has ended, or kill it. */
void sp_machine_drop_qemu(SpMachine *machine);

/* Callbacks of the console, QEMU and the agent; @data is the SpMachine. */
void sp_machine_on_console_line(const char *line, void *data);
void sp_machine_on_qmp_event(const char *event, const json_t *data, void *user_data);
void sp_machine_on_agent_ready(void *data);

/* QEMU answers immediately or never; the margin is for a loaded host. */
#define SP_COMMAND_TIMEOUT_MS 60000
/* The same for it to end once it is told to, and to say why it did. */
#define SP_END_TIMEOUT_MS 30000
/* For what reads or writes a guest's whole memory. */
#define SP_TRANSFER_TIMEOUT_MS 300000

/**
 * Have QEMU execute the QMP command @command. Its arguments are an object in jansson's json_pack()
 * format with the values that follow, or NULL for none. SP_ERROR_MACHINE if QEMU isn't there; other
 * errors as in sp_qmp_execute().
 */
bool sp_machine_command(SpMachine *machine, GError **error, const char *command, const char *format,
    ...) G_GNUC_WARN_UNUSED_RESULT;
/** The same; returns what the command returned, to be freed with json_decref(). */
json_t *sp_machine_query(SpMachine *machine, GError **error, const char *command,
    const char *format, ...) G_GNUC_WARN_UNUSED_RESULT;
/** The same, to undo or settle something where nothing can be done about a failure. */
void sp_machine_try_command(SpMachine *machine, const char *command, const char *format, ...);
/** Wait up to SP_TRANSFER_TIMEOUT_MS for an event that isn't the script's; @ret_data as in
 * sp_qmp_wait_event(). */
bool sp_machine_wait_own_event(SpMachine *machine, const char *event, json_t **ret_data,
    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** Have QEMU end by itself, so that nothing is missing that the guest has written. */
bool sp_machine_quit(SpMachine *machine, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/**
 * Have QEMU run the job "snapshot-save" or "snapshot-load": memory and devices, and the disk of the
 * block node @node, in that node.
 */
bool sp_machine_run_snapshot_job(SpMachine *machine, const char *command, const char *name,
    const char *node, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/** Load the boot snapshot, and run. The guest has not read its disk. */
bool sp_machine_load_boot_snapshot(SpMachine *machine, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** QEMU has just reported that the guest was reset: the same, as soon as the main loop turns. */
void sp_machine_load_boot_snapshot_after_reset(SpMachine *machine);
/** The QEMU that may have it open is gone. */
void sp_machine_release_boot_snapshot(SpMachine *machine);
/** Drop the events, since @since_us, of what the driver made QEMU do: they aren't the script's. */
void sp_machine_drop_own_events(SpMachine *machine, gint64 since_us);

/** Copy the file @from to @path, which must not exist, with its holes. */
bool sp_machine_copy_data(int from, const char *path, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/** The path of @machine's memory in the directory @dir. Free with g_free(). */
char *sp_machine_memory_path(const SpMachine *machine, const char *dir);
/** Start it next with its memory as in the directory @dir. Sets has_template: if the directory has
 * no memory, which is no error, it comes with the devices. */
bool sp_machine_use_template(
    SpMachine *machine, const char *dir, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** QEMU is about to be started: @ret_flag is the flag (SP_QEMU_*) for its memory, or 0. */
bool sp_machine_prepare_memory(
    SpMachine *machine, guint *ret_flag, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** It was started. */
void sp_machine_let_go_of_template(SpMachine *machine);
/** If QEMU has ended because of its memory's file, that as a sentence; otherwise NULL. */
char *sp_machine_memory_fault(const SpMachine *machine);
/** Free all of this. */
void sp_machine_clear_memory(SpMachine *machine);

/** Take down again the links that are down: a state that QEMU loads doesn't know about them. */
bool sp_machine_pull_cables(SpMachine *machine, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/** Apply machine->cables to the port of that network card, if it is plugged in. */
void sp_machine_apply_cable(SpMachine *machine, guint nic);

/** Copy the disk of the running machine to @fd, an empty file, which becomes sparse. */
bool sp_machine_save_disk(SpMachine *machine, int fd, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/** The machine's QEMU is about to be killed: let requests under way get into the log completely. */
void sp_machine_settle_recording(SpMachine *machine);
/** The recording is over; its files stay. Does nothing if there is none. */
void sp_machine_forget_recording(SpMachine *machine);

/** What a wait tolerates. */
typedef enum {
    SP_WAIT_GUEST,   /* needs a guest that is well: a failed kernel ends it */
    SP_WAIT_QEMU,    /* needs QEMU only: the guest may have failed for good */
    SP_WAIT_CONSOLE, /* a failed kernel may go on printing, or reset, for a moment */
} SpWaitMood;

/** Returns false with SP_ERROR_MACHINE and the reason if @machine can't go on. */
bool sp_machine_is_well(
    SpMachine *machine, SpWaitMood mood, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** sp_machine_connect() until @deadline, a point as of sp_deadline(). */
bool sp_machine_contact(
    SpMachine *machine, gint64 deadline, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** The same within @timeout_ms as in machine.h. */
bool sp_machine_contact_within(
    SpMachine *machine, gint64 timeout_ms, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** sp_machine_wait_for_unit() and sp_machine_execute_detached() for the use of others here. */
bool sp_machine_await_unit(SpMachine *machine, const char *unit, gint64 timeout_ms,
    GError **error) G_GNUC_WARN_UNUSED_RESULT;
bool sp_machine_run_detached(SpMachine *machine, const char *command, gint64 timeout_ms,
    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** The deadline for @timeout_ms as in machine.h. */
gint64 sp_machine_deadline(SpMachine *machine, gint64 timeout_ms);
/** If @error, which is taken, is SP_ERROR_MACHINE, of a lost connection, and it soon shows that the
 * machine itself can't go on, returns that reason; otherwise @error. */
GError *sp_machine_explain_loss(SpMachine *machine, GError *error) G_GNUC_WARN_UNUSED_RESULT;
/** SP_ERROR_USAGE if @path, the path of @what, is empty. */
bool sp_machine_refuse_empty(
    const char *path, const char *what, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** Wait for @channel's end. */
bool sp_machine_wait_channel(SpMachine *machine, SpChannel *channel, gint64 deadline,
    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** @deadline, or the default one for a call without a time-out, for the contact only. */
gint64 sp_machine_contact_deadline(SpMachine *machine, gint64 deadline);
/** Run @argv in the guest and expect status 0; @ret_output (may be NULL) is its stdout. Errors
 * begin with @purpose ("copying '/x'") and contain what it wrote to stderr. */
bool sp_machine_run(SpMachine *machine, const char *purpose, const char *const *argv,
    GString **ret_output, GError **error) G_GNUC_WARN_UNUSED_RESULT;
