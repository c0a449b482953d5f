/* SPDX-License-Identifier: MIT */
#include "powercut/probe.h"

#include "base/error.h"
#include "base/process.h"
#include "powercut/crash-file.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define TIMEOUT_MS 60000
#define PROBE_FD 3

struct SpProbe {
    SpProcess *process;
    char *program;
    gint64 deadline;
    int fd;
};

static bool copy(
    const SpProbe *probe, const SpCrashDisk *disk, guint64 offset, guint64 length, GError **error)
{
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", probe->fd);
    g_autoptr(SpCrashFile) file = sp_crash_file_new(disk, path, offset, length, error);

    return file != NULL;
}

SpProbe *sp_probe_start(const SpCrashDisk *disk, guint64 offset, guint64 length,
    const char *const *argv, GError **error)
{
    g_autoptr(SpProbe) probe = g_new0(SpProbe, 1);
    SpProcessFd fd;

    probe->fd = memfd_create("slotproof-probe", MFD_CLOEXEC);
    if (probe->fd < 0) {
        g_set_error(error, SP_ERROR, SP_ERROR_HOST, "no memory for a copy of a partition: %s",
            g_strerror(errno));
        return NULL;
    }
    if (!copy(probe, disk, offset, length, error))
        return NULL;
    fd = (SpProcessFd){.from = probe->fd, .to = PROBE_FD};
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
    if (probe->fd >= 0)
        close(probe->fd);
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
    return probe->fd;
}
