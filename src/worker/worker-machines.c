/* SPDX-License-Identifier: MIT */

/* The machines of a test, and the networks between them. */

#include "base/error.h"
#include "machine/machine-checkpoint.h"
#include "machine/machine.h"
#include "suite/images.h"
#include "worker/checkpoint.h"
#include "worker/worker-private.h"

#include <string.h>

/* The machines of one test must differ, and the same test gets the same ones each time. */
static guint64 compute_seed(const char *test, const char *machine)
{
    return (guint64)g_str_hash(test) * 31 + g_str_hash(machine);
}

static bool start_capture(SpWorker *worker, guint number, GError **error)
{
    g_autofree char *name = g_strdup_printf("network-%u.pcapng", number);
    g_autofree char *path = g_build_filename(worker->options.out, name, NULL);

    worker->captures[number] = sp_capture_new(path, error);
    if (worker->captures[number])
        sp_switch_set_capture(worker->networks[number], worker->captures[number]);
    return worker->captures[number];
}

static SpSwitch *get_network(SpWorker *worker, guint number, GError **error)
{
    bool is_captured = worker->conf->has_capture || worker->options.is_captured;
    g_autofree char *name = g_strdup_printf("%u", number);

    if (worker->networks[number])
        return worker->networks[number];
    worker->networks[number] = sp_switch_new(name, number);
    if (is_captured && !start_capture(worker, number, error))
        return NULL;
    return worker->networks[number];
}

static void close_capture(SpWorker *worker, guint number)
{
    SpCapture *capture = worker->captures[number];

    if (!capture)
        return;
    sp_capture_flush(capture);
    if (sp_capture_error(capture))
        sp_log(worker->log, NULL, "warning: %s", sp_capture_error(capture)->message);
    g_clear_pointer(&worker->captures[number], sp_capture_free);
}

void sp_worker_close_networks(SpWorker *worker)
{
    for (guint i = 0; i <= SP_NETWORK_MAX; i++) {
        g_clear_pointer(&worker->networks[i], sp_switch_free);
        close_capture(worker, i);
    }
}

GArray *sp_worker_list_networks(const SpWorker *worker)
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

char *sp_worker_state_file(const char *name)
{
    return g_build_filename(g_get_user_state_dir(), "slotproof", name, NULL);
}

static char *kept_disk_path(const SpTestConf *conf, const char *machine)
{
    g_autofree char *name = g_strdup_printf("disks/%s/%s.qcow2", conf->name, machine);

    return sp_worker_state_file(name);
}

/* Not in a test without a checkpoint, which is about the whole boot, nor for machines that the
 * script creates, each of which may be the only one of its kind. */
static bool uses_boot_snapshot(const SpWorker *worker, const SpImage *image)
{
    bool is_configured = worker->machines->len <= sp_test_conf_machines(worker->conf)->len;

    /* a virtual clock's time of day is a part of the state, and would be that of its making */
    return is_configured && !worker->conf->has_virtual_time && image->has_boot_snapshot &&
           !worker->options.is_cold && worker->accel->time_factor > 1 &&
           (worker->conf->from || worker->conf->is_checkpoint);
}

/* @disk is a raw file in place of the image's; NULL: none. */
static bool create_and_add(
    SpWorker *worker, const SpTestMachine *wanted, const char *disk, GError **error)
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
        .seed = compute_seed(sp_test_conf_root(worker->conf)->name, wanted->name),
        .out_dir = worker->options.out,
        .log = worker->log,
        .interrupt = sp_post_mortem_interrupt(&worker->post_mortem),
    };
    g_autofree char *kept =
        worker->options.reuses_disks ? kept_disk_path(worker->conf, wanted->name) : NULL;
    SpMachine *machine = NULL;

    config.kept_disk = kept;
    for (guint i = 0; i < wanted->nics; i++) {
        config.networks[i] = get_network(worker, wanted->networks[i], error);
        if (!config.networks[i])
            return false;
    }
    /* what is on the script's own disk is its business */
    if (image && (disk || sp_image_check(image, error)))
        machine = sp_machine_new(&config, error);
    if (!machine)
        return false;
    if (worker->options.save_dir)
        sp_machine_keep_memory(machine, worker->options.save_dir);
    g_ptr_array_add(worker->machines, machine);
    g_ptr_array_add(worker->configs, g_memdup2(sp_machine_config(machine), sizeof config));
    if (uses_boot_snapshot(worker, image))
        g_ptr_array_add(worker->boot_snapshots, sp_checkpoint_use_boot_snapshot(machine));
    return true;
}

bool sp_worker_create_machines(SpWorker *worker, GError **error)
{
    const GPtrArray *machines = sp_test_conf_machines(worker->conf);

    for (guint i = 0; i < machines->len; i++) {
        const char *disk = i == 0 ? worker->options.disk : NULL;
        if (!create_and_add(worker, g_ptr_array_index(machines, i), disk, error))
            return false;
    }
    return true;
}

static SpMachine *refuse_machine(const char *name, const char *reason, GError **error)
{
    g_set_error(error, SP_ERROR, SP_ERROR_USAGE, "machine '%s' can't be created: %s", name, reason);
    return NULL;
}

/* Why the test can't have a machine like @wanted; NULL if it can. Free with g_free(). */
static char *find_request_fault(const SpWorker *worker, const SpScriptMachine *wanted)
{
    if (worker->conf->has_virtual_time)
        return g_strdup("a test with Clock=virtual has only one machine");
    if (wanted->nics > SP_MACHINE_NICS_MAX)
        return g_strdup_printf(
            "it has %zu networks, at most %u are possible", wanted->nics, SP_MACHINE_NICS_MAX);
    for (gsize i = 0; i < wanted->nics; i++) {
        if (wanted->networks[i] > SP_NETWORK_MAX || !worker->networks[wanted->networks[i]])
            return g_strdup_printf("no machine of test.conf is on network %u", wanted->networks[i]);
    }
    return NULL;
}

SpMachine *sp_worker_create_machine(const SpScriptMachine *wanted, void *data, GError **error)
{
    SpWorker *worker = data;
    const SpTestMachine *first = g_ptr_array_index(sp_test_conf_machines(worker->conf), 0);
    bool is_by_path = wanted->image && strchr(wanted->image, '/');
    /* a path is relative to the script, as it is to test.conf */
    g_autofree char *path = is_by_path ? g_canonicalize_filename(wanted->image, worker->conf->dir)
                                       : g_strdup(wanted->image);
    g_autofree char *fault = find_request_fault(worker, wanted);
    SpTestMachine machine = {
        .name = (char *)wanted->name,
        .image = path ? path : first->image,
        .memory_mib = wanted->memory_mib,
        .cpus = wanted->cpus,
        .nics = (guint)wanted->nics,
    };

    if (fault)
        return refuse_machine(wanted->name, fault, error);
    if (wanted->nics > 0)
        memcpy(machine.networks, wanted->networks, wanted->nics * sizeof *wanted->networks);
    if (wanted->disk || is_by_path)
        sp_worker_send(worker, SP_MESSAGE_FOREIGN, SP_OUTCOME_NONE, NULL, 0);
    if (!create_and_add(worker, &machine, wanted->disk, error))
        return NULL;
    return g_ptr_array_index(worker->machines, worker->machines->len - 1);
}
