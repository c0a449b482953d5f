/* SPDX-License-Identifier: MIT */
#include "fake-machine.h"

#include "base/error.h"
#include "machine/boot-snapshot.h"
#include "machine/machine-checkpoint.h"
#include "machine/machine-console.h"
#include "machine/machine-disk.h"
#include "machine/machine-guest.h"
#include "machine/machine-monitor.h"
#include "machine/machine-network.h"
#include "machine/machine-screen.h"
#include "machine/machine-snapshot.h"
#include "machine/machine-terminal.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

struct SpMachine {
    char *name;
    char *out_dir;
    double time_factor;
    SpLog *log;
    SpInterrupt interrupt;
    SpMachineConfig config;
    bool is_up;
    bool is_frozen;
    bool is_in_former_boot;
    guint thirds;
    GPtrArray *commands;
};

SpMachine *sp_machine_new(const SpMachineConfig *config, GError **error)
{
    SpMachine *machine = g_new0(SpMachine, 1);

    machine->config = *config;
    machine->name = g_strdup(config->name);
    machine->out_dir = g_strdup(config->out_dir);
    machine->time_factor = config->accel ? config->accel->time_factor : 1;
    machine->log = config->log;
    machine->interrupt = config->interrupt;
    machine->commands = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_add(machine->commands, NULL);
    return machine;
}

void sp_machine_free(SpMachine *machine)
{
    if (!machine)
        return;
    g_ptr_array_unref(machine->commands);
    g_free(machine->name);
    g_free(machine->out_dir);
    g_free(machine);
}

const char *sp_machine_name(SpMachine *machine)
{
    return machine->name;
}

bool sp_machine_is_up(SpMachine *machine)
{
    return machine->is_up;
}

int sp_machine_pid(SpMachine *machine)
{
    return machine->is_up ? 4711 : 0;
}

bool sp_machine_answers(SpMachine *machine)
{
    return machine->is_up;
}

bool sp_machine_keep_disk(SpMachine *machine, const char *path, GError **error)
{
    return g_file_set_contents(path, "disk", 4, error);
}

const char *sp_machine_out_dir(SpMachine *machine)
{
    return machine->out_dir;
}

double sp_machine_time_factor(SpMachine *machine)
{
    return machine->time_factor;
}

char **fake_machine_commands(SpMachine *machine)
{
    return (char **)machine->commands->pdata;
}

