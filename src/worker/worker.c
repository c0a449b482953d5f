/* SPDX-License-Identifier: MIT */
#include "worker/worker.h"

#include "base/error.h"
#include "base/text.h"
#include "machine/machine-checkpoint.h"
#include "machine/machine.h"
#include "qemu/accel.h"
#include "qemu/command.h"
#include "script/script.h"
#include "suite/images.h"
#include "suite/test-conf.h"
#include "worker/checkpoint.h"
#include "worker/message.h"
#include "worker/post-mortem.h"
#include "worker/program-output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Of what a test prints, on the terminal. */
#define PRINTED_MAX (1024u * 1024)

typedef struct {
    SpTestConf *conf;
    bool has_report; /* somebody is there for it */
    SpPromptMode prompt;
    bool keeps_disks;
    bool is_cold;     /* nothing is gone on from */
    const char *disk; /* of the first machine, in place of its image's; or NULL */
    gint64 begin;
    SpPostMortem post_mortem;
    GPtrArray *images;
    SpAccel *accel;
    SpProgramOutput *programs; /* NULL: they write to our stdout */
    int stream_fd;             /* for the log */
    gsize print_room;          /* how much more of what is printed is shown */
    SpLog *log;
    GPtrArray *machines;
    SpCheckpoint *checkpoint;   /* that machines are about to go on from */
    GPtrArray *boot_snapshots;  /* SpCheckpoint of each that has one */
    GPtrArray *configs;         /* SpMachineConfig of each: what a checkpoint depends on */
    double checkpoint_s;        /* how long having the checkpoint took */
    char *made_s;               /* of it and of those below that were made for it; or NULL */
    const char *checkpoint_dir; /* what this process makes; NULL: it runs a test */
    SpSwitch *networks[SP_NETWORK_MAX + 1];  /* by number; NULL where there is none */
    SpCapture *captures[SP_NETWORK_MAX + 1]; /* of these; NULL unless they are wanted */
} Worker;

/* A test does not fail for its capture. */
static void close_capture(Worker *worker, guint number)
{
    SpCapture *capture = worker->captures[number];

    if (!capture)
        return;
    sp_capture_flush(capture);
    if (sp_capture_error(capture))
        sp_log(worker->log, NULL, "warning: %s", sp_capture_error(capture)->message);
    g_clear_pointer(&worker->captures[number], sp_capture_free);
}

static void worker_clear(Worker *worker)
{
    g_clear_pointer(&worker->machines, g_ptr_array_unref);
    for (guint i = 0; i <= SP_NETWORK_MAX; i++) {
        g_clear_pointer(&worker->networks[i], sp_switch_free);
        close_capture(worker, i);
    }
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
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Worker, worker_clear)

/* A line is one, whoever sends another meanwhile. */
G_LOCK_DEFINE_STATIC(report);

