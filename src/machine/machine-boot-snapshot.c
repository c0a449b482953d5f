/* SPDX-License-Identifier: MIT */

/* A machine that is switched on, or reset, goes on from where it first reads its disk: see
 * power-on.h. */

#include "base/error.h"
#include "base/json.h"
#include "base/unnamed-file.h"
#include "machine/boot-snapshot.h"
#include "machine/machine-private.h"
#include "qemu/command.h"
#include "qemu/copy-data.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define FIRST_READ_TIMEOUT_MS 60000
#define CREATE_TIMEOUT_MS 60000
#define NODE "power-on0"
#define SNAPSHOT "first read"
/* After a reset that we hear of later than this, the guest may have read something: no kernel is up
 * so soon. */
#define RESET_HEARD_US (G_TIME_SPAN_SECOND / 10)

static char *file_of(const SpMachineConfig *config, const char *dir)
{
    g_autofree char *name = g_strconcat(config->name, ".power-on", NULL);

    return g_build_filename(dir, name, NULL);
}

static bool add_node(SpMachine *machine, const char *path, GError **error)
{
    return sp_machine_command(machine, error, "blockdev-add", "{s:s, s:s, s:{s:b}, s:{s:s, s:s}}",
        "driver", "qcow2", "node-name", NODE, "cache", "no-flush", 1, "file", "driver", "file",
        "filename", path);
}

static bool wait_for_first_read(SpMachine *machine, GError **error)
{
    if (sp_qmp_wait_event(machine->qmp, "BLOCK_IO_ERROR", FIRST_READ_TIMEOUT_MS,
            &machine->config.interrupt, NULL, NULL, error))
        return true;
    g_prefix_error(error, "it has not read its disk yet: ");
    return false;
}

static bool make_durable(const char *path, GError **error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool is_good = fd >= 0 && fsync(fd) == 0;

    if (!is_good)
        g_set_error(
            error, SP_ERROR, SP_ERROR_HOST, "'%s' can't be kept: %s", path, g_strerror(errno));
    if (fd >= 0)
        close(fd);
    return is_good;
}

static bool make(SpMachine *machine, const char *path, GError **error)
{
    const char *const argv[] = {"qemu-img", "create", "-q", "-f", "qcow2", path, "64K", NULL};

    machine->is_until_first_read = true;
    return sp_process_run(argv, NULL, 0, CREATE_TIMEOUT_MS, error) &&
           sp_machine_start(machine, true, error) && add_node(machine, path, error) &&
           wait_for_first_read(machine, error) &&
           sp_machine_run_snapshot_job(machine, "snapshot-save", SNAPSHOT, NODE, error) &&
           sp_machine_quit(machine, error) && make_durable(path, error);
}

bool sp_power_on_make(const SpMachineConfig *config, const char *dir, GError **error)
{
    g_autofree char *path = file_of(config, dir);
    SpMachineConfig own = *config;
    SpSwitch *nobody = sp_switch_new("nobody", 0);
    SpMachine *machine;
    bool is_good;

    for (guint i = 0; i < own.nics; i++)
        own.networks[i] = nobody;
    own.out_dir = dir;
    own.log = NULL;
    own.kept_disk = NULL;
    machine = sp_machine_new(&own, error);
    is_good = machine && make(machine, path, error);
    sp_machine_free(machine);
    sp_switch_free(nobody);
    return is_good;
}

/* A copy of our own, since QEMU loads from what it could write to as well; negative with @error. */
static int copy_state(const SpMachine *machine, GError **error)
{
    g_autofree char *path = file_of(&machine->config, machine->power_on_dir);
    int from = open(path, O_RDONLY | O_CLOEXEC), to = -1;

    if (from >= 0)
        to = sp_unnamed_file_open(error);
    if (from < 0 || (to >= 0 && !sp_copy_data(from, to))) {
        g_set_error(
            error, SP_ERROR, SP_ERROR_HOST, "'%s' can't be copied: %s", path, g_strerror(errno));
        if (to >= 0)
            close(to);
        to = -1;
    }
    if (from >= 0)
        close(from);
    return to;
}

