/* SPDX-License-Identifier: MIT */

/* The life of a machine: what it has, and how its QEMU is started and dropped. */

#include "machine/machine.h"

#include "base/error.h"
#include "machine/boot-snapshot.h"
#include "machine/machine-console.h"
#include "machine/machine-private.h"
#include "qemu/command.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

int sp_machine_pid(SpMachine *machine)
{
    return sp_machine_is_up(machine) ? (int)sp_process_pid(machine->qemu) : 0;
}

char *sp_machine_console_tail(SpMachine *machine, guint lines)
{
    return sp_console_tail(machine->console, lines);
}

char *sp_machine_console_log(SpMachine *machine)
{
    guint64 lines = sp_console_next_line(machine->console) - machine->log_line;

    return sp_console_tail(machine->console, (guint)MIN(lines, G_MAXUINT));
}

gint64 sp_machine_deadline(SpMachine *machine, gint64 timeout_ms)
{
    if (timeout_ms == SP_NO_TIMEOUT)
        return SP_FOREVER;
    if (timeout_ms < 0)
        timeout_ms = (gint64)(SP_DEFAULT_TIMEOUT_MS * sp_machine_time_factor(machine));
    return sp_deadline(timeout_ms);
}

/* From here on the configuration's strings are the machine's own. */
static void copy_strings(SpMachine *machine)
{
    const char **strings[] = {&machine->config.name, &machine->config.out_dir,
        &machine->config.disk, &machine->config.kept_disk};

    machine->config_strings = g_string_chunk_new(256);
    for (gsize i = 0; i < G_N_ELEMENTS(strings); i++) {
        if (*strings[i])
            *strings[i] = g_string_chunk_insert(machine->config_strings, *strings[i]);
    }
}

SpMachine *sp_machine_new(const SpMachineConfig *config, GError **error)
{
    g_autoptr(SpMachine) machine = g_new0(SpMachine, 1);
    g_autofree char *log_name = g_strdup_printf("%s.console", config->name);
    g_autofree char *log_path = g_build_filename(config->out_dir, log_name, NULL);

    machine->config = *config;
    machine->forwards = g_ptr_array_new_with_free_func((GDestroyNotify)sp_forward_free);
    machine->snapshots = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    copy_strings(machine);
    machine->memory_fd = -1;
    if (config->cpus == 0)
        machine->config.cpus = config->image->cpus;
    if (config->memory_mib == 0)
        machine->config.memory_mib = config->image->memory_mib;
    machine->program = sp_qemu_program(config->image->architecture, error);
    if (!machine->program)
        return NULL;
    machine->console = sp_console_new(log_path, sp_machine_on_console_line, machine, error);
    return machine->console ? g_steal_pointer(&machine) : NULL;
}

void sp_machine_drop_qemu(SpMachine *machine)
{
    g_clear_pointer(&machine->qemu, sp_process_free);
    g_clear_pointer(&machine->agent, sp_agent_free);
    g_clear_pointer(&machine->qmp, sp_qmp_free);
    for (guint i = 0; i < machine->config.nics; i++) {
        g_clear_pointer(&machine->ports[i], sp_port_unplug);
        machine->cables[i].is_pulled = false;
    }
    sp_machine_forget_panic(machine);
    g_clear_pointer(&machine->last_line, g_free);
    machine->has_kernel = false;
    g_clear_pointer(&machine->shutdown_reason, g_free);
    g_clear_pointer(&machine->host_failure, g_free);
    sp_machine_release_boot_snapshot(machine);
    if (machine->console)
        sp_console_attach(machine->console, -1);
}

void sp_machine_free(SpMachine *machine)
{
    if (!machine)
        return;
    g_ptr_array_unref(machine->forwards);
    sp_machine_drop_qemu(machine);
    sp_machine_forget_recording(machine);
    sp_console_free(machine->console);
    sp_overlay_free(machine->overlay);
    g_hash_table_unref(machine->snapshots);
    g_free(machine->program);
    g_string_chunk_free(machine->config_strings);
    sp_machine_use_boot_snapshot(machine, NULL);
    sp_machine_clear_memory(machine);
    g_free(machine);
}

const char *sp_machine_name(SpMachine *machine)
{
    return machine->config.name;
}

const SpMachineConfig *sp_machine_config(SpMachine *machine)
{
    return &machine->config;
}

