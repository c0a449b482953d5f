/* SPDX-License-Identifier: MIT */

/* What the driver asks of a machine's QEMU: a line for each QMP command. */

#include "base/error.h"
#include "machine/machine-private.h"

static json_t *execute_packed(
    SpMachine *machine, GError **error, const char *command, const char *format, va_list values)
{
    json_error_t fault;
    json_t *arguments = format ? json_vpack_ex(&fault, 0, format, values) : NULL;
    json_t *answer = NULL;

    if (format && !arguments) {
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
            "the arguments of QMP's '%s' can't be written as JSON: %s", command, fault.text);
    } else if (!machine->qmp) {
        json_decref(arguments);
        g_set_error(error, SP_ERROR, SP_ERROR_MACHINE, "is not running");
    } else if (sp_qmp_execute(machine->qmp, command, arguments, SP_COMMAND_TIMEOUT_MS,
                   &machine->config.interrupt, &answer, error)) {
        return answer;
    }
    return NULL;
}

json_t *sp_machine_query(
    SpMachine *machine, GError **error, const char *command, const char *format, ...)
{
    json_t *answer;
    va_list values;

    va_start(values, format);
    answer = execute_packed(machine, error, command, format, values);
    va_end(values);
    return answer;
}

bool sp_machine_command(
    SpMachine *machine, GError **error, const char *command, const char *format, ...)
{
    json_auto_t *answer = NULL;
    va_list values;

    va_start(values, format);
    answer = execute_packed(machine, error, command, format, values);
    va_end(values);
    return answer != NULL;
}

void sp_machine_try_command(SpMachine *machine, const char *command, const char *format, ...)
{
    json_auto_t *answer = NULL;
    va_list values;

    va_start(values, format);
    answer = execute_packed(machine, NULL, command, format, values);
    va_end(values);
}

bool sp_machine_wait_own_event(
    SpMachine *machine, const char *event, json_t **ret_data, GError **error)
{
    return sp_qmp_wait_event(machine->qmp, event, SP_TRANSFER_TIMEOUT_MS,
        &machine->config.interrupt, NULL, ret_data, error);
}

bool sp_machine_quit(SpMachine *machine, GError **error)
{
    return sp_machine_command(machine, error, "quit", NULL) &&
           sp_process_wait(
               machine->qemu, sp_deadline(SP_END_TIMEOUT_MS), &machine->config.interrupt, error);
}
