/* SPDX-License-Identifier: MIT */

/* Tests in processes of their own on this host: what one does cannot harm another, and its machines
 * are gone when it is. */

#include "base/error.h"
#include "base/process.h"
#include "runner/out-dir.h"
#include "runner/runner.h"
#include "runner/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* How long a worker may take to stop its machines and report once it is asked to. */
#define STOP_TIMEOUT_MS 10000
#define REPORT_MAX (16 * 1024 * 1024)
/* Time-outs are for hardware virtualisation; only the worker knows whether there is some. */
#define TIME_FACTOR 4

static void print_line(const char *line, void *data)
{
    printf("%s\n", line);
    fflush(stdout);
}

static bool is_stopped(void *data)
{
    return *(const bool *)data;
}

static SpProcess *start_worker(
    const SpTestConf *test, const SpRunOptions *options, const char *out, int fd, GError **error)
{
    const char *argv[] = {"/proc/self/exe", "_worker", test->dir, options->images, out,
        options->is_verbose ? "verbose" : NULL, NULL};
    const SpProcessFd report = {fd, SP_WORKER_REPORT_FD};
    SpProcess *worker = sp_process_start(argv, &report, 1, error);

    if (worker && options->is_verbose)
        sp_process_set_line_func(worker, print_line, NULL);
    return worker;
}

/* Wait for the worker's end, asking it to stop where it has to. Returns why, NULL if it need not.
 */
static char *wait_for_worker(SpProcess *worker, const SpTestConf *test, const bool *stopped)
{
    const SpInterrupt interrupt = {is_stopped, (void *)(gsize)stopped};
    g_autoptr(GError) error = NULL;

    if (sp_process_wait(
            worker, sp_deadline((gint64)test->timeout_s * 1000 * TIME_FACTOR), &interrupt, &error))
        return NULL;
    sp_process_signal(worker, SIGINT);
    sp_process_wait(worker, sp_deadline(STOP_TIMEOUT_MS), NULL, NULL);
    if (*stopped)
        return g_strdup("stopped");
    return g_strdup_printf("timed out after %u s (Timeout=%u, times %d for slow hosts)",
        test->timeout_s * TIME_FACTOR, test->timeout_s, TIME_FACTOR);
}

static char *read_report(int fd, gsize *ret_length)
{
    struct stat st;
    char *text;
    ssize_t n;

    if (fstat(fd, &st) < 0 || st.st_size <= 0 || st.st_size > REPORT_MAX)
        return NULL;
    text = g_malloc((gsize)st.st_size);
    n = pread(fd, text, (gsize)st.st_size, 0);
    *ret_length = n > 0 ? (gsize)n : 0;
    return text;
}

static char *describe_death(SpProcess *worker)
{
    g_autofree char *end = NULL;
    g_autofree char *output = g_strchomp(sp_process_output(worker));

    if (!sp_process_has_ended(worker))
        return g_strdup("the test's process does not stop and is killed");
    end = sp_process_describe_end(worker);
    return g_strdup_printf(
        "the test's process %s without a report. Its last words:\n%s", end, output);
}

static void judge(SpProcess *worker, int fd, char *cause, SpResult *result)
{
    static const struct {
        const char *outcome;
        SpResultKind kind;
    } kinds[] = {
        {"passed", SP_RESULT_PASSED},
        {"failed", SP_RESULT_FAILED},
        {"invalid", SP_RESULT_INVALID},
        {"interrupted", SP_RESULT_STOPPED},
    };
    SpWorkerReport report = {0};
    gsize length = 0;
    g_autofree char *text = read_report(fd, &length);

    result->kind = SP_RESULT_FAILED;
    if (!text || !sp_worker_report_parse(text, length, &report, NULL)) {
        g_autofree char *death = describe_death(worker);
        result->report = cause ? g_strdup_printf("%s; %s", cause, death) : g_strdup(death);
        return;
    }
    for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++) {
        if (g_str_equal(kinds[i].outcome, report.outcome))
            result->kind = kinds[i].kind;
    }
    if (cause && result->kind == SP_RESULT_STOPPED)
        result->kind = g_str_equal(cause, "stopped") ? SP_RESULT_STOPPED : SP_RESULT_FAILED;
    result->report = cause && report.report ? g_strdup_printf("%s\n%s", cause, report.report)
                                            : g_steal_pointer(&report.report);
    sp_worker_report_clear(&report);
}

static void local_run(
    const SpTestConf *test, const SpRunOptions *options, const bool *stopped, SpResult *result)
{
    g_autofree char *out = g_build_filename(options->out, test->name, NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(SpProcess) worker = NULL;
    g_autofree char *cause = NULL;
    gint64 begin = g_get_monotonic_time();
    /* in memory rather than a pipe: a report of any length never holds its writer up */
    int fd = memfd_create("slotproof-report", MFD_CLOEXEC);

    if (fd < 0)
        g_set_error(
            &error, SP_ERROR, SP_ERROR_HOST, "no memory for a report: %s", g_strerror(errno));
    else if (sp_out_dir_prepare(out, &error))
        worker = start_worker(test, options, out, fd, &error);
    if (worker) {
        cause = wait_for_worker(worker, test, stopped);
        judge(worker, fd, cause, result);
    } else {
        result->kind =
            g_error_matches(error, SP_ERROR, SP_ERROR_USAGE) ? SP_RESULT_INVALID : SP_RESULT_FAILED;
        result->report = g_strdup(error->message);
    }
    result->seconds = (double)(g_get_monotonic_time() - begin) / G_TIME_SPAN_SECOND;
    if (fd >= 0)
        close(fd);
}

const SpEngine sp_local_engine = {.name = "local", .run = local_run};
