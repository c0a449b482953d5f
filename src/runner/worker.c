/* SPDX-License-Identifier: MIT */
#include "runner/worker.h"

#include "base/error.h"
#include "machine/accel.h"
#include "machine/machine.h"
#include "machine/qemu-command.h"
#include "runner/images.h"
#include "runner/test-conf.h"
#include "script/script.h"

#include <json-glib/json-glib.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    SpTestConf *conf;
    GPtrArray *images;
    SpAccel *accel;
    SpLog *log;
    GPtrArray *machines;
} Worker;

static void worker_clear(Worker *worker)
{
    g_clear_pointer(&worker->machines, g_ptr_array_unref);
    g_clear_pointer(&worker->log, sp_log_free);
    g_clear_pointer(&worker->accel, sp_accel_free);
    g_clear_pointer(&worker->images, g_ptr_array_unref);
    g_clear_pointer(&worker->conf, sp_test_conf_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Worker, worker_clear)

void sp_worker_report_clear(SpWorkerReport *report)
{
    g_clear_pointer(&report->outcome, g_free);
    g_clear_pointer(&report->report, g_free);
}

static const char *get_string(JsonObject *object, const char *name)
{
    JsonNode *node = json_object_get_member(object, name);

    return node && JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == G_TYPE_STRING
               ? json_node_get_string(node)
               : NULL;
}

gboolean sp_worker_report_parse(
    const char *text, gsize length, SpWorkerReport *ret_report, GError **error)
{
    g_autoptr(JsonParser) parser = json_parser_new();
    JsonNode *root = NULL;
    const char *outcome;

    if (json_parser_load_from_data(parser, text, (gssize)length, NULL))
        root = json_parser_get_root(parser);
    outcome = root && JSON_NODE_HOLDS_OBJECT(root)
                  ? get_string(json_node_get_object(root), "outcome")
                  : NULL;
    if (!outcome) {
        g_set_error_literal(
            error, SP_ERROR, SP_ERROR_PROTOCOL, "the test's process ended without a report");
        return FALSE;
    }
    ret_report->outcome = g_strdup(outcome);
    ret_report->report = g_strdup(get_string(json_node_get_object(root), "report"));
    return TRUE;
}

static void send_report(const char *outcome, const char *report)
{
    g_autoptr(JsonObject) object = json_object_new();
    g_autoptr(JsonNode) node = json_node_new(JSON_NODE_OBJECT);
    g_autofree char *text = NULL;

    json_object_set_string_member(object, "outcome", outcome);
    if (report) {
        g_autofree char *valid = g_utf8_make_valid(report, -1);
        json_object_set_string_member(object, "report", valid);
    }
    json_node_set_object(node, object);
    text = json_to_string(node, FALSE);
    for (gsize done = 0, length = strlen(text); done < length;) {
        ssize_t n = write(SP_WORKER_REPORT_FD, text + done, length - done);
        if (n <= 0)
            return; /* nobody wants to know any more */
        done += (gsize)n;
    }
}

/* Machines of one run must differ, and the same test gets the same ones each time. */
static guint64 seed_of(const char *test, const char *machine)
{
    return (guint64)g_str_hash(test) * 31 + g_str_hash(machine);
}

static bool make_machine(
    Worker *worker, const SpTestMachine *wanted, const char *out_dir, GError **error)
{
    SpImage *image = sp_images_find(worker->images, wanted->image, error);
    SpMachineConfig config = {
        .name = wanted->name,
        .image = image,
        .accel = worker->accel,
        .cpus = wanted->cpus,
        .memory_mib = wanted->memory_mib,
        .nics = wanted->nics,
        .seed = seed_of(worker->conf->name, wanted->name),
        .out_dir = out_dir,
        .log = worker->log,
        .interrupt = sp_script_interrupt(),
    };
    SpMachine *machine = NULL;

    if (image && sp_image_check(image, error))
        machine = sp_machine_new(&config, error);
    if (machine)
        g_ptr_array_add(worker->machines, machine);
    return machine;
}

static bool set_up(Worker *worker, const char *test_dir, const char *images, const char *out_dir,
    bool with_consoles, GError **error)
{
    const SpLogConfig log = {
        .dir = out_dir, .stream_fd = STDOUT_FILENO, .with_consoles = with_consoles};
    g_autofree char *cache = g_build_filename(g_get_user_cache_dir(), "slotproof", NULL);
    g_autofree char *qemu = NULL;

    worker->conf = sp_test_conf_load(test_dir, error);
    worker->images = worker->conf ? sp_images_load(images, error) : NULL;
    worker->log = worker->images ? sp_log_new(&log, error) : NULL;
    if (!worker->log)
        return false;
    worker->machines = g_ptr_array_new_with_free_func((GDestroyNotify)sp_machine_free);
    SpImage *first = g_ptr_array_index(worker->images, 0);
    qemu = sp_qemu_program(first->architecture, error);
    worker->accel = qemu ? sp_accel_probe(qemu, cache, error) : NULL;
    if (!worker->accel)
        return false;
    sp_log(worker->log, NULL, "accelerator: %s (%s)", worker->accel->name, worker->accel->reason);
    for (guint i = 0; i < worker->conf->machines->len; i++) {
        if (!make_machine(worker, g_ptr_array_index(worker->conf->machines, i), out_dir, error))
            return false;
    }
    return true;
}

int sp_worker_main(
    const char *test_dir, const char *images, const char *out_dir, gboolean with_consoles)
{
    static const char *const outcomes[] = {
        [SP_SCRIPT_PASSED] = "passed",
        [SP_SCRIPT_FAILED] = "failed",
        [SP_SCRIPT_INVALID] = "invalid",
        [SP_SCRIPT_INTERRUPTED] = "interrupted",
    };
    g_auto(Worker) worker = {0};
    g_autoptr(GError) error = NULL;
    g_autofree char *report = NULL;
    SpScriptOutcome outcome;

    if (!set_up(&worker, test_dir, images, out_dir, with_consoles, &error)) {
        bool is_usage = g_error_matches(error, SP_ERROR, SP_ERROR_USAGE);
        send_report(is_usage ? "invalid" : "failed", error->message);
        return 1;
    }
    const SpScriptConfig script = {
        .path = worker.conf->script,
        .out_dir = out_dir,
        .machines = (SpMachine *const *)worker.machines->pdata,
        .n_machines = worker.machines->len,
        .log = worker.log,
    };
    if (!sp_script_run(&script, &outcome, &report, &error)) {
        send_report("failed", error->message);
        return 1;
    }
    /* Before the report: who has it may take the machines to be gone. */
    g_clear_pointer(&worker.machines, g_ptr_array_unref);
    send_report(outcomes[outcome], report);
    return outcome == SP_SCRIPT_PASSED ? 0 : 1;
}
