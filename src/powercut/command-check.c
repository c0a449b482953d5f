/* SPDX-License-Identifier: MIT */

/* Has a user's command check crash states. */

#include "powercut/command-check.h"

#include "base/error.h"
#include "base/process.h"
#include "base/unnamed-file.h"
#include "powercut/crash-file.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* The end of the command's output that is shown. */
#define OUTPUT_MAX 4096u

typedef struct {
    SpCrashFile *file;
    char *path;
    int fd;             /* of the file */
    SpProcess *process; /* NULL if none is under way */
    gint64 deadline;
    SpCrashState state; /* that it checks */
    char *name;         /* of the state */
} Job;

struct SpCommandCheck {
    const SpCrashDisk *disk;
    SpCommandOptions options;
    Job *jobs;
    guint next; /* of jobs: the one that was started first, if it is under way */
};

static bool set_up_job(const SpCommandCheck *check, Job *job, GError **error)
{
    job->fd = sp_unnamed_file_open(error);
    if (job->fd < 0)
        return false;
    job->path = g_strdup_printf("/proc/%d/fd/%d", (int)getpid(), job->fd);
    job->file = sp_crash_file_new(check->disk, job->path, check->options.offset,
        check->options.length, check->options.task, error);
    return job->file != NULL;
}

SpCommandCheck *sp_command_check_new(
    const SpCrashDisk *disk, const SpCommandOptions *options, GError **error)
{
    g_autoptr(SpCommandCheck) check = g_new0(SpCommandCheck, 1);

    check->disk = disk;
    check->options = *options;
    check->jobs = g_new0(Job, options->jobs);
    for (guint i = 0; i < options->jobs; i++)
        check->jobs[i].fd = -1;
    for (guint i = 0; i < options->jobs; i++) {
        if (!set_up_job(check, &check->jobs[i], error))
            return NULL;
    }
    return g_steal_pointer(&check);
}

void sp_command_check_free(SpCommandCheck *check)
{
    if (!check)
        return;
    for (guint i = 0; i < check->options.jobs; i++) {
        Job *job = &check->jobs[i];

        sp_process_free(job->process);
        g_clear_pointer(&job->file, sp_crash_file_free);
        if (job->fd >= 0)
            close(job->fd);
        g_free(job->path);
        g_free(job->name);
    }
    g_free(check->jobs);
    g_free(check);
}

/* NULL if the command was satisfied. */
static char *describe_command_failure(const Job *job)
{
    g_autofree char *output = NULL, *end = NULL;
    const char *tail;
    int status = sp_process_wait_status(job->process);

    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return NULL;
    output = sp_process_output(job->process);
    g_strstrip(output);
    tail = strlen(output) > OUTPUT_MAX ? output + strlen(output) - OUTPUT_MAX : output;
    end = sp_process_describe_end(job->process);
    return g_strdup_printf("the check %s%s%s", end, *tail ? ": " : "", tail);
}

/* Wait for the job, and report its result. */
static bool finish_job(SpCommandCheck *check, Job *job, GError **error)
{
    g_autoptr(GError) local = NULL;
    g_autofree char *reason = NULL;

    if (!job->process)
        return true;
    if (sp_process_wait(job->process, job->deadline, &check->options.task->interrupt, &local))
        reason = describe_command_failure(job);
    else if (g_error_matches(local, SP_ERROR, SP_ERROR_TIMEOUT))
        reason = g_strdup_printf("the check did not end within %" G_GINT64_FORMAT " s",
            check->options.timeout_ms / 1000);
    g_clear_pointer(&job->process, sp_process_free);
    if (local && !reason) {
        g_propagate_error(error, g_steal_pointer(&local));
        return false;
    }
    check->options.func(
        &job->state, reason ? "check=failed" : "check=passed", reason, check->options.data);
    return true;
}

static bool start_job(void *data, const SpCrashState *state, GError **error)
{
    SpCommandCheck *check = data;
    Job *job = &check->jobs[check->next];
    g_autofree char *disk = g_strconcat("SLOTPROOF_DISK=", job->path, NULL);
    g_autofree char *name = g_strconcat("SLOTPROOF_STATE=", state->name, NULL);
    const char *const argv[] = {
        "env", disk, name, "/bin/sh", "-c", check->options.command, "sh", job->path, NULL};

    if (!finish_job(check, job, error) || !sp_crash_file_update(job->file, error))
        return false;
    g_free(job->name);
    job->name = g_strdup(state->name);
    job->state = *state;
    job->state.name = job->name;
    job->deadline = sp_deadline(check->options.timeout_ms);
    job->process = sp_process_start(argv, NULL, 0, error);
    check->next = (check->next + 1) % check->options.jobs;
    return job->process != NULL;
}

static bool finish_jobs(void *data, GError **error)
{
    SpCommandCheck *check = data;

    for (guint i = 0; i < check->options.jobs; i++) {
        if (!finish_job(check, &check->jobs[check->next], error))
            return false;
        check->next = (check->next + 1) % check->options.jobs;
    }
    return true;
}

guint sp_command_check_restored(const SpCommandCheck *check)
{
    guint restored = 0;

    for (guint i = 0; i < check->options.jobs; i++)
        restored += sp_crash_file_restored(check->jobs[i].file);
    return restored;
}

static void free_command_check(void *data)
{
    sp_command_check_free(data);
}

const SpStateCheckOps sp_command_check_ops = {
    .start = start_job,
    .finish = finish_jobs,
    .free = free_command_check,
};
