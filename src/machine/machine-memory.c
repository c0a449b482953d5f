/* SPDX-License-Identifier: MIT */

/* A machine's memory as a file (qemu/memory-file.h): of a checkpoint that is being made, or of one
 * that the machine starts from. */

#include "base/error.h"
#include "machine/machine-checkpoint.h"
#include "machine/machine-private.h"
#include "qemu/command.h"
#include "qemu/memory-file.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static guint64 memory_size(const SpMachine *machine)
{
    return (guint64)machine->config.memory_mib << 20;
}

char *sp_machine_memory_path(const SpMachine *machine, const char *dir)
{
    g_autofree char *name = g_strconcat(machine->config.name, ".ram", NULL);

    return g_build_filename(dir, name, NULL);
}

static void forget_memory(SpMachine *machine)
{
    if (machine->memory_fd >= 0)
        close(machine->memory_fd);
    machine->memory_fd = -1;
    machine->memory_is_own = false;
}

void sp_machine_clear_memory(SpMachine *machine)
{
    forget_memory(machine);
    g_free(machine->memory_path);
}

void sp_machine_keep_memory(SpMachine *machine, const char *dir)
{
    g_autofree char *path = sp_machine_memory_path(machine, dir);
    g_autoptr(GError) error = NULL;
    int fd = sp_memory_file_create(path, memory_size(machine), &error);

    g_assert(machine->memory_fd < 0 && !machine->qemu);
    if (fd < 0) {
        sp_log(machine->config.log, machine->config.name,
            "warning: its checkpoint takes longer to make and to start from: %s", error->message);
        return;
    }
    machine->memory_fd = fd;
    machine->memory_is_own = true;
    machine->memory_path = g_steal_pointer(&path);
}

/* A checkpoint that is made from another one has a copy of that file. */
static bool copy_template(SpMachine *machine, const char *path, GError **error)
{
    int from = sp_memory_file_open(path, memory_size(machine), error);
    bool is_good = from >= 0 && sp_memory_file_copy(from, machine->memory_fd, error);

    if (from >= 0)
        close(from);
    return is_good;
}

bool sp_machine_use_template(SpMachine *machine, const char *dir, GError **error)
{
    g_autofree char *path = sp_machine_memory_path(machine, dir);

    machine->has_template = access(path, F_OK) == 0;
    if (!machine->has_template)
        return true;
    if (machine->memory_is_own)
        return copy_template(machine, path, error);
    machine->memory_fd = sp_memory_file_open(path, memory_size(machine), error);
    g_free(machine->memory_path);
    machine->memory_path = g_steal_pointer(&path);
    return machine->memory_fd >= 0;
}

bool sp_machine_prepare_memory(SpMachine *machine, guint *ret_flag, GError **error)
{
    guint flag = machine->memory_is_own    ? SP_QEMU_SHARED_MEMORY
                 : machine->memory_fd >= 0 ? SP_QEMU_PRIVATE_MEMORY
                                           : 0;

    /* memory does not survive a power cut */
    if (machine->memory_is_own && !machine->is_incoming &&
        !sp_memory_file_clear(machine->memory_fd, error))
        return false;
    if (flag == 0)
        g_clear_pointer(&machine->memory_path, g_free);
    *ret_flag = flag;
    return true;
}

/* QEMU has it open now; the next start is independent of it. */
void sp_machine_let_go_of_template(SpMachine *machine)
{
    if (!machine->memory_is_own)
        forget_memory(machine);
}

char *sp_machine_memory_fault(const SpMachine *machine)
{
    int status = sp_process_wait_status(machine->qemu);

    if (!machine->memory_path || !WIFSIGNALED(status) || WTERMSIG(status) != SIGBUS)
        return NULL;
    return machine->memory_is_own
               ? g_strdup_printf(
                     "QEMU was killed because its memory, the file '%s', could not grow: "
                     "free some space on that disk, or set XDG_CACHE_HOME to another",
                     machine->memory_path)
               : g_strdup_printf(
                     "QEMU was killed because its memory could not be read from '%s': it "
                     "was truncated, or can't be read from the disk",
                     machine->memory_path);
}
