/* SPDX-License-Identifier: MIT */
#include "worker/worker.h"

#include "base/error.h"
#include "machine/machine.h"
#include "qemu/board.h"
#include "qemu/command.h"
#include "suite/images.h"
#include "worker/program-pipe.h"
#include "worker/worker-private.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* How much of what a test prints is shown on the terminal. */
#define PRINTED_MAX (1024u * 1024)

static void worker_clear(SpWorker *worker)
{
    g_clear_pointer(&worker->machines, g_ptr_array_unref);
    sp_worker_close_networks(worker);
    g_clear_pointer(&worker->boot_snapshots, g_ptr_array_unref);
    g_clear_pointer(&worker->checkpoint, sp_checkpoint_free);
    g_clear_pointer(&worker->made_s, g_free);
    g_clear_pointer(&worker->configs, g_ptr_array_unref);
    g_clear_pointer(&worker->programs, sp_program_output_free);
    g_clear_pointer(&worker->log, sp_log_free);
    if (worker->stream_fd > STDOUT_FILENO)
        close(worker->stream_fd);
    g_clear_pointer(&worker->accel, sp_accel_free);
    g_clear_pointer(&worker->images, g_ptr_array_unref);
    g_clear_pointer(&worker->conf, sp_test_conf_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(SpWorker, worker_clear)

/* The machines of a test share the accelerator, so the first one's QEMU stands for all. */
static SpAccel *detect_accel(const SpWorker *worker, GError **error)
{
    const SpTestMachine *first = g_ptr_array_index(sp_test_conf_machines(worker->conf), 0);
    const SpImage *image = sp_images_find(worker->images, first->image, error);
    g_autofree char *qemu = image ? sp_qemu_program(image->architecture, error) : NULL;
    g_autofree char *cache = g_build_filename(g_get_user_cache_dir(), "slotproof", NULL);

    return qemu ? sp_accel_detect(sp_board_find(image->architecture), qemu, cache, error) : NULL;
}

static bool set_up_worker(SpWorker *worker, GError **error)
{
    const SpLogConfig log = {
        .dir = worker->options.out,
        .stream_fd = worker->options.is_quiet ? -1 : worker->stream_fd,
        .with_consoles = worker->options.shows_consoles,
        .begin = worker->options.begin,
        .step_func = worker->options.reports_steps ? sp_worker_on_step : NULL,
        .step_data = worker,
        .gather_func = worker->programs ? sp_program_output_gather : NULL,
        .gather_data = worker->programs,
    };

    worker->conf = sp_test_conf_load(worker->options.test_dir, error);
    worker->images = worker->conf ? sp_images_load(worker->options.images, error) : NULL;
    worker->log = worker->images ? sp_log_new(&log, error) : NULL;
    if (!worker->log)
        return false;
    if (worker->programs)
        sp_program_output_start(worker->programs, worker->log);
    worker->machines = g_ptr_array_new_with_free_func((GDestroyNotify)sp_machine_free);
    worker->configs = g_ptr_array_new_with_free_func(g_free);
    worker->boot_snapshots = g_ptr_array_new_with_free_func((GDestroyNotify)sp_checkpoint_free);
    worker->accel = detect_accel(worker, error);
    if (!worker->accel)
        return false;
    sp_worker_send(worker, SP_MESSAGE_BEGIN, SP_OUTCOME_NONE, NULL, worker->accel->time_factor);
    sp_log(worker->log, NULL, "accelerator: %s (%s)", worker->accel->name, worker->accel->reason);
    return sp_worker_create_machines(worker, error);
}

static SpPromptMode get_prompt_mode(const SpWorkerOptions *options)
{
    if (options->is_prompt)
        return SP_PROMPT_ONLY;
    return options->prompts_on_failure ? SP_PROMPT_ON_FAILURE : SP_PROMPT_NEVER;
}

/* The script of @conf, which is the worker's test or a checkpoint that it starts from. False with
 * @error if the interpreter does not start. */
static bool run_script(SpWorker *worker, const SpTestConf *conf, SpOutcome *ret_outcome,
    char **ret_report, GError **error)
{
    static const SpOutcome outcomes[] = {
        [SP_SCRIPT_PASSED] = SP_OUTCOME_PASSED,
        [SP_SCRIPT_FAILED] = SP_OUTCOME_FAILED,
        [SP_SCRIPT_INVALID] = SP_OUTCOME_ERROR,
        [SP_SCRIPT_INTERRUPTED] = SP_OUTCOME_INTERRUPTED,
    };
    bool is_own = conf == worker->conf;
    g_autoptr(GArray) networks = sp_worker_list_networks(worker);
    g_autofree char *history = sp_worker_state_file("history");
    const SpScriptConfig script = {
        .path = conf->script,
        .tests_dir = conf->tests_dir,
        .out_dir = worker->options.out,
        .machines = (SpMachine *const *)worker->machines->pdata,
        .n_machines = worker->machines->len,
        .networks = (const SpScriptNetwork *)(const void *)networks->data,
        .n_networks = networks->len,
        .log = worker->log,
        .subtest_func = is_own ? sp_worker_on_subtest : NULL,
        .subtest_data = worker,
        .print_func = worker->print_space > 0 ? sp_worker_on_print : NULL,
        .print_data = worker,
        .prompt = is_own ? get_prompt_mode(&worker->options) : SP_PROMPT_NEVER,
        .history = history,
        .create_func = sp_worker_create_machine,
        .create_data = worker,
        .begin_func = worker->checkpoint ? sp_worker_restore : NULL,
        .begin_data = worker,
    };
    SpScriptOutcome outcome;

    if (!sp_script_run(&script, &outcome, ret_report, error))
        return false;
    *ret_outcome = outcomes[outcome];
    return true;
}

/* Run the scripts of @conf and of the checkpoints that it starts from, until one does not pass. */
static bool run_scripts(SpWorker *worker, const SpTestConf *conf, SpOutcome *ret_outcome,
    char **ret_report, GError **error)
{
    if (conf->from && !run_scripts(worker, conf->from, ret_outcome, ret_report, error))
        return false;
    if (conf->from && *ret_outcome != SP_OUTCOME_PASSED)
        return true;
    if (conf->from || conf != worker->conf)
        sp_log(worker->log, NULL, "%s", conf->name);
    return run_script(worker, conf, ret_outcome, ret_report, error);
}

/* Run the test's script on machines as its checkpoint has them. */
static bool run_from_checkpoint(
    SpWorker *worker, SpOutcome *ret_outcome, char **ret_report, GError **error)
{
    const char *name = worker->conf->from->name;

    sp_log_begin(worker->log, NULL, "boot", "restore checkpoint '%s'", name);
    if (!sp_worker_begin_restore(worker, error) ||
        !run_script(worker, worker->conf, ret_outcome, ret_report, error)) {
        if (worker->checkpoint)
            g_prefix_error(error, "checkpoint '%s' (see 'slotproof cache verify'): ", name);
        return false;
    }
    /* a script that can't be run leaves its steps open */
    while (sp_log_depth(worker->log) > 0)
        sp_log_end(worker->log, "not ended");
    return true;
}

static bool run_test(SpWorker *worker, SpOutcome *ret_outcome, char **ret_report, GError **error)
{
    const SpWorkerOptions *options = &worker->options;

    /* a given disk has the state to start from */
    if (options->disk)
        return run_script(worker, worker->conf, ret_outcome, ret_report, error);
    /* as has a disk that was kept */
    if (worker->conf->from && !options->reuses_disks && !options->is_cold &&
        !sp_worker_get_checkpoint(worker, error))
        return false;
    if (options->save_dir && !sp_worker_check_space(worker, error))
        return false;
    if (worker->checkpoint ? !run_from_checkpoint(worker, ret_outcome, ret_report, error)
                           : !run_scripts(worker, worker->conf, ret_outcome, ret_report, error))
        return false;
    return !options->save_dir || *ret_outcome != SP_OUTCOME_PASSED || sp_worker_save(worker, error);
}

/* Whether the test was stopped because its time is over, and not by the user. */
static bool is_time_over(const SpWorker *worker)
{
    gint64 elapsed = g_get_monotonic_time() - worker->options.begin + G_TIME_SPAN_SECOND;

    return worker->conf && worker->accel &&
           (double)elapsed >=
               (double)worker->conf->timeout_s * worker->accel->time_factor * G_TIME_SPAN_SECOND;
}

/* A test that failed is looked into; one that the user has stopped ends at once. */
static void examine_failure(SpWorker *worker, SpOutcome outcome)
{
    bool has_failed =
        outcome == SP_OUTCOME_FAILED || (outcome == SP_OUTCOME_INTERRUPTED && is_time_over(worker));

    if (has_failed && worker->machines && !worker->options.is_prompt)
        sp_post_mortem(&worker->post_mortem, worker->machines, worker->log, &worker->options);
}

static SpOutcome get_error_outcome(const SpWorker *worker, const GError *error)
{
    if (worker->options.save_dir && g_error_matches(error, SP_ERROR, SP_ERROR_NO_SPACE))
        return SP_OUTCOME_NO_SPACE;
    return g_error_matches(error, SP_ERROR, SP_ERROR_USAGE) ? SP_OUTCOME_ERROR : SP_OUTCOME_FAILED;
}

/* Take over the descriptors that the process which started us has given. */
static bool take_descriptors(SpWorker *worker, GError **error)
{
    /* programs that the script starts must not hold it open */
    if (!worker->options.is_prompt && fcntl(SP_MESSAGE_FD, F_SETFD, FD_CLOEXEC) < 0) {
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
            "a worker is started by slotproof itself: it has no descriptor %d for messages",
            SP_MESSAGE_FD);
        return false;
    }
    if (!worker->options.has_programs_pipe)
        return true;
    worker->programs = sp_program_output_new(
        SP_PROGRAM_PIPE_READ_FD, SP_PROGRAM_PIPE_WRITE_FD, &worker->stream_fd, error);
    return worker->programs;
}

int sp_worker_main(const SpWorkerOptions *options)
{
    g_auto(SpWorker) worker = {.options = *options, .stream_fd = STDOUT_FILENO};
    SpOutcome outcome = SP_OUTCOME_NONE;
    g_autoptr(GError) error = NULL;
    g_autofree char *report = NULL;

    if (options->begin == 0)
        worker.options.begin = g_get_monotonic_time();
    /* what a script prints is in the log that is shown */
    worker.print_space = options->is_prompt || options->shows_consoles ? 0 : PRINTED_MAX;
    if (!take_descriptors(&worker, &error) || !set_up_worker(&worker, &error) ||
        !run_test(&worker, &outcome, &report, &error)) {
        outcome = get_error_outcome(&worker, error);
        g_free(report);
        report = g_strdup(error->message);
    }
    if (report && (options->is_prompt || fcntl(SP_MESSAGE_FD, F_GETFD) < 0))
        fprintf(stderr, "slotproof: %s\n", report);
    examine_failure(&worker, outcome);
    /* before the message, whose reader relies on the machines being gone */
    g_clear_pointer(&worker.machines, g_ptr_array_unref);
    sp_worker_send(&worker, SP_MESSAGE_RESULT, outcome, report,
        (double)(g_get_monotonic_time() - worker.options.begin) / G_TIME_SPAN_SECOND -
            worker.checkpoint_s);
    if (outcome == SP_OUTCOME_PASSED)
        return 0;
    return options->is_prompt && outcome == SP_OUTCOME_ERROR ? 2 : 1;
}