void sp_machine_drop_own_events(SpMachine *machine, gint64 since_us)
{
    static const char *const events[] = {"STOP", "RESUME", "JOB_STATUS_CHANGE"};

    for (gsize i = 0; i < G_N_ELEMENTS(events); i++)
        sp_qmp_drop_events(machine->qmp, events[i], since_us);
}

static bool load(SpMachine *machine, GError **error)
{
    g_autofree char *path = NULL;

    if (machine->power_on_fd < 0)
        machine->power_on_fd = copy_state(machine, error);
    if (machine->power_on_fd < 0)
        return false;
    /* it has no name but this one */
    path = g_strdup_printf("/proc/%d/fd/%d", (int)getpid(), machine->power_on_fd);
    if (!machine->has_power_on_node && !add_node(machine, path, error))
        return false;
    machine->has_power_on_node = true;
    if (!sp_machine_run_snapshot_job(machine, "snapshot-load", SNAPSHOT, NODE, error) ||
        !sp_machine_pull_cables(machine, error) ||
        !sp_machine_command(machine, error, "cont", NULL))
        return false;
    sp_log(machine->config.log, machine->config.name, "goes on from the first read of its disk");
    return true;
}

/* The guest stands still meanwhile: nobody is to ask it for anything, as the conditions of a script
 * do that a wait looks at, and nobody is to leave it so. Takes some tenths of a second. */
static SpInterrupt suspend_interrupt(SpMachine *machine)
{
    SpInterrupt former = machine->config.interrupt;

    machine->config.interrupt = (SpInterrupt){0};
    return former;
}

bool sp_machine_load_power_on(SpMachine *machine, GError **error)
{
    SpInterrupt interrupt = suspend_interrupt(machine);
    bool is_good = load(machine, error);

    if (is_good)
        sp_machine_drop_own_events(machine, 0);
    machine->config.interrupt = interrupt;
    return is_good;
}

/* Whether the guest runs, and was not stopped by whoever has reset it. */
static bool is_guest_running(SpMachine *machine)
{
    json_auto_t *status = sp_machine_query(machine, NULL, "query-status", NULL);

    return sp_json_is_true(status, "running");
}

/* The guest was reset a moment ago. */
static void load_after_reset(SpMachine *machine)
{
    g_autoptr(GError) error = NULL;
    gint64 age_us;

    if (!sp_machine_command(machine, NULL, "stop", NULL))
        return;
    age_us = g_get_real_time() - machine->reset_time_us;
    if (age_us < 0 || age_us >= RESET_HEARD_US) {
        sp_machine_try_command(machine, "cont", NULL);
        return;
    }
    if (load(machine, &error))
        return;
    sp_log(machine->config.log, machine->config.name,
        "warning: it is reset the long way from now on: %s", error->message);
    sp_machine_use_power_on(machine, NULL);
    if (sp_machine_command(machine, NULL, "system_reset", NULL))
        sp_machine_try_command(machine, "cont", NULL);
}

static gboolean on_reset(void *data)
{
    SpMachine *machine = data;
    SpInterrupt interrupt;
    gint64 begin_us;

    machine->reset_source = 0;
    /* a QEMU that is being killed is up, but does not answer any more */
    if (!sp_machine_is_up(machine) || sp_qmp_error(machine->qmp) || machine->has_snapshot_job)
        return G_SOURCE_REMOVE;
    interrupt = suspend_interrupt(machine);
    if (is_guest_running(machine)) {
        begin_us = g_get_real_time();
        load_after_reset(machine);
        sp_machine_drop_own_events(machine, begin_us);
    }
    machine->config.interrupt = interrupt;
    return G_SOURCE_REMOVE;
}

void sp_machine_power_on_after_reset(SpMachine *machine)
{
    if (!machine->power_on_dir || machine->reset_source != 0)
        return;
    machine->reset_time_us = sp_qmp_event_time_us(machine->qmp);
    machine->reset_source = g_idle_add_full(G_PRIORITY_HIGH, on_reset, machine, NULL);
}

void sp_machine_use_power_on(SpMachine *machine, const char *dir)
{
    g_free(machine->power_on_dir);
    machine->power_on_dir = g_strdup(dir);
}
