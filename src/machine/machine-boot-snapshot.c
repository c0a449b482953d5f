/* SPDX-License-Identifier: MIT */

/* A machine that is started or reset continues from where it first reads its disk: see
 * boot-snapshot.h. */

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
#define NODE "boot-snapshot0"
#define SNAPSHOT "first read"
/* If a reset is reported later than this, the guest may have read something already; no kernel is
 * up so soon. */
#define RESET_HEARD_US (G_TIME_SPAN_SECOND / 10)

struct SpBootSnapshot {
    char *dir;
    int fd;               /* our copy; -1: none yet */
    bool is_open;         /* QEMU has it open */
    guint reset_source;   /* is about to load it; 0: none */
    gint64 reset_time_us; /* when that reset was, in real time */
};

static char *make_snapshot_path(const SpMachineConfig *config, const char *dir)
{
    g_autofree char *name = g_strconcat(config->name, ".boot", NULL);

    return g_build_filename(dir, name, NULL);
}

static bool add_snapshot_node(SpMachine *machine, const char *path, GError **error)
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

static bool sync_file(const char *path, GError **error)
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

static bool make_snapshot(SpMachine *machine, const char *path, GError **error)
{
    const char *const argv[] = {"qemu-img", "create", "-q", "-f", "qcow2", path, "64K", NULL};

    machine->stops_at_first_read = true;
    return sp_process_run(argv, NULL, 0, CREATE_TIMEOUT_MS, error) &&
           sp_machine_switch_on(machine, true, error) && add_snapshot_node(machine, path, error) &&
           wait_for_first_read(machine, error) &&
           sp_machine_run_snapshot_job(machine, "snapshot-save", SNAPSHOT, NODE, error) &&
           sp_machine_quit(machine, error) && sync_file(path, error);
}

bool sp_boot_snapshot_make(const SpMachineConfig *config, const char *dir, GError **error)
{
    g_autofree char *path = make_snapshot_path(config, dir);
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
    is_good = machine && make_snapshot(machine, path, error);
    sp_machine_free(machine);
    sp_switch_free(nobody);
    return is_good;
}

/* A copy of our own, since QEMU insists on loading from a file that it can write to; negative with
 * @error. */
static int copy_snapshot(const SpMachine *machine, GError **error)
{
    g_autofree char *path = make_snapshot_path(&machine->config, machine->boot_snapshot->dir);
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

static bool load_snapshot(SpMachine *machine, GError **error)
{
    SpBootSnapshot *snapshot = machine->boot_snapshot;
    g_autofree char *path = NULL;

    if (snapshot->fd < 0)
        snapshot->fd = copy_snapshot(machine, error);
    if (snapshot->fd < 0)
        return false;
    /* its only name */
    path = g_strdup_printf("/proc/%d/fd/%d", (int)getpid(), snapshot->fd);
    if (!snapshot->is_open && !add_snapshot_node(machine, path, error))
        return false;
    snapshot->is_open = true;
    if (!sp_machine_run_snapshot_job(machine, "snapshot-load", SNAPSHOT, NODE, error) ||
        !sp_machine_pull_cables(machine, error) ||
        !sp_machine_command(machine, error, "cont", NULL))
        return false;
    sp_log(machine->config.log, machine->config.name, "continues from its boot snapshot");
    return true;
}

/* The guest is stopped meanwhile. Nothing may ask it for anything, as a script's conditions do
 * during a wait, and nothing may leave it stopped. Takes some tenths of a second. */
static SpInterrupt suspend_interrupt(SpMachine *machine)
{
    SpInterrupt former = machine->config.interrupt;

    machine->config.interrupt = (SpInterrupt){0};
    return former;
}

bool sp_machine_load_boot_snapshot(SpMachine *machine, GError **error)
{
    SpInterrupt interrupt = suspend_interrupt(machine);
    bool is_good = load_snapshot(machine, error);

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
    age_us = g_get_real_time() - machine->boot_snapshot->reset_time_us;
    if (age_us < 0 || age_us >= RESET_HEARD_US) {
        sp_machine_try_command(machine, "cont", NULL);
        return;
    }
    if (load_snapshot(machine, &error))
        return;
    sp_log(machine->config.log, machine->config.name,
        "warning: it boots in full after a reset from now on: %s", error->message);
    sp_machine_use_boot_snapshot(machine, NULL);
    if (sp_machine_command(machine, NULL, "system_reset", NULL))
        sp_machine_try_command(machine, "cont", NULL);
}

static gboolean on_reset(void *data)
{
    SpMachine *machine = data;
    SpInterrupt interrupt;
    gint64 begin_us;

    machine->boot_snapshot->reset_source = 0;
    /* a QEMU that is being killed is up, but no longer answers */
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

void sp_machine_load_boot_snapshot_after_reset(SpMachine *machine)
{
    SpBootSnapshot *snapshot = machine->boot_snapshot;

    if (!snapshot || snapshot->reset_source != 0)
        return;
    snapshot->reset_time_us = sp_qmp_event_time_us(machine->qmp);
    snapshot->reset_source = g_idle_add_full(G_PRIORITY_HIGH, on_reset, machine, NULL);
}

void sp_machine_release_boot_snapshot(SpMachine *machine)
{
    SpBootSnapshot *snapshot = machine->boot_snapshot;

    if (!snapshot)
        return;
    snapshot->is_open = false;
    if (snapshot->reset_source != 0)
        g_source_remove(snapshot->reset_source);
    snapshot->reset_source = 0;
}

static void free_snapshot(SpBootSnapshot *snapshot)
{
    if (snapshot->fd >= 0)
        close(snapshot->fd);
    g_free(snapshot->dir);
    g_free(snapshot);
}

void sp_machine_use_boot_snapshot(SpMachine *machine, const char *dir)
{
    sp_machine_release_boot_snapshot(machine);
    g_clear_pointer(&machine->boot_snapshot, free_snapshot);
    if (!dir)
        return;
    machine->boot_snapshot = g_new0(SpBootSnapshot, 1);
    machine->boot_snapshot->dir = g_strdup(dir);
    machine->boot_snapshot->fd = -1;
}
