/* SPDX-License-Identifier: MIT */

/* Runs a file system's own checker on a copy of a partition. */

#include "powercut/fsck-job.h"

#include "base/error.h"
#include "base/process.h"
#include "powercut/crash-file.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define TIMEOUT_MS 60000
#define COPY_FD 3
#define COPY_FD_PATH "/proc/self/fd/3"

struct SpFsckCopy {
    int fd; /* memory */
    char *path;
    SpCrashFile *file;
};

struct SpFsckJob {
    SpProcess *process;
    char *program;
    gint64 deadline;
};

SpFsckCopy *sp_fsck_copy_new(
    const SpCrashDisk *disk, guint64 offset, guint64 length, const SpTask *task, GError **error)
{
    g_autoptr(SpFsckCopy) copy = g_new0(SpFsckCopy, 1);

    copy->fd = memfd_create("slotproof-copy", MFD_CLOEXEC);
    if (copy->fd < 0) {
        g_set_error(error, SP_ERROR, SP_ERROR_HOST, "no memory for a copy of a partition: %s",
            g_strerror(errno));
        return NULL;
    }
    copy->path = g_strdup_printf("/proc/%d/fd/%d", (int)getpid(), copy->fd);
    copy->file = sp_crash_file_new(disk, copy->path, offset, length, task, error);
    return copy->file ? g_steal_pointer(&copy) : NULL;
}

void sp_fsck_copy_free(SpFsckCopy *copy)
{
    if (!copy)
        return;
    sp_crash_file_free(copy->file);
    if (copy->fd >= 0)
        close(copy->fd);
    g_free(copy->path);
    g_free(copy);
}

bool sp_fsck_copy_update(SpFsckCopy *copy, GError **error)
{
    return sp_crash_file_update(copy->file, error);
}

const char *sp_fsck_copy_path(const SpFsckCopy *copy)
{
    return copy->path;
}

SpFsckJob *sp_fsck_job_start(const SpFsckCopy *copy, const char *const *argv, GError **error)
{
    g_autoptr(SpFsckJob) job = g_new0(SpFsckJob, 1);
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    g_auto(GStrv) words = NULL;
    SpProcessFd fd = {.from = copy->fd, .to = COPY_FD};

    g_strv_builder_addv(builder, (const char **)argv);
    g_strv_builder_add(builder, COPY_FD_PATH);
    words = g_strv_builder_end(builder);
    job->program = g_strdup(argv[0]);
    job->deadline = sp_deadline(TIMEOUT_MS);
    job->process = sp_process_start((const char *const *)words, &fd, 1, error);
    return job->process ? g_steal_pointer(&job) : NULL;
}

void sp_fsck_job_free(SpFsckJob *job)
{
    if (!job)
        return;
    sp_process_free(job->process);
    g_free(job->program);
    g_free(job);
}

bool sp_fsck_job_wait(SpFsckJob *job, const SpInterrupt *interrupt, int *ret_status, GError **error)
{
    g_autoptr(GError) local = NULL;
    int status;

    if (!sp_process_wait(job->process, job->deadline, interrupt, &local)) {
        if (g_error_matches(local, SP_ERROR, SP_ERROR_TIMEOUT))
            g_set_error(error, SP_ERROR, SP_ERROR_TIMEOUT, "'%s' did not end within a minute",
                job->program);
        else
            g_propagate_error(error, g_steal_pointer(&local));
        return false;
    }
    status = sp_process_wait_status(job->process);
    *ret_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return true;
}

char *sp_fsck_job_output(SpFsckJob *job)
{
    return sp_process_output(job->process);
}
