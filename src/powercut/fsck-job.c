/* SPDX-License-Identifier: MIT */
#include "powercut/fsck-job.h"

#include "base/error.h"
#include "base/process.h"
#include "powercut/crash-file.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define TIMEOUT_MS 60000
#define PROBE_FD 3

struct SpProbeCopy {
    int fd; /* memory */
    SpCrashFile *file;
};

struct SpProbe {
    const SpProbeCopy *copy;
    SpProcess *process;
    char *program;
    gint64 deadline;
};

SpProbeCopy *sp_probe_copy_new(
    const SpCrashDisk *disk, guint64 offset, guint64 length, const SpTask *task, GError **error)
{
    g_autoptr(SpProbeCopy) copy = g_new0(SpProbeCopy, 1);
    g_autofree char *path = NULL;

    copy->fd = memfd_create("slotproof-probe", MFD_CLOEXEC);
    if (copy->fd < 0) {
        g_set_error(error, SP_ERROR, SP_ERROR_HOST, "no memory for a copy of a partition: %s",
            g_strerror(errno));
        return NULL;
    }
    path = g_strdup_printf("/proc/self/fd/%d", copy->fd);
    copy->file = sp_crash_file_new(disk, path, offset, length, task, error);
    return copy->file ? g_steal_pointer(&copy) : NULL;
}

void sp_probe_copy_free(SpProbeCopy *copy)
{
    if (!copy)
        return;
    sp_crash_file_free(copy->file);
    if (copy->fd >= 0)
        close(copy->fd);
    g_free(copy);
}

SpProbe *sp_probe_start(SpProbeCopy *copy, const char *const *argv, GError **error)
{
    g_autoptr(SpProbe) probe = g_new0(SpProbe, 1);
    SpProcessFd fd = {.from = copy->fd, .to = PROBE_FD};

    probe->copy = copy;
    if (!sp_crash_file_update(copy->file, error))
        return NULL;
    probe->program = g_strdup(argv[0]);
    probe->deadline = sp_deadline(TIMEOUT_MS);
    probe->process = sp_process_start(argv, &fd, 1, error);
    return probe->process ? g_steal_pointer(&probe) : NULL;
}

void sp_probe_free(SpProbe *probe)
{
    if (!probe)
        return;
    sp_process_free(probe->process);
    g_free(probe->program);
    g_free(probe);
}

bool sp_probe_wait(SpProbe *probe, const SpInterrupt *interrupt, int *ret_status, GError **error)
{
    g_autoptr(GError) local = NULL;
    int status;

    if (!sp_process_wait(probe->process, probe->deadline, interrupt, &local)) {
        if (g_error_matches(local, SP_ERROR, SP_ERROR_TIMEOUT))
            g_set_error(error, SP_ERROR, SP_ERROR_TIMEOUT, "'%s' did not end within a minute",
                probe->program);
        else
            g_propagate_error(error, g_steal_pointer(&local));
        return false;
    }
    status = sp_process_wait_status(probe->process);
    *ret_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return true;
}

char *sp_probe_output(SpProbe *probe)
{
    return sp_process_output(probe->process);
}

int sp_probe_fd(const SpProbe *probe)
{
    return probe->copy->fd;
}