const char *sp_machine_out_dir(SpMachine *machine)
{
    return machine->config.out_dir;
}

double sp_machine_time_factor(SpMachine *machine)
{
    return machine->config.accel->time_factor;
}

bool sp_machine_is_up(SpMachine *machine)
{
    return machine->qemu && !sp_process_has_ended(machine->qemu);
}

/* The order of the sockets. */
enum { SOCKET_QMP, SOCKET_CONSOLE, SOCKET_AGENT, SOCKET_NIC };
#define SOCKETS_MAX (SOCKET_NIC + SP_MACHINE_NICS_MAX)
/* always there; followed by those of the network cards, and two more at most */
#define FDS_FIXED 6u
#define FDS_MAX (FDS_FIXED + SP_MACHINE_NICS_MAX + 2)

typedef struct {
    guint count;
    int ours[SOCKETS_MAX], theirs[SOCKETS_MAX];
} Sockets;

static void close_sockets(int *sockets, guint count)
{
    for (guint i = 0; i < count; i++)
        close(sockets[i]);
}

static bool open_sockets(Sockets *sockets, guint count, GError **error)
{
    for (sockets->count = 0; sockets->count < count; sockets->count++) {
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
            g_set_error(
                error, SP_ERROR, SP_ERROR_HOST, "no socket for a machine: %s", g_strerror(errno));
            close_sockets(sockets->ours, sockets->count);
            close_sockets(sockets->theirs, sockets->count);
            return false;
        }
        sockets->ours[sockets->count] = pair[0];
        sockets->theirs[sockets->count] = pair[1];
    }
    return true;
}

static void plug_in(SpMachine *machine, const Sockets *sockets)
{
    for (guint i = 0; i < machine->config.nics; i++) {
        g_autofree char *name = g_strdup_printf("%s.%u", machine->config.name, i);
        machine->ports[i] =
            sp_switch_plug(machine->config.networks[i], name, sockets->ours[SOCKET_NIC + i]);
        sp_machine_apply_cable(machine, i);
    }
}

static bool starts_from_boot_snapshot(const SpMachine *machine)
{
    return machine->boot_snapshot && !machine->is_incoming;
}

static bool start_qemu(
    SpMachine *machine, bool allow_reboot, guint memory, Sockets *sockets, GError **error)
{
    const guint flags = memory | (allow_reboot ? SP_QEMU_ALLOW_REBOOT : 0) |
                        (machine->is_incoming ? SP_QEMU_INCOMING : 0) |
                        (machine->stops_at_first_read ? SP_QEMU_FIRST_READ : 0) |
                        (starts_from_boot_snapshot(machine) ? SP_QEMU_PAUSED : 0) |
                        (sp_overlay_layer_fd(machine->overlay) >= 0 ? SP_QEMU_LAYER : 0);
    const SpQemuConfig config = sp_machine_qemu_config(&machine->config);
    g_auto(GStrv) argv = sp_qemu_command(machine->program, &config, flags);
    guint count = FDS_FIXED;
    SpProcessFd fds[FDS_MAX] = {
        {sockets->theirs[SOCKET_QMP], SP_QEMU_FD_QMP},
        {sockets->theirs[SOCKET_CONSOLE], SP_QEMU_FD_CONSOLE},
        {sockets->theirs[SOCKET_AGENT], SP_QEMU_FD_AGENT},
        {sp_overlay_rw_fd(machine->overlay), SP_QEMU_FD_DISK_RW},
        {sp_overlay_ro_fd(machine->overlay), SP_QEMU_FD_DISK_RO},
        {sp_overlay_base_fd(machine->overlay), SP_QEMU_FD_DISK_BASE},
    };

    for (guint i = 0; i < machine->config.nics; i++)
        fds[count++] = (SpProcessFd){sockets->theirs[SOCKET_NIC + i], SP_QEMU_FD_NIC + (int)i};
    if (flags & SP_QEMU_LAYER)
        fds[count++] = (SpProcessFd){sp_overlay_layer_fd(machine->overlay), SP_QEMU_FD_DISK_LAYER};
    if (memory)
        fds[count++] = (SpProcessFd){machine->memory_fd, SP_QEMU_FD_MEMORY};
    machine->qemu = sp_process_start((const char *const *)argv, fds, count, error);
    close_sockets(sockets->theirs, sockets->count);
    if (!machine->qemu) {
        close_sockets(sockets->ours, sockets->count);
        return false;
    }
    machine->resets = 0;
    sp_console_begin_anew(machine->console);
    machine->log_line = sp_console_next_line(machine->console);
    machine->qmp = sp_qmp_new(sockets->ours[SOCKET_QMP], sp_machine_on_qmp_event, machine);
    sp_console_attach(machine->console, sockets->ours[SOCKET_CONSOLE]);
    if (machine->config.image->has_agent)
        machine->agent = sp_agent_new(sockets->ours[SOCKET_AGENT]);
    else
        close(sockets->ours[SOCKET_AGENT]);
    if (machine->agent)
        sp_agent_set_ready_func(machine->agent, sp_machine_on_agent_ready, machine);
    plug_in(machine, sockets);
    return true;
}

