/* SPDX-License-Identifier: MIT */
#pragma once

/* Shared by the parts of the worker: worker.c runs the test, worker-machines.c creates its machines
 * and networks, worker-state.c starts them from a checkpoint and makes one, worker-messages.c sends
 * messages. */

#include "network/capture.h"
#include "network/switch.h"
#include "qemu/accel.h"
#include "script/script.h"
#include "store/checkpoint-store.h"
#include "suite/test-conf.h"
#include "worker/message.h"
#include "worker/options.h"
#include "worker/post-mortem.h"
#include "worker/program-output.h"

#include <glib.h>
#include <stdbool.h>

typedef struct {
    SpWorkerOptions options;
    SpTestConf *conf;
    SpPostMortem post_mortem;
    GPtrArray *images;
    SpAccel *accel;
    SpProgramOutput *programs; /* NULL: they write to our stdout */
    int stream_fd;             /* for the log */
    SpLog *log;
    gsize print_space; /* how much more of what the script prints is shown */

    GPtrArray *machines;                     /* of SpMachine */
    GPtrArray *configs;                      /* SpMachineConfig of each: a checkpoint's key */
    GPtrArray *boot_snapshots;               /* SpCheckpoint of each that has one */
    SpSwitch *networks[SP_NETWORK_MAX + 1];  /* by number; NULL: not used */
    SpCapture *captures[SP_NETWORK_MAX + 1]; /* of these; NULL: not wanted */

    SpCheckpoint *checkpoint; /* that the machines are about to be restored from; NULL: none */
    double checkpoint_s;      /* how long obtaining it took */
    char *made_s;             /* the text of SP_MESSAGE_SCRIPT; may be NULL */
} SpWorker;

/** Send a message, whole even if other threads send one at the same time. @text may be NULL. */
void sp_worker_send(
    const SpWorker *worker, SpMessageKind kind, SpOutcome outcome, const char *text, double number);
/* Callbacks of the script and of the log; @data is the worker. */
void sp_worker_on_subtest(const SpSubtest *subtest, void *data);
void sp_worker_on_print(const char *line, void *data);
void sp_worker_on_step(const char *machine, const char *text, void *data);

/** Create the test's machines, which are off. */
bool sp_worker_create_machines(SpWorker *worker, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** Create one that the script asks for. An SpScriptCreateFunc: @data is the worker. */
SpMachine *sp_worker_create_machine(
    const SpScriptMachine *wanted, void *data, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** Returns SpScriptNetwork of each network, ordered by number. */
GArray *sp_worker_list_networks(const SpWorker *worker);
/** The machines are gone. A capture error never fails the test: it is logged. */
void sp_worker_close_networks(SpWorker *worker);

/** Obtain the checkpoint that the test starts from, which may be making it. If it can't be kept,
 * this is logged, and worker->checkpoint is NULL. */
bool sp_worker_get_checkpoint(SpWorker *worker, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** Start the machines' QEMUs, so that they start while the interpreter does. */
bool sp_worker_begin_restore(SpWorker *worker, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** Restore the machines, once the interpreter is up. A begin_func: @data is the worker. */
bool sp_worker_restore(void *data, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** Check that there is space for the checkpoint that this worker makes. */
bool sp_worker_check_space(const SpWorker *worker, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** Save the machines as the checkpoint that this worker makes. */
bool sp_worker_save(SpWorker *worker, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/** Returns the path of a file that belongs to the user rather than to a run. */
char *sp_worker_state_file(const char *name);
