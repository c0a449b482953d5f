/* SPDX-License-Identifier: MIT */

/* Tests in processes of their own on this host: what one does cannot harm another, and its machines
 * are gone when it is. */

#include "base/error.h"
#include "base/process.h"
#include "base/text.h"
#include "runner/out-dir.h"
#include "runner/runner.h"
#include "worker/message.h"
#include "worker/post-mortem.h"
#include "worker/program-output.h"
#include "worker/worker.h"

#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* How long a worker may take to stop its machines and report once it is asked to. */
#define STOP_TIMEOUT_MS 10000
#define LAST_WORDS_MAX 4096u

struct SpJob {
    const SpTestConf *test;
    const SpRunOptions *options;
    gint64 begin;
    SpProcess *worker; /* NULL: it could not be started, and the result says why */
    int report_fd;
    int lock_fd; /* of its folder */
    SpProgramPipe programs;
    char *rest;          /* of what programs wrote, when the worker had ended */
    guint report_source; /* 0 once the other end is closed */
    GString *line;       /* of the report, as far as it came */
    guint stop_source;   /* asks it to stop when the test's time is over */
    guint kill_source;   /* runs once it was asked to stop */
    bool was_attached;   /* to our terminal, and has ended: there is no worker any more */
    int attached_status; /* of waitpid(2) */
    bool was_asked;      /* to stop, by the user */
    double time_out_s;   /* above 0 once its time is over */
    double time_factor;
    SpResult result;
    bool has_result;
    bool has_checkpoint;
};

static void drop_source(guint *source)
{
    if (*source != 0)
        g_source_remove(*source);
    *source = 0;
}

static gboolean on_stop_timeout(void *data)
{
    SpJob *job = data;

    job->kill_source = 0;
    sp_process_signal(job->worker, SIGKILL);
    return G_SOURCE_REMOVE;
}

static void ask_to_stop(SpJob *job, int signal_number, gint64 more_ms)
{
    gint64 timeout_ms =
        job->options->stop_ms > 0 ? job->options->stop_ms : STOP_TIMEOUT_MS + more_ms;

    if (!job->worker || job->kill_source != 0)
        return;
    sp_process_signal(job->worker, signal_number);
    job->kill_source = g_timeout_add((guint)timeout_ms, on_stop_timeout, job);
}

/* Interrupted rather than killed at once, so that the script tells where it was, and its machines
 * what they know. */
static gboolean on_test_timeout(void *data)
{
    SpJob *job = data;

    job->stop_source = 0;
    job->time_out_s = (double)job->test->timeout_s * job->time_factor;
    ask_to_stop(job, SIGINT, sp_post_mortem_limit_ms(job->options->keeps_disks));
    return G_SOURCE_REMOVE;
}

static void set_test_timeout(SpJob *job, double factor)
{
    gint64 elapsed_ms = (g_get_monotonic_time() - job->begin) / 1000;
    gint64 left_ms = (gint64)((double)job->test->timeout_s * 1000 * factor) - elapsed_ms;

    job->time_factor = factor;
    if (job->time_out_s > 0)
        return;
    drop_source(&job->stop_source);
    job->stop_source = g_timeout_add((guint)CLAMP(left_ms, 0, G_MAXINT), on_test_timeout, job);
}

static void take_result(SpJob *job, SpReport *report)
{
    static const struct {
        const char *word;
        SpResultKind kind;
    } kinds[] = {
        {"passed", SP_RESULT_PASSED},
        {"failed", SP_RESULT_FAILED},
        {"error", SP_RESULT_ERROR},
        {"interrupted", SP_RESULT_SKIPPED},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++) {
        if (!g_str_equal(kinds[i].word, report->word))
            continue;
        job->has_result = true;
        job->result.kind = kinds[i].kind;
        g_free(job->result.report);
        job->result.report = *report->text ? g_steal_pointer(&report->text) : NULL;
    }
}

static void print_line(const char *line, void *data)
{
    const SpJob *job = data;
    bool has_name = job->options->jobs > 1;
    g_autofree char *text =
        g_strdup_printf("%s%s%s\n", has_name ? job->test->name : "", has_name ? ": " : "", line);

    sp_progress_print(job->options->progress, text);
}