/* QEMU is there; with a boot snapshot, the guest has not started yet. */
static bool continue_start(SpMachine *machine, bool allow_reboot, GError **error)
{
    g_autoptr(GError) local = NULL;

    if (!starts_from_boot_snapshot(machine) || sp_machine_load_boot_snapshot(machine, &local))
        return true;
    sp_log(machine->config.log, machine->config.name, "warning: it boots in full from now on: %s",
        local->message);
    sp_machine_use_boot_snapshot(machine, NULL);
    sp_process_signal(machine->qemu, SIGKILL);
    return sp_process_wait(machine->qemu, sp_deadline(SP_END_TIMEOUT_MS), NULL, error) &&
           sp_machine_switch_on(machine, allow_reboot, error);
}

bool sp_machine_spawn(SpMachine *machine, bool allow_reboot, GError **error)
{
    Sockets sockets;
    guint memory;

    sp_machine_drop_qemu(machine);
    sp_machine_forget_recording(machine);
    if (!machine->overlay) {
        const SpQemuConfig config = sp_machine_qemu_config(&machine->config);
        const char *format, *disk = sp_qemu_disk(&config, &format);

        machine->overlay = sp_overlay_new(disk, format, machine->config.kept_disk, error);
        if (!machine->overlay)
            return false;
        if (machine->config.kept_disk)
            sp_log(machine->config.log, machine->config.name, "its disk is %s",
                sp_overlay_was_kept(machine->overlay) ? "as it was left the last time"
                                                      : "a fresh one, and will be kept");
    }
    if (!sp_machine_prepare_memory(machine, &memory, error) ||
        !open_sockets(&sockets, SOCKET_NIC + machine->config.nics, error))
        return false;
    machine->boot_begin = g_get_monotonic_time();
    sp_log_mark(machine->config.log, machine->config.name, "start", "starting (%s)",
        machine->config.accel->name);
    return start_qemu(machine, allow_reboot, memory, &sockets, error);
}

bool sp_machine_wait_for_qemu(SpMachine *machine, bool allow_reboot, GError **error)
{
    GError *local = NULL;
    g_autofree char *end = NULL;

    if (sp_machine_command(machine, &local, "query-status", NULL))
        return continue_start(machine, allow_reboot, error);
    /* It is most likely ending, and then has said why on its stderr. */
    if (!g_error_matches(local, SP_ERROR, SP_ERROR_INTERRUPTED) &&
        sp_process_wait(machine->qemu, sp_deadline(SP_END_TIMEOUT_MS), NULL, NULL)) {
        end = sp_machine_describe_end(machine);
        g_clear_error(&local);
        g_set_error_literal(&local, SP_ERROR, SP_ERROR_MACHINE, end);
    }
    sp_machine_drop_qemu(machine);
    g_propagate_error(error, local);
    return false;
}

bool sp_machine_switch_on(SpMachine *machine, bool allow_reboot, GError **error)
{
    return sp_machine_is_up(machine) || (sp_machine_spawn(machine, allow_reboot, error) &&
                                            sp_machine_wait_for_qemu(machine, allow_reboot, error));
}

bool sp_machine_start(SpMachine *machine, bool allow_reboot, GError **error)
{
    GError *local = NULL;

    (void)!sp_machine_switch_on(machine, allow_reboot, &local);
    return sp_machine_report(machine, local, error);
}

const char *sp_machine_image_dir(SpMachine *machine)
{
    return machine->config.image->dir;
}