static void send_report(
    const Worker *worker, SpReportKind kind, const char *word, const char *text, double number)
{
    g_autofree char *line = sp_report_format(kind, word, text, number);

    if (!worker->has_report)
        return;
    G_LOCK(report);
    for (gsize done = 0, length = strlen(line); done < length;) {
        ssize_t n = write(SP_WORKER_REPORT_FD, line + done, length - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break; /* nobody wants to know any more */
        done += (gsize)n;
    }
    G_UNLOCK(report);
}

static void on_subtest(const SpSubtest *subtest, void *data)
{
    send_report(data, SP_REPORT_SUBTEST, subtest->passed ? "passed" : "failed", subtest->name,
        subtest->seconds);
}

/* What the script prints is for the user, also where the log is not shown. */
static void on_print(const char *line, void *data)
{
    Worker *worker = data;
    gsize length = strlen(line) + 1;
    bool has_room = length <= worker->print_room;
    g_autofree char *text = NULL;

    if (worker->print_room == 0)
        return;
    worker->print_room -= has_room ? length : worker->print_room;
    text =
        sp_text_printable(has_room ? line : "[what it prints from here on is in its log.txt only]");
    if (worker->prompt == SP_PROMPT_NEVER)
        send_report(worker, SP_REPORT_PRINT, NULL, text, 0);
    else
        printf("%s\n", text);
    fflush(stdout);
}

static void on_step(const char *machine, const char *text, void *data)
{
    g_autofree char *step =
        machine ? g_strdup_printf("%s: %s", machine, text ? text : "") : g_strdup(text);

    send_report(data, SP_REPORT_STEP, NULL, step, 0);
}

/* Machines of one run must differ, and the same test gets the same ones each time. */
static guint64 seed_of(const char *test, const char *machine)
{
    return (guint64)g_str_hash(test) * 31 + g_str_hash(machine);
}

static bool start_capture(Worker *worker, guint number, const char *out_dir, GError **error)
{
    g_autofree char *name = g_strdup_printf("network-%u.pcapng", number);
    g_autofree char *path = g_build_filename(out_dir, name, NULL);

    worker->captures[number] = sp_capture_new(path, error);
    if (worker->captures[number])
        sp_switch_set_capture(worker->networks[number], worker->captures[number]);
    return worker->captures[number];
}

static SpSwitch *get_network(Worker *worker, guint number, const char *out_dir, GError **error)
{
    g_autofree char *name = g_strdup_printf("%u", number);

    if (worker->networks[number])
        return worker->networks[number];
    worker->networks[number] = sp_switch_new(name, number);
    if (worker->conf->has_capture && !start_capture(worker, number, out_dir, error))
        return NULL;
    return worker->networks[number];
}

/* Where what belongs to the user and not to a run is kept. */
static char *state_file(const char *name)
{
    return g_build_filename(g_get_user_state_dir(), "slotproof", name, NULL);
}

static char *kept_disk(const SpTestConf *conf, const char *machine)
{
    g_autofree char *name = g_strdup_printf("disks/%s/%s.qcow2", conf->name, machine);

    return state_file(name);
}

/* A test that goes on from no checkpoint is about the whole of a boot, and a machine that a script
 * makes may be the only one of its kind. */
static bool uses_boot_snapshot(const Worker *worker, const SpImage *image)
{
    bool is_configured = worker->machines->len <= sp_test_conf_machines(worker->conf)->len;

    /* a virtual clock's time of day is a part of the state, and would be that of its making */
    return is_configured && !worker->conf->has_virtual_time && image->has_boot_snapshot &&
           !worker->is_cold && worker->accel->time_factor > 1 &&
           (worker->conf->from || worker->conf->is_checkpoint);
}

/* @disk is a raw file in place of the image's; NULL: none. */
static bool make_machine(Worker *worker, const SpTestMachine *wanted, const char *disk,
    const char *out_dir, GError **error)
{
    SpImage *image = sp_images_find(worker->images, wanted->image, error);
    SpMachineConfig config = {
        .name = wanted->name,
        .image = image,
        .accel = worker->accel,
        .disk = disk,
        .cpus = wanted->cpus == 0 && worker->conf->has_virtual_time ? 1 : wanted->cpus,
        .has_virtual_time = worker->conf->has_virtual_time,
        .memory_mib = wanted->memory_mib,
        .nics = wanted->nics,
        .seed = seed_of(sp_test_conf_root(worker->conf)->name, wanted->name),
        .out_dir = out_dir,
        .log = worker->log,
        .interrupt = sp_post_mortem_interrupt(&worker->post_mortem),
    };
    g_autofree char *kept = worker->keeps_disks ? kept_disk(worker->conf, wanted->name) : NULL;
    SpMachine *machine = NULL;

    config.kept_disk = kept;
    for (guint i = 0; i < wanted->nics; i++) {
        config.networks[i] = get_network(worker, wanted->networks[i], out_dir, error);
        if (!config.networks[i])
            return false;
    }
    /* what is on a disk of the script's own is its business */
    if (image && (disk || sp_image_check(image, error)))
        machine = sp_machine_new(&config, error);
    if (!machine)
        return false;
    if (worker->checkpoint_dir)
        sp_machine_keep_memory(machine, worker->checkpoint_dir);
    g_ptr_array_add(worker->machines, machine);
    g_ptr_array_add(worker->configs, g_memdup2(sp_machine_config(machine), sizeof config));
    if (uses_boot_snapshot(worker, image))
        g_ptr_array_add(worker->boot_snapshots, sp_checkpoint_use_boot_snapshot(machine));
    return true;
}

/* The value of the option "KEY=VALUE" among the words @options. */
static const char *option_value(const char *const *options, const char *key)
{
    for (; *options; options++) {
        if (g_str_has_prefix(*options, key) && (*options)[strlen(key)] == '=')
            return *options + strlen(key) + 1;
    }
    return NULL;
}

static bool set_up(Worker *worker, const char *test_dir, const char *images, const char *out_dir,
    const char *const *options, GError **error)
{
    const SpLogConfig log = {.dir = out_dir,
        .stream_fd = g_strv_contains(options, "quiet") ? -1 : worker->stream_fd,
        .with_consoles = g_strv_contains(options, "consoles"),
        .begin = worker->begin,
        .step_func = g_strv_contains(options, "live") ? on_step : NULL,
        .step_data = worker,
        .gather_func = worker->programs ? sp_program_output_gather : NULL,
        .gather_data = worker->programs};
    g_autofree char *cache = g_build_filename(g_get_user_cache_dir(), "slotproof", NULL);
    g_autofree char *qemu = NULL;
    const SpTestMachine *first;
    GPtrArray *machines;
    SpImage *image;

    worker->conf = sp_test_conf_load(test_dir, error);
    worker->images = worker->conf ? sp_images_load(images, error) : NULL;
    worker->log = worker->images ? sp_log_new(&log, error) : NULL;
    if (!worker->log)
        return false;
    if (worker->programs)
        sp_program_output_start(worker->programs, worker->log);
    worker->conf->has_capture = worker->conf->has_capture || g_strv_contains(options, "capture");
    worker->machines = g_ptr_array_new_with_free_func((GDestroyNotify)sp_machine_free);
    worker->configs = g_ptr_array_new_with_free_func(g_free);
    worker->boot_snapshots = g_ptr_array_new_with_free_func((GDestroyNotify)sp_checkpoint_free);
    worker->is_cold = g_strv_contains(options, "cold");
    worker->checkpoint_dir = option_value(options, "save");
    worker->disk = option_value(options, "disk");
    machines = sp_test_conf_machines(worker->conf);
    /* the machines of one test share the accelerator, so the first one's program stands for all */
    first = g_ptr_array_index(machines, 0);
    image = sp_images_find(worker->images, first->image, error);
    qemu = image ? sp_qemu_program(image->architecture, error) : NULL;
    worker->accel =
        qemu ? sp_accel_detect(sp_board_find(image->architecture), qemu, cache, error) : NULL;
    if (!worker->accel)
        return false;
    send_report(worker, SP_REPORT_BEGIN, NULL, NULL, worker->accel->time_factor);
    sp_log(worker->log, NULL, "accelerator: %s (%s)", worker->accel->name, worker->accel->reason);
    for (guint i = 0; i < machines->len; i++) {
        if (!make_machine(worker, g_ptr_array_index(machines, i), i == 0 ? worker->disk : NULL,
                out_dir, error))
            return false;
    }
    return true;
}

typedef struct {
    Worker *worker;
    const char *out_dir;
} Creation;

/* A machine that the script asks for. */
static SpMachine *create_machine(const SpScriptMachine *wanted, void *data, GError **error)
{
    const Creation *creation = data;
    Worker *worker = creation->worker;
    const SpTestMachine *first = g_ptr_array_index(sp_test_conf_machines(worker->conf), 0);
    /* a path is relative to the script, as it is to test.conf */
    g_autofree char *path = wanted->image && strchr(wanted->image, '/')
                                ? g_canonicalize_filename(wanted->image, worker->conf->dir)
                                : g_strdup(wanted->image);
    SpTestMachine machine = {
        .name = (char *)wanted->name,
        .image = path ? path : first->image,
        .memory_mib = wanted->memory_mib,
        .cpus = wanted->cpus,
        .nics = (guint)wanted->nics,
    };

    if (worker->conf->has_virtual_time) {
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
            "machine '%s' can't be made: with Clock=virtual there is one only", wanted->name);
        return NULL;
    }
    if (wanted->nics > SP_MACHINE_NICS_MAX) {
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
            "machine '%s' can't be made: it has %zu networks, %u is the most", wanted->name,
            wanted->nics, SP_MACHINE_NICS_MAX);
        return NULL;
    }
    for (gsize i = 0; i < wanted->nics; i++) {
        machine.networks[i] = wanted->networks[i];
        if (wanted->networks[i] <= SP_NETWORK_MAX && worker->networks[wanted->networks[i]])
            continue;
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
            "machine '%s' can't be made: no machine of test.conf is on network %u", wanted->name,
            wanted->networks[i]);
        return NULL;
    }
    if (wanted->disk || (wanted->image && strchr(wanted->image, '/')))
        send_report(worker, SP_REPORT_FOREIGN, NULL, NULL, 0);
    if (!make_machine(worker, &machine, wanted->disk, creation->out_dir, error))
        return NULL;
    return g_ptr_array_index(worker->machines, worker->machines->len - 1);
}