static void take_line(SpJob *job)
{
    g_auto(SpReport) report = {0};
    SpSubtestResult *subtest;

    if (!sp_report_parse(job->line->str, job->line->len, &report, NULL))
        return; /* without a result the test failed anyway */
    switch (report.kind) {
    case SP_REPORT_BEGIN:
        set_test_timeout(job, CLAMP(report.number, 1, 100));
        break;
    case SP_REPORT_SCRIPT:
        job->has_checkpoint = true;
        job->result.checkpoint_s = report.number;
        g_free(job->result.made_s);
        job->result.made_s = g_steal_pointer(&report.text);
        break;
    case SP_REPORT_SUBTEST:
        subtest = g_new0(SpSubtestResult, 1);
        subtest->passed = g_str_equal(report.word, "passed");
        subtest->seconds = report.number;
        subtest->name = g_steal_pointer(&report.text);
        g_ptr_array_add(job->result.subtests, subtest);
        break;
    case SP_REPORT_STEP:
        sp_progress_step(job->options->progress, job->test->name, report.text);
        break;
    case SP_REPORT_PRINT:
        print_line(report.text, job);
        break;
    case SP_REPORT_FOREIGN:
        job->result.has_foreign_machine = true;
        break;
    case SP_REPORT_RESULT:
        take_result(job, &report);
        break;
    }
}

/* Read what is there; false at the end of it, with errno EAGAIN if more may come. */
static bool read_report(SpJob *job)
{
    char buffer[16384];
    ssize_t n = read(job->report_fd, buffer, sizeof buffer);

    if (n <= 0) {
        errno = n == 0 ? 0 : errno;
        return n < 0 && errno == EINTR;
    }
    for (ssize_t i = 0; i < n; i++) {
        if (buffer[i] == '\n') {
            take_line(job);
            g_string_truncate(job->line, 0);
        } else if (job->line->len <= SP_REPORT_MAX) {
            g_string_append_c(job->line, buffer[i]);
        }
    }
    return true;
}

static gboolean on_report(int fd, GIOCondition condition, void *data)
{
    SpJob *job = data;

    if (read_report(job) || errno == EAGAIN)
        return G_SOURCE_CONTINUE;
    job->report_source = 0;
    return G_SOURCE_REMOVE;
}

/* What a worker is told in words. */
static void add_options(const SpJob *job, GPtrArray *argv)
{
    const SpRunOptions *options = job->options;

    if (options->is_captured)
        g_ptr_array_add(argv, g_strdup("capture"));
    if (options->keeps_disks)
        g_ptr_array_add(argv, g_strdup("keep-disks"));
    g_ptr_array_add(argv, g_strdup_printf("begin=%" G_GINT64_FORMAT, job->begin));
    g_ptr_array_add(argv, NULL);
}

/* The arguments of the worker; more may be added. */
static GPtrArray *worker_command(const SpJob *job, const char *out)
{
    GPtrArray *argv = g_ptr_array_new_with_free_func(g_free);
    const char *const words[] = {
        "/proc/self/exe", "_worker", job->test->dir, job->options->images, out};

    for (gsize i = 0; i < G_N_ELEMENTS(words); i++)
        g_ptr_array_add(argv, g_strdup(words[i]));
    return argv;
}

/* Wait for a process that has our terminal, and gets its signals. */
static bool wait_attached(pid_t pid, int *ret_status)
{
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct sigaction former_int, former_quit;
    pid_t ended;

    sigaction(SIGINT, &ignore, &former_int);
    sigaction(SIGQUIT, &ignore, &former_quit);
    do
        ended = waitpid(pid, ret_status, 0);
    while (ended < 0 && errno == EINTR);
    sigaction(SIGINT, &former_int, NULL);
    sigaction(SIGQUIT, &former_quit, NULL);
    return ended == pid;
}

/* Run a worker to its end in the foreground, for its prompt; its report is read when it has ended.
 */