static void keep(SpMachine *machine, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void keep(SpMachine *machine, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_ptr_array_insert(
        machine->commands, (gint)machine->commands->len - 1, g_strdup_vprintf(format, args));
    va_end(args);
}

bool sp_machine_start(SpMachine *machine, bool allow_reboot, GError **error)
{
    keep(machine, "start %d", allow_reboot);
    machine->is_up = true;
    return true;
}

bool sp_machine_connect(SpMachine *machine, gint64 timeout_ms, GError **error)
{
    machine->is_up = true;
    machine->is_in_former_boot = false;
    return true;
}

void sp_machine_expect_boot(SpMachine *machine)
{
    machine->is_in_former_boot = true;
}

bool sp_machine_is_connected(SpMachine *machine)
{
    return machine->is_up && !machine->is_in_former_boot;
}

bool sp_machine_wait_for_boot(SpMachine *machine, gint64 timeout_ms, GError **error)
{
    keep(machine, "wait_for_boot %" G_GINT64_FORMAT, timeout_ms);
    return true;
}

char *sp_machine_boot_id(SpMachine *machine)
{
    return g_strdup(machine->is_up ? "01234567-89ab-cdef-0123-456789abcdef" : "");
}

static bool switch_off(SpMachine *machine, const char *how)
{
    keep(machine, "%s", how);
    machine->is_up = false;
    return true;
}

bool sp_machine_shutdown(SpMachine *machine, gint64 timeout_ms, GError **error)
{
    return switch_off(machine, "shutdown");
}

bool sp_machine_crash(SpMachine *machine, GError **error)
{
    return switch_off(machine, "crash");
}

bool sp_machine_wait_for_shutdown(SpMachine *machine, gint64 timeout_ms, GError **error)
{
    return switch_off(machine, "wait_for_shutdown");
}

bool sp_machine_reboot(SpMachine *machine, gint64 timeout_ms, GError **error)
{
    keep(machine, "reboot");
    return true;
}

void sp_command_result_clear(SpCommandResult *result)
{
    if (result->output)
        g_string_free(result->output, TRUE);
    if (result->errors)
        g_string_free(result->errors, TRUE);
    memset(result, 0, sizeof *result);
}

static bool hang(SpMachine *machine, gint64 timeout_ms, int *ret_status, GError **error)
{
    *ret_status = 124;
    return sp_pause(timeout_ms, &machine->interrupt, error);
}

static bool fail(GError **error, SpErrorCode code, const char *message)
{
    g_set_error_literal(error, SP_ERROR, (gint)code, message);
    return false;
}

/* As systemd answers for units whose names tell their state. */
static void answer_unit(SpMachine *machine, const char *command, GString *output, int *ret_status)
{
    if (strstr(command, "list-jobs"))
        g_string_append(output, "No jobs running.\n");
    else if (strstr(command, "absent"))
        *ret_status = 1;
    else if (strstr(command, "ActiveState"))
        g_string_append_printf(output, "ActiveState=%s\n",
            strstr(command, "broken")                          ? "failed"
            : strstr(command, "idle")                          ? "inactive"
            : strstr(command, "slow") && ++machine->thirds < 3 ? "activating"
                                                               : "active");
    else if (!strstr(command, "--property"))
        g_string_append(output, "Id=a.service\nActiveState=active\nEnvironment=A=B\n\n");
}

bool sp_machine_execute(SpMachine *machine, const char *command, gint64 timeout_ms,
    SpCommandResult *ret_result, GError **error)
{
    g_auto(GStrv) words = g_strsplit(command, " ", 2);
    const char *rest = words[0] && words[1] ? words[1] : "";
    const char *word = words[0] ? words[0] : "";
    g_autoptr(GString) output = g_string_new(NULL);
    g_autoptr(GString) errors = g_string_new(NULL);
    int status = 0;

    keep(machine, "%" G_GINT64_FORMAT " %s", timeout_ms, command);
    if (g_str_equal(word, "echo"))
        g_string_append_printf(output, "%s\n", rest);
    else if (g_str_equal(word, "complain"))
        g_string_append_printf(errors, "%s\n", rest), status = 1;
    else if (g_str_equal(word, "exit"))
        status = (int)strtol(rest, NULL, 10);
    else if (g_str_equal(word, "big"))
        g_string_set_size(output, (gsize)strtol(rest, NULL, 10)),
            memset(output->str, 'x', output->len), status = 1;
    else if (g_str_equal(word, "bytes"))
        g_string_append(output, "a\xff"
                                "b");
    else if (g_str_equal(word, "fold"))
        g_string_append_printf(output, "screen %u\n", machine->commands->len),
            status = strstr(command, "vcs63") ? 1 : 0;
    else if (g_str_equal(word, "once")) { /* it ends by itself the first time only */
        g_string_append(errors, "ping: not found\n");
        status = 127;
        if (machine->thirds++ > 0 && !hang(machine, timeout_ms, &status, error))
            return false;
    } else if (g_str_equal(word, "third"))
        status = ++machine->thirds < 3;
    else if (g_str_equal(word, "sigint"))
        raise(SIGINT);
    else if (g_str_equal(word, "die"))
        raise(SIGKILL);
    else if (g_str_equal(word, "systemctl") || g_str_equal(word, "su"))
        answer_unit(machine, command, output, &status);
    else if (g_str_equal(word, "freeze"))
        machine->is_frozen = true;
    else if (g_str_equal(word, "for"))
        status = strstr(rest, "late") ? ++machine->thirds < 3 : strstr(rest, "absent") != NULL;
    else if (g_str_equal(word, "printf"))
        g_string_append(output, "/root/x"), status = strstr(rest, "nobody") ? 1 : 0;
    else if (g_str_equal(word, "journalctl"))
        g_string_append(output, "the journal\n");
    else if (g_str_equal(word, "panic"))
        return fail(error, SP_ERROR_MACHINE, "the kernel gave up");
    else if (g_str_equal(word, "refuse"))
        return fail(error, SP_ERROR_GUEST, "the guest refused");
    else if (!g_str_equal(word, "sleep") && !g_str_equal(word, "hang"))
        status = 127;
    if (((g_str_equal(word, "journalctl") && machine->is_frozen) || g_str_equal(word, "hang") ||
            g_str_equal(word, "sigint")) &&
        !hang(machine, timeout_ms, &status, error))
        return false;
    ret_result->timed_out = status == 124;
    ret_result->status = status;
    ret_result->output = g_steal_pointer(&output);
    ret_result->errors = g_steal_pointer(&errors);
    return true;
}

bool sp_machine_execute_detached(
    SpMachine *machine, const char *command, gint64 timeout_ms, GError **error)
{
    keep(machine, "detached %s", command);
    return true;
}

bool sp_machine_wait_for_unit(
    SpMachine *machine, const char *unit, gint64 timeout_ms, GError **error)
{
    keep(machine, "wait_for_unit %s %" G_GINT64_FORMAT, unit, timeout_ms);
    return !strstr(unit, "broken") || fail(error, SP_ERROR_ASSERTION, "the unit failed");
}

bool sp_machine_wait_for_file(
    SpMachine *machine, const char *path, gint64 timeout_ms, GError **error)
{
    int status;

    keep(machine, "wait_for_file %s %" G_GINT64_FORMAT, path, timeout_ms);
    if (strstr(path, "slow"))
        return hang(machine, timeout_ms, &status, error);
    return !strstr(path, "absent") || fail(error, SP_ERROR_TIMEOUT, "no such file in time");
}

bool sp_machine_wait_for_port(SpMachine *machine, const char *address, guint port, bool open,
    gint64 timeout_ms, GError **error)
{
    keep(machine, "wait_for_port %s %u %d %" G_GINT64_FORMAT, address, port, open, timeout_ms);
    return true;
}

bool sp_machine_wait_for_console_text(
    SpMachine *machine, const char *regex, gint64 timeout_ms, GError **error)
{
    keep(machine, "wait_for_console_text %s %" G_GINT64_FORMAT, regex, timeout_ms);
    return !g_str_equal(regex, "(") ||
           fail(error, SP_ERROR_USAGE, "not a valid regular expression");
}

bool sp_machine_copy_from_host(
    SpMachine *machine, const char *source, const char *target, GError **error)
{
    keep(machine, "copy_from_host %s %s", source, target);
    return true;
}

bool sp_machine_copy_from_machine(
    SpMachine *machine, const char *source, const char *target_dir, GError **error)
{
    keep(machine, "copy_from_machine %s '%s'", source, target_dir);
    return true;
}

char *sp_machine_console_tail(SpMachine *machine, guint lines)
{
    return machine->is_up ? g_strdup_printf("last words of %s\n", machine->name) : g_strdup("");
}

char *sp_machine_console_log(SpMachine *machine)
{
    return g_strdup_printf("last words of %s\n", machine->name);
}

const SpMachineConfig *sp_machine_config(SpMachine *machine)
{
    return &machine->config;
}

bool sp_machine_wait_for_rest(SpMachine *machine, GError **error)
{
    return true;
}

bool sp_machine_stop(SpMachine *machine, GError **error)
{
    if (!machine->is_up)
        g_set_error(error, SP_ERROR, SP_ERROR_MACHINE, "is not running");
    return machine->is_up;
}

void sp_machine_keep_memory(SpMachine *machine, const char *dir)
{
}

/* The commands so far stand for the machine's state. */
bool sp_machine_save_checkpoint(SpMachine *machine, const char *dir, GError **error)
{
    g_autofree char *path = g_strdup_printf("%s/%s.ram", dir, machine->name);
    g_autofree char *text = g_strjoinv("\n", fake_machine_commands(machine));

    return g_file_set_contents(path, text, -1, error);
}

bool sp_machine_begin_restore(SpMachine *machine, const char *dir, GError **error)
{
    return true;
}

bool sp_machine_restore_checkpoint(SpMachine *machine, const char *dir, GError **error)
{
    g_autofree char *path = g_strdup_printf("%s/%s.ram", dir, machine->name);
    g_autofree char *text = NULL;

    if (!g_file_get_contents(path, &text, NULL, error))
        return false;
    machine->is_up = true;
    return true;
}

const char *sp_machine_image_dir(SpMachine *machine)
{
    return "/images/fake";
}

bool sp_machine_qmp(SpMachine *machine, const char *command, const char *arguments,
    char **ret_answer, GError **error)
{
    keep(machine, "qmp %s %s", command, arguments ? arguments : "");
    if (g_str_equal(command, "refused")) {
        g_set_error_literal(error, SP_ERROR, SP_ERROR_GUEST, "QEMU refused");
        return false;
    }
    *ret_answer = g_strdup("{\"status\": [1, \"\u00e9\"]}");
    return true;
}

bool sp_machine_qmp_refusal(
    SpMachine *machine, const char **ret_class, const char **ret_description)
{
    *ret_class = "CommandNotFound";
    *ret_description = "The command refused has not been found";
    return true;
}

bool sp_machine_wait_for_event(
    SpMachine *machine, const char *event, gint64 timeout_ms, char **ret_data, GError **error)
{
    keep(machine, "wait_for_event %s %d", event ? event : "any", timeout_ms > 0);
    *ret_data =
        event ? g_strdup("{}") : g_strdup_printf("{\"event\": \"E%u\"}", machine->commands->len);
    return true;
}

GBytes *sp_machine_read_disk(SpMachine *machine, guint64 offset, gsize size, GError **error)
{
    guint8 *data = g_malloc(size + 1);

    memset(data, (int)(offset & 0xff), size);
    keep(machine, "read_disk %" G_GUINT64_FORMAT " %" G_GSIZE_FORMAT, offset, size);
    return g_bytes_new_take(data, size);
}

bool sp_machine_disk_written(SpMachine *machine, guint64 *ret_bytes, GError **error)
{
    *ret_bytes = G_GUINT64_CONSTANT(5000000000);
    return true;
}

bool sp_machine_wait_for_disk_written(
    SpMachine *machine, guint64 bytes, gint64 timeout_ms, GError **error)
{
    keep(machine, "wait_for_disk_written %" G_GUINT64_FORMAT " %" G_GINT64_FORMAT, bytes,
        timeout_ms);
    return true;
}

bool sp_machine_record_disk(SpMachine *machine, const char *folder, GError **error)
{
    keep(machine, "record_disk %s", folder);
    return !g_str_equal(folder, "there") || fail(error, SP_ERROR_USAGE, "is there already");
}

bool sp_machine_mark_recording(
    SpMachine *machine, const char *name, guint64 *ret_entries, GError **error)
{
    keep(machine, "mark_recording %s", name);
    *ret_entries = G_GUINT64_CONSTANT(6000000000);
    return !g_str_equal(name, "late") || fail(error, SP_ERROR_USAGE, "is not being recorded");
}

bool sp_machine_stop_recording(SpMachine *machine, GError **error)
{
    keep(machine, "stop_recording");
    return true;
}

bool sp_machine_set_links(SpMachine *machine, const char *network, bool are_up, GError **error)
{
    keep(machine, "set_links %s %d", network ? network : "all", are_up);
    return true;
}

bool sp_machine_set_cable(
    SpMachine *machine, const char *network, double loss, guint delay_ms, GError **error)
{
    keep(machine, "set_cable %s %.3f %u", network, loss, delay_ms);
    return !g_str_equal(network, "9") || fail(error, SP_ERROR_USAGE, "its networks are 1, 2");
}

bool sp_machine_forward_port(
    SpMachine *machine, guint host_port, guint guest_port, guint *ret_port, GError **error)
{
    keep(machine, "forward_port %u %u", host_port, guest_port);
    *ret_port = host_port == 0 ? 40000 : host_port;
    return host_port != 9 || fail(error, SP_ERROR_USAGE, "port 9 is in use");
}

bool sp_machine_wait_for_unix_socket(
    SpMachine *machine, const char *path, bool is_datagram, gint64 timeout_ms, GError **error)
{
    keep(machine, "wait_for_unix_socket %s %d %" G_GINT64_FORMAT, path, is_datagram, timeout_ms);
    return true;
}

bool sp_machine_switch_root(SpMachine *machine, gint64 timeout_ms, GError **error)
{
    keep(machine, "switch_root");
    return true;
}

bool sp_machine_shell_interact(SpMachine *machine, int input_fd, int output_fd, GError **error)
{
    keep(machine, "shell %d %d", input_fd, output_fd);
    return true;
}

bool sp_machine_console_interact(SpMachine *machine, int input_fd, int output_fd, GError **error)
{
    keep(machine, "console %d %d", input_fd, output_fd);
    return fail(error, SP_ERROR_USAGE, "there is no terminal");
}

bool sp_machine_screenshot(SpMachine *machine, const char *path, GError **error)
{
    keep(machine, "screenshot %s", path);
    (void)g_file_set_contents(path, "\x89PNG\r\n\x1a\n", 8, NULL);
    return !strstr(path, "old") || fail(error, SP_ERROR_USAGE, "this QEMU is too old");
}

char **sp_machine_screen_text(SpMachine *machine, guint variants, GError **error)
{
    const char *texts[] = {"l0gin:", "login:", "", NULL};

    keep(machine, "screen_text %u", variants);
    texts[MIN(variants, 3)] = NULL;
    return g_strdupv((char **)texts);
}

bool sp_machine_wait_for_text(
    SpMachine *machine, const char *regex, gint64 timeout_ms, GError **error)
{
    keep(machine, "wait_for_text %s %" G_GINT64_FORMAT, regex, timeout_ms);
    return !strstr(regex, "absent") || fail(error, SP_ERROR_TIMEOUT, "no such text in time");
}

bool sp_machine_send_key(SpMachine *machine, const char *key, GError **error)
{
    keep(machine, "send_key %s", key);
    return !g_str_equal(key, "none") || fail(error, SP_ERROR_USAGE, "no key");
}

bool sp_machine_send_chars(SpMachine *machine, const char *text, gint64 delay_ms, GError **error)
{
    keep(machine, "send_chars %s %" G_GINT64_FORMAT, text, delay_ms);
    return true;
}

bool sp_machine_send_console(SpMachine *machine, const guint8 *data, gsize length, GError **error)
{
    keep(machine, "send_console %zu %s", length, (const char *)data);
    return true;
}

bool sp_machine_save_snapshot(SpMachine *machine, const char *name, GError **error)
{
    keep(machine, "save_snapshot %s", name);
    return true;
}

bool sp_boot_snapshot_make(const SpMachineConfig *config, const char *dir, GError **error)
{
    return true;
}

void sp_machine_use_boot_snapshot(SpMachine *machine, const char *dir)
{
}

bool sp_machine_save_disk_snapshot(SpMachine *machine, const char *name, GError **error)
{
    keep(machine, "save_disk_snapshot %s", name);
    return true;
}

bool sp_machine_load_disk_snapshot(SpMachine *machine, const char *name, GError **error)
{
    keep(machine, "load_disk_snapshot %s", name);
    return true;
}

bool sp_machine_load_snapshot(SpMachine *machine, const char *name, GError **error)
{
    keep(machine, "load_snapshot %s", name);
    return true;
}