/* SpScriptNetwork, in order of their numbers. */
static GArray *list_networks(const Worker *worker)
{
    GArray *networks = g_array_new(FALSE, FALSE, sizeof(SpScriptNetwork));

    for (guint i = 0; i <= SP_NETWORK_MAX; i++) {
        SpScriptNetwork network = {
            .number = i, .sw = worker->networks[i], .capture = worker->captures[i]};
        if (network.sw)
            g_array_append_val(networks, network);
    }
    return networks;
}

/* The interpreter is up: have the worker's machines as the checkpoint below it left them. */
static bool restore_machines(void *data, GError **error)
{
    Worker *worker = data;
    const char *dir = sp_checkpoint_dir(worker->checkpoint);

    for (guint i = 0; i < worker->machines->len; i++) {
        if (!sp_machine_restore_checkpoint(worker->machines->pdata[i], dir, error)) {
            sp_log_end(worker->log, "failed");
            return false;
        }
    }
    sp_log_end(worker->log, NULL);
    g_clear_pointer(&worker->checkpoint, sp_checkpoint_free);
    send_report(worker, SP_REPORT_SCRIPT, NULL, worker->made_s, worker->checkpoint_s);
    return true;
}

/* The script of @conf, which is the worker's or a checkpoint below it. False with @error where the
 * interpreter does not come up. */