static bool run_attached(SpJob *job, const char *out, GError **error)
{
    g_autoptr(GPtrArray) argv = worker_command(job, out);
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t all;
    pid_t pid;
    int r;

    job->result.has_folder = sp_out_dir_prepare(out, &job->lock_fd, error);
    if (!job->result.has_folder)
        return false;
    g_ptr_array_add(argv, g_strdup("debug"));
    g_ptr_array_add(argv, g_strdup(job->options->is_verbose ? "consoles" : "quiet"));
    add_options(job, argv);
    job->report_fd = memfd_create("slotproof-report", MFD_CLOEXEC);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, job->report_fd, SP_WORKER_REPORT_FD);
    posix_spawnattr_init(&attributes);
    sigfillset(&all);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    r = posix_spawn(
        &pid, argv->pdata[0], &actions, &attributes, (char *const *)argv->pdata, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (r == 0 && wait_attached(pid, &job->attached_status)) {
        job->was_attached = true;
        return lseek(job->report_fd, 0, SEEK_SET) == 0;
    }
    g_set_error(error, SP_ERROR, SP_ERROR_HOST, "the test's process can't be run: %s",
        g_strerror(r != 0 ? r : errno));
    return false;
}

static bool start_worker(SpJob *job, const char *out, GError **error)
{
    g_autoptr(GPtrArray) argv = worker_command(job, out);
    int fds[2];
    SpProcessFd given[1 + SP_PROGRAM_PIPE_FDS];

    job->result.has_folder = sp_out_dir_prepare(out, &job->lock_fd, error);
    if (!job->result.has_folder || !sp_program_pipe_open(&job->programs, error) ||
        !g_unix_open_pipe(fds, FD_CLOEXEC, error))
        return false;
    job->report_fd = fds[0];
    g_unix_set_fd_nonblocking(job->report_fd, TRUE, NULL);
    if (job->options->is_verbose)
        g_ptr_array_add(argv, g_strdup("consoles"));
    if (job->options->is_cold)
        g_ptr_array_add(argv, g_strdup("cold"));
    if (sp_progress_is_live(job->options->progress))
        g_ptr_array_add(argv, g_strdup("live"));
    g_ptr_array_add(argv, g_strdup("programs"));
    add_options(job, argv);
    given[0] = (SpProcessFd){fds[1], SP_WORKER_REPORT_FD};
    sp_program_pipe_fds(&job->programs, given + 1);
    job->worker =
        sp_process_start((const char *const *)argv->pdata, given, G_N_ELEMENTS(given), error);
    close(fds[1]);
    sp_program_pipe_close_writer(&job->programs);
    return job->worker != NULL;
}

static SpJob *local_start(const SpTestConf *test, const SpRunOptions *options)
{
    SpJob *job = g_new0(SpJob, 1);
    g_autofree char *out = g_build_filename(options->out, test->name, NULL);
    g_autoptr(GError) error = NULL;

    job->test = test;
    job->options = options;
    job->begin = g_get_monotonic_time();
    job->report_fd = job->lock_fd = -1;
    job->programs = (SpProgramPipe){-1, -1};
    job->line = g_string_new(NULL);
    job->result.subtests = g_ptr_array_new_with_free_func((GDestroyNotify)sp_subtest_result_free);
    if (options->is_debugged ? !run_attached(job, out, &error) : !start_worker(job, out, &error)) {
        job->has_result = true;
        job->result.kind =
            g_error_matches(error, SP_ERROR, SP_ERROR_USAGE) ? SP_RESULT_ERROR : SP_RESULT_FAILED;
        job->result.report = g_strdup(error->message);
        return job;
    }
    if (options->is_debugged)
        return job;
    if (options->is_verbose)
        sp_process_set_line_func(job->worker, print_line, job);
    job->report_source =
        g_unix_fd_add(job->report_fd, G_IO_IN | G_IO_HUP | G_IO_ERR, on_report, job);
    set_test_timeout(job, 1);
    return job;
}

static bool local_is_done(SpJob *job)
{
    return !job->worker || sp_process_has_ended(job->worker);
}

static bool local_has_checkpoint(SpJob *job)
{
    return job->has_checkpoint;
}

static void local_stop(SpJob *job, int signal_number)
{
    job->was_asked = true;
    ask_to_stop(job, signal_number, 0);
}

