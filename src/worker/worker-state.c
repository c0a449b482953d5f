/* SPDX-License-Identifier: MIT */

/* The state that a test's machines start in, and the one that a checkpoint's end in. */

#include "base/error.h"
#include "machine/machine-checkpoint.h"
#include "machine/machine.h"
#include "worker/checkpoint.h"
#include "worker/worker-private.h"

bool sp_worker_get_checkpoint(SpWorker *worker, GError **error)
{
    const SpTestConf *from = worker->conf->from;
    const SpCheckpointMaking making = {
        .conf = from,
        .images = worker->options.images,
        .out_dir = worker->options.out,
        .shows_consoles = worker->options.shows_consoles,
        .stream_fd = worker->stream_fd,
    };
    gint64 begin = g_get_monotonic_time();
    g_autoptr(GError) local = NULL;

    sp_log_begin(worker->log, NULL, "boot", "get checkpoint '%s'", from->name);
    worker->checkpoint = sp_checkpoint_prepare(&making, worker->configs, &worker->made_s, &local);
    sp_log_end(worker->log, worker->checkpoint ? NULL : "it can't be made");
    worker->checkpoint_s = (double)(g_get_monotonic_time() - begin) / G_TIME_SPAN_SECOND;
    if (worker->checkpoint && sp_checkpoint_fault(worker->checkpoint))
        sp_log(worker->log, NULL, "warning: checkpoint '%s' was made again: %s", from->name,
            sp_checkpoint_fault(worker->checkpoint));
    if (worker->checkpoint)
        return true;
    if (!g_error_matches(local, SP_ERROR, SP_ERROR_NO_SPACE) &&
        !g_error_matches(local, SP_ERROR, SP_ERROR_DENIED)) {
        g_propagate_error(error, g_steal_pointer(&local));
        return false;
    }
    sp_log(worker->log, NULL,
        "warning: checkpoint '%s' can't be kept: %s: its script is run instead", from->name,
        local->message);
    return true;
}

bool sp_worker_begin_restore(SpWorker *worker, GError **error)
{
    const char *dir = sp_checkpoint_dir(worker->checkpoint);

    for (guint i = 0; i < worker->machines->len; i++) {
        if (!sp_machine_begin_restore(worker->machines->pdata[i], dir, error))
            return false;
    }
    return true;
}

bool sp_worker_restore(void *data, GError **error)
{
    SpWorker *worker = data;
    const char *dir = sp_checkpoint_dir(worker->checkpoint);

    for (guint i = 0; i < worker->machines->len; i++) {
        if (!sp_machine_restore_checkpoint(worker->machines->pdata[i], dir, error)) {
            sp_log_end(worker->log, "failed");
            return false;
        }
    }
    sp_log_end(worker->log, NULL);
    g_clear_pointer(&worker->checkpoint, sp_checkpoint_free);
    sp_worker_send(
        worker, SP_MESSAGE_SCRIPT, SP_OUTCOME_NONE, worker->made_s, worker->checkpoint_s);
    return true;
}

bool sp_worker_check_space(const SpWorker *worker, GError **error)
{
    const char *below = worker->checkpoint ? sp_checkpoint_dir(worker->checkpoint) : NULL;

    return sp_checkpoint_has_space(worker->options.save_dir, worker->configs, below, error);
}

/* All machines stop before the first is saved: none runs on while another is written. */
bool sp_worker_save(SpWorker *worker, GError **error)
{
    for (guint i = 0; i < worker->machines->len; i++) {
        if (!sp_machine_wait_for_rest(worker->machines->pdata[i], error))
            return false;
    }
    sp_log_begin(worker->log, NULL, "boot", "save the checkpoint");
    for (guint i = 0; i < worker->machines->len; i++) {
        if (!sp_machine_stop(worker->machines->pdata[i], error)) {
            g_prefix_error(error, "a checkpoint's script leaves its machines running: ");
            return false;
        }
    }
    for (guint i = 0; i < worker->machines->len; i++) {
        if (!sp_machine_save_checkpoint(
                worker->machines->pdata[i], worker->options.save_dir, error))
            return false;
    }
    sp_log_end(worker->log, NULL);
    return true;
}