static bool run_script(Worker *worker, const SpTestConf *conf, const char *out_dir,
    const char **ret_word, char **ret_report, GError **error)
{
    static const char *const words[] = {
        [SP_SCRIPT_PASSED] = "passed",
        [SP_SCRIPT_FAILED] = "failed",
        [SP_SCRIPT_INVALID] = "error",
        [SP_SCRIPT_INTERRUPTED] = "interrupted",
    };
    g_autoptr(GArray) networks = list_networks(worker);
    Creation creation = {worker, out_dir};
    g_autofree char *history = state_file("history");
    const SpScriptConfig script = {
        .path = conf->script,
        .tests_dir = conf->tests_dir,
        .out_dir = out_dir,
        .machines = (SpMachine *const *)worker->machines->pdata,
        .n_machines = worker->machines->len,
        .networks = (const SpScriptNetwork *)(const void *)networks->data,
        .n_networks = networks->len,
        .log = worker->log,
        .subtest_func = conf == worker->conf ? on_subtest : NULL,
        .subtest_data = worker,
        .print_func = worker->print_room > 0 ? on_print : NULL,
        .print_data = worker,
        .prompt = conf == worker->conf ? worker->prompt : SP_PROMPT_NEVER,
        .history = history,
        .create_func = create_machine,
        .create_data = &creation,
        .begin_func = worker->checkpoint ? restore_machines : NULL,
        .begin_data = worker,
    };
    SpScriptOutcome outcome;

    if (!sp_script_run(&script, &outcome, ret_report, error))
        return false;
    *ret_word = words[outcome];
    return true;
}