/* For a worker that did not end as its result says: @when. */
static char *describe_death(SpJob *job, const char *when)
{
    g_autofree char *end = sp_process_describe_end(job->worker);
    g_autofree char *shown = sp_process_output(job->worker);
    g_autofree char *output = g_strchomp(g_strconcat(shown, job->rest, NULL));
    gsize length = strlen(output);
    const char *tail = length > LAST_WORDS_MAX ? output + length - LAST_WORDS_MAX : output;
    g_autofree char *valid = g_utf8_make_valid(tail, -1);

    return g_strdup_printf("the test's process %s %s. Its last words:\n%s", end, when, valid);
}

static char *first_line(const char *text)
{
    return g_strndup(text, strcspn(text, "\n"));
}

static void judge(SpJob *job)
{
    SpResult *result = &job->result;
    g_autofree char *told = NULL;

    if (!job->has_result) {
        result->kind = SP_RESULT_FAILED;
        result->report = describe_death(job, "without a result");
        result->reason = first_line(result->report);
    } else if (result->kind == SP_RESULT_PASSED && sp_process_wait_status(job->worker) != 0) {
        result->kind = SP_RESULT_FAILED;
        g_free(result->report);
        result->report = describe_death(job, "after it had passed");
        result->reason = first_line(result->report);
    }
    if (job->was_asked && result->kind != SP_RESULT_PASSED) {
        result->kind = SP_RESULT_SKIPPED;
    } else if (job->time_out_s > 0 && result->kind != SP_RESULT_PASSED) {
        told = g_steal_pointer(&result->report);
        result->kind = SP_RESULT_FAILED;
        result->report = g_strdup_printf("timed out after %.0f s (Timeout=%u)\n%s", job->time_out_s,
            job->test->timeout_s, told ? told : "");
        g_free(result->reason);
        result->reason = first_line(result->report);
    } else if (result->kind == SP_RESULT_SKIPPED) {
        /* interrupted by somebody else, or by itself */
        result->kind = SP_RESULT_FAILED;
    }
}

/* One that is debugged and did not tell how it went. */
static void judge_attached(SpJob *job)
{
    job->result.kind = SP_RESULT_FAILED;
    job->result.report = g_strdup_printf("the test's process ended without a result (%s %d)",
        WIFSIGNALED(job->attached_status) ? "signal" : "status",
        WIFSIGNALED(job->attached_status) ? WTERMSIG(job->attached_status)
                                          : WEXITSTATUS(job->attached_status));
}

static void print_rest(SpJob *job)
{
    g_auto(GStrv) lines = g_strsplit(job->rest, "\n", -1);

    for (char **line = lines; *line && line[1]; line++) {
        g_autofree char *text = sp_text_printable(*line);
        print_line(text, job);
    }
}

static void local_finish(SpJob *job, SpResult *ret_result)
{
    g_autofree char *out = g_build_filename(job->options->out, job->test->name, NULL);

    drop_source(&job->report_source);
    drop_source(&job->stop_source);
    drop_source(&job->kill_source);
    while (job->report_fd >= 0 && read_report(job))
        ;
    /* a result may set the timer anew */
    drop_source(&job->stop_source);
    job->rest = sp_program_pipe_end(&job->programs, out, job->begin);
    if (job->options->is_verbose)
        print_rest(job);
    if (job->worker)
        judge(job);
    else if (job->was_attached && !job->has_result)
        judge_attached(job);
    job->result.seconds = (double)(g_get_monotonic_time() - job->begin) / G_TIME_SPAN_SECOND;
    *ret_result = job->result;
    sp_process_free(job->worker);
    if (job->report_fd >= 0)
        close(job->report_fd);
    if (job->lock_fd >= 0)
        close(job->lock_fd);
    g_string_free(job->line, TRUE);
    g_free(job->rest);
    g_free(job);
}

const SpEngine sp_local_engine = {
    .name = "local",
    .start = local_start,
    .is_done = local_is_done,
    .has_checkpoint = local_has_checkpoint,
    .stop = local_stop,
    .finish = local_finish,
};