/* Run the scripts of @conf and of the checkpoints below it, until one does not pass. */
static bool run_scripts(Worker *worker, const SpTestConf *conf, const char *out_dir,
    const char **ret_word, char **ret_report, GError **error)
{
    if (conf->from && !run_scripts(worker, conf->from, out_dir, ret_word, ret_report, error))
        return false;
    if (*ret_word && !g_str_equal(*ret_word, "passed"))
        return true;
    if (conf->from || conf != worker->conf)
        sp_log(worker->log, NULL, "%s", conf->name);
    return run_script(worker, conf, out_dir, ret_word, ret_report, error);
}

/* A checkpoint's machines are saved as one: none goes on while another is written. */
static bool save_machines(Worker *worker, GError **error)
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
        if (!sp_machine_save_checkpoint(worker->machines->pdata[i], worker->checkpoint_dir, error))
            return false;
    }
    sp_log_end(worker->log, NULL);
    return true;
}

/* The checkpoint below the worker's, or, where none can be kept, that all is done as if there were
 * none. */
static bool have_checkpoint(Worker *worker, const char *images, const char *out_dir,
    const char *const *options, GError **error)
{
    const SpTestConf *from = worker->conf->from;
    const SpCheckpointMaking making = {
        .conf = from,
        .images = images,
        .out_dir = out_dir,
        .with_consoles = g_strv_contains(options, "consoles"),
        .stream_fd = worker->stream_fd,
    };
    gint64 begin = g_get_monotonic_time();
    g_autoptr(GError) local = NULL;

    sp_log_begin(worker->log, NULL, "boot", "have checkpoint '%s'", from->name);
    worker->checkpoint = sp_checkpoint_prepare(&making, worker->configs, &worker->made_s, &local);
    sp_log_end(worker->log, worker->checkpoint ? NULL : "it can't be made");
    worker->checkpoint_s = (double)(g_get_monotonic_time() - begin) / G_TIME_SPAN_SECOND;
    if (worker->checkpoint && sp_checkpoint_fault(worker->checkpoint))
        sp_log(worker->log, NULL, "warning: checkpoint '%s' was made anew: %s", from->name,
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

/* Their QEMUs start while the interpreter does. */
static bool begin_restore(Worker *worker, GError **error)
{
    const char *dir = sp_checkpoint_dir(worker->checkpoint);

    for (guint i = 0; i < worker->machines->len; i++) {
        if (!sp_machine_begin_restore(worker->machines->pdata[i], dir, error))
            return false;
    }
    return true;
}

/* What was looked at before the checkpoint below was there does not count any more. */
static bool has_room(const Worker *worker, GError **error)
{
    const char *below = worker->checkpoint ? sp_checkpoint_dir(worker->checkpoint) : NULL;

    return sp_checkpoint_has_room(worker->checkpoint_dir, worker->configs, below, error);
}

static bool run(Worker *worker, const char *images, const char *out_dir, const char *const *options,
    const char **ret_word, char **ret_report, GError **error)
{
    /* a disk that is given is gone on from as it is */
    if (worker->disk)
        return run_script(worker, worker->conf, out_dir, ret_word, ret_report, error);
    /* a disk that is kept has a life of its own */
    if (worker->conf->from && !worker->keeps_disks && !worker->is_cold &&
        !have_checkpoint(worker, images, out_dir, options, error))
        return false;
    if (worker->checkpoint_dir && !has_room(worker, error))
        return false;
    if (!worker->checkpoint) {
        if (!run_scripts(worker, worker->conf, out_dir, ret_word, ret_report, error))
            return false;
    } else {
        sp_log_begin(
            worker->log, NULL, "boot", "go on from checkpoint '%s'", worker->conf->from->name);
        if (!begin_restore(worker, error) ||
            !run_script(worker, worker->conf, out_dir, ret_word, ret_report, error)) {
            if (worker->checkpoint)
                g_prefix_error(error,
                    "checkpoint '%s' (see 'slotproof cache verify'): ", worker->conf->from->name);
            return false;
        }
        /* a script that can't be run leaves them as they are */
        while (sp_log_depth(worker->log) > 0)
            sp_log_end(worker->log, "not ended");
    }
    return !worker->checkpoint_dir || !g_str_equal(*ret_word, "passed") ||
           save_machines(worker, error);
}

/* The time that a test may take is over: then it was stopped for that, and not by the user. */
static bool time_is_over(const Worker *worker)
{
    gint64 elapsed = g_get_monotonic_time() - worker->begin + G_TIME_SPAN_SECOND;

    return worker->conf && worker->accel &&
           (double)elapsed >=
               (double)worker->conf->timeout_s * worker->accel->time_factor * G_TIME_SPAN_SECOND;
}

/* One that has failed is looked at; one that the user has stopped ends at once. */
static void look_at_failure(
    Worker *worker, const char *word, const char *out_dir, const char *const *options)
{
    bool is_failed =
        g_str_equal(word, "failed") || (g_str_equal(word, "interrupted") && time_is_over(worker));

    if (is_failed && worker->machines && worker->has_report)
        sp_post_mortem(&worker->post_mortem, worker->machines, out_dir, worker->log,
            g_strv_contains(options, "keep-disks"));
}

static const char *word_of(const Worker *worker, const GError *error)
{
    if (worker->checkpoint_dir && g_error_matches(error, SP_ERROR, SP_ERROR_NO_SPACE))
        return SP_REPORT_NO_ROOM;
    return g_error_matches(error, SP_ERROR, SP_ERROR_USAGE) ? "error" : "failed";
}

int sp_worker_main(
    const char *test_dir, const char *images, const char *out_dir, const char *const *options)
{
    g_auto(Worker) worker = {
        .prompt = g_strv_contains(options, "prompt")  ? SP_PROMPT_ONLY
                  : g_strv_contains(options, "debug") ? SP_PROMPT_ON_FAILURE
                                                      : SP_PROMPT_NEVER,
        .keeps_disks = g_strv_contains(options, "keep"),
    };
    const char *began = option_value(options, "begin");
    g_autoptr(GError) error = NULL;
    g_autofree char *report = NULL;
    const char *word = NULL;

    worker.begin = began ? g_ascii_strtoll(began, NULL, 10) : g_get_monotonic_time();
    /* what a script starts must not hold the report open */
    worker.has_report = worker.prompt != SP_PROMPT_ONLY;
    if (worker.has_report && fcntl(SP_WORKER_REPORT_FD, F_SETFD, FD_CLOEXEC) < 0)
        return 2;
    /* where the log is shown, it is there already */
    worker.print_room =
        worker.has_report && !g_strv_contains(options, "consoles") ? PRINTED_MAX : 0;
    worker.stream_fd = STDOUT_FILENO;
    if (g_strv_contains(options, "programs")) {
        worker.programs = sp_program_output_new(
            SP_WORKER_PROGRAMS_READ_FD, SP_WORKER_PROGRAMS_WRITE_FD, &worker.stream_fd, &error);
    }
    if (error || !set_up(&worker, test_dir, images, out_dir, options, &error) ||
        !run(&worker, images, out_dir, options, &word, &report, &error)) {
        word = word_of(&worker, error);
        g_free(report);
        report = g_strdup(error->message);
    }
    if (!worker.has_report && report)
        fprintf(stderr, "slotproof: %s\n", report);
    look_at_failure(&worker, word, out_dir, options);
    /* Before the report: who has it may take the machines to be gone. */
    g_clear_pointer(&worker.machines, g_ptr_array_unref);
    send_report(&worker, SP_REPORT_RESULT, word, report,
        (double)(g_get_monotonic_time() - worker.begin) / G_TIME_SPAN_SECOND - worker.checkpoint_s);
    if (g_str_equal(word, "passed"))
        return 0;
    return !worker.has_report && g_str_equal(word, "error") ? 2 : 1;
}
