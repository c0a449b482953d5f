/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "lib/write-all.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#define INDENT 2u
/* Written when a file is full. */
#define ROOM_FOR_LASTS 256u

typedef struct {
    gint64 begin;
    char *text;
    char *machine;
    json_t *result; /* NULL if it has none */
} Step;

/* Each has its own share of a file, so that none crowds out another. */
typedef enum {
    FOR_STEPS, /* and messages */
    FOR_CONSOLES,
    FOR_PRINTED,
    FOR_FAILURE,
    PURPOSES,
} Purpose;

typedef struct {
    int fd;
    gsize room[PURPOSES];
} File;

struct SpLog {
    File text;
    File events;
    int stream_fd;
    bool with_consoles;
    bool has_warned; /* about a file that can't be written */
    gint64 begin;
    GArray *steps; /* of Step */
    SpLogStepFunc step_func;
    void *step_data;
    GThread *owner; /* the thread that has steps */
    SpLogGatherFunc gather_func;
    void *gather_data;
};

/* A separate thread logs the output of programs. One lock for all logs, so that a process can hold
 * it while it forks: the child may log too. */
static GMutex lock;
static GCond is_free;
static gint waiting; /* threads that wait for the lock: that thread lets them go first */

static void lock_all(void)
{
    g_atomic_int_inc(&waiting);
    g_mutex_lock(&lock);
    g_atomic_int_add(&waiting, -1);
}

static void unlock_all(void)
{
    g_cond_signal(&is_free);
    g_mutex_unlock(&lock);
}

typedef GMutex Lock;

static Lock *take_lock(void)
{
    lock_all();
    return &lock;
}

static void drop_lock(Lock *taken)
{
    if (taken)
        unlock_all();
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Lock, drop_lock)

static void keep_over_fork(void)
{
    static gsize is_done = 0;

    if (!g_once_init_enter(&is_done))
        return;
    pthread_atfork(lock_all, unlock_all, unlock_all);
    g_once_init_leave(&is_done, 1);
}

/* Gives up on a log that can't be written and warns once: the test matters more. */
static void write_or_close(SpLog *log, int *fd, const char *data, gsize length)
{
    g_autofree char *note = NULL;
    int r = *fd >= 0 ? sp_write_all(*fd, data, length) : 0;

    if (r == 0)
        return;
    note = g_strdup_printf("warning: the log can't be written on: %s\n", g_strerror(-r));
    if (fd != &log->stream_fd)
        close(*fd);
    *fd = -1;
    if (log->stream_fd >= 0 && !log->has_warned)
        (void)sp_write_all(log->stream_fd, note, strlen(note));
    log->has_warned = true;
}

/* Drops what does not fit: the file says where it stops. */
static void write_to_file(
    SpLog *log, File *file, Purpose purpose, const char *line, const char *last)
{
    gsize length = strlen(line);
    gsize *room = &file->room[purpose];

    if (*room == 0)
        return;
    if (length > *room) {
        *room = 0;
        write_or_close(log, &file->fd, last, strlen(last));
        return;
    }
    *room -= length;
    write_or_close(log, &file->fd, line, length);
}

static double seconds_since(gint64 begin)
{
    return (double)(g_get_monotonic_time() - begin) / G_TIME_SPAN_SECOND;
}

static void write_line(
    SpLog *log, const char *machine, const char *text, Purpose purpose, bool to_stream)
{
    static const char *const lasts[] = {
        [FOR_STEPS] = "[this log is full]\n",
        [FOR_CONSOLES] = "[further console lines are only in the consoles' own files]\n",
        [FOR_PRINTED] = "[further printed lines are left out]\n",
        [FOR_FAILURE] = "[this log is full]\n",
    };
    g_autofree char *clean = sp_text_printable(text);
    g_autofree char *line = g_strdup_printf("%8.2f  %*s%s%s%s\n", seconds_since(log->begin),
        (int)(log->steps->len * INDENT), "", machine ? machine : "", machine ? ": " : "", clean);

    write_to_file(log, &log->text, purpose, line, lasts[purpose]);
    if (to_stream)
        write_or_close(log, &log->stream_fd, line, strlen(line));
}

static void write_lines(
    SpLog *log, const char *machine, const char *text, Purpose purpose, bool to_stream)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (char **line = lines; *line; line++) {
        /* there is no line after the final newline */
        if (**line || line[1] || line == lines)
            write_line(log, machine, *line, purpose, to_stream);
    }
}

static void set_event_text(json_t *object, const char *name, const char *bytes, gsize length)
{
    g_autofree char *text = sp_text_excerpt(bytes, length, SP_LOG_TEXT_MAX);

    json_object_set_new(object, name, json_string(text));
}

/* @object is taken. */
static void write_object(SpLog *log, Purpose purpose, const char *event, json_t *object)
{
    json_auto_t *taken = object;
    g_autofree char *text = NULL;
    g_autofree char *line = NULL;

    json_object_set_new(taken, "time", json_real(seconds_since(log->begin)));
    json_object_set_new(taken, "event", json_string(event));
    text = sp_json_format(taken);
    line = g_strconcat(text, "\n", NULL);
    write_to_file(log, &log->events, purpose, line, "{\"event\":\"full\"}\n");
}

static void write_event(SpLog *log, Purpose purpose, const char *event, const char *machine,
    const char *kind, const char *text)
{
    json_t *object;

    if (log->events.fd < 0 || log->events.room[purpose] == 0)
        return;
    object = json_object();
    if (machine)
        json_object_set_new(object, "machine", json_string(machine));
    if (kind)
        json_object_set_new(object, "kind", json_string(kind));
    set_event_text(object, "text", text, strlen(text));
    write_object(log, purpose, event, object);
}

static bool open_log_file(File *file, const SpLogConfig *config, const char *name, GError **error)
{
    g_autofree char *path = g_build_filename(config->dir, name, NULL);
    int how = config->is_continued ? O_APPEND : O_TRUNC;

    file->fd = open(path, O_WRONLY | O_CREAT | how | O_CLOEXEC | O_NOFOLLOW, 0666);
    file->room[FOR_CONSOLES] = file->room[FOR_PRINTED] = SP_LOG_FILE_MAX / 4;
    file->room[FOR_FAILURE] = SP_LOG_FILE_MAX / 64;
    file->room[FOR_STEPS] = SP_LOG_FILE_MAX / 2 - file->room[FOR_FAILURE] - ROOM_FOR_LASTS;
    if (file->fd < 0)
        g_set_error(error, SP_ERROR, SP_ERROR_HOST, "the log '%s' can't be created: %s", path,
            g_strerror(errno));
    return file->fd >= 0;
}

static void clear_step(void *data)
{
    Step *step = data;

    g_free(step->text);
    g_free(step->machine);
    g_clear_pointer(&step->result, json_decref);
}

SpLog *sp_log_new(const SpLogConfig *config, GError **error)
{
    g_autoptr(SpLog) log = g_new0(SpLog, 1);

    keep_over_fork();
    log->begin = config->begin ? config->begin : g_get_monotonic_time();
    log->owner = g_thread_self();
    log->text.fd = log->events.fd = -1;
    log->stream_fd = config->stream_fd;
    log->with_consoles = config->with_consoles;
    log->step_func = config->step_func;
    log->step_data = config->step_data;
    log->gather_func = config->gather_func;
    log->gather_data = config->gather_data;
    log->steps = g_array_new(FALSE, FALSE, sizeof(Step));
    g_array_set_clear_func(log->steps, clear_step);
    if (config->dir && (!open_log_file(&log->text, config, "log.txt", error) ||
                           !open_log_file(&log->events, config, "events.jsonl", error)))
        return NULL;
    /* the previous writer may have been killed in the middle of a line */
    if (config->dir && config->is_continued)
        write_or_close(log, &log->events.fd, "\n", 1);
    return g_steal_pointer(&log);
}

void sp_log_free(SpLog *log)
{
    if (!log)
        return;
    if (log->text.fd >= 0)
        close(log->text.fd);
    if (log->events.fd >= 0)
        close(log->events.fd);
    g_array_unref(log->steps);
    g_free(log);
}

/* Logs pending program output before what is logged next. */
static void gather(SpLog *log)
{
    if (log->gather_func)
        log->gather_func(log->gather_data);
}

/* Cuts @text to the length worth keeping. */
static char *format_text(const char *format, va_list args) G_GNUC_PRINTF(1, 0);
static char *format_text(const char *format, va_list args)
{
    g_autofree char *text = g_strdup_vprintf(format, args);

    return sp_text_excerpt(text, strlen(text), SP_LOG_MESSAGE_MAX);
}

static void log_event_text(SpLog *log, const char *event, const char *machine, const char *kind,
    const char *format, va_list args) G_GNUC_PRINTF(5, 0);
static void log_event_text(SpLog *log, const char *event, const char *machine, const char *kind,
    const char *format, va_list args)
{
    g_autofree char *text = NULL;
    g_autoptr(Lock) G_GNUC_UNUSED taken = NULL;

    if (!log)
        return;
    text = format_text(format, args);
    gather(log);
    taken = take_lock();
    write_lines(log, machine, text, FOR_STEPS, true);
    write_event(log, FOR_STEPS, event, machine, kind, text);
}

void sp_log(SpLog *log, const char *machine, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    log_event_text(log, "message", machine, NULL, format, args);
    va_end(args);
}

void sp_log_mark(SpLog *log, const char *machine, const char *kind, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    log_event_text(log, "mark", machine, kind, format, args);
    va_end(args);
}

void sp_log_show_consoles(SpLog *log, bool are_shown)
{
    if (log)
        log->with_consoles = are_shown;
}

bool sp_log_shows_consoles(SpLog *log)
{
    return log && log->with_consoles;
}

void sp_log_console(SpLog *log, const char *machine, const char *line)
{
    g_autofree char *text = NULL;
    g_autoptr(Lock) G_GNUC_UNUSED taken = NULL;

    if (!log)
        return;
    text = g_strconcat("# ", line, NULL);
    taken = take_lock();
    write_line(log, machine, text, FOR_CONSOLES, log->with_consoles);
    write_event(log, FOR_CONSOLES, "console", machine, NULL, line);
}

static void write_printed(SpLog *log, const char *line)
{
    write_line(log, NULL, line, FOR_PRINTED, true);
    write_event(log, FOR_PRINTED, "message", NULL, NULL, line);
}

void sp_log_printed(SpLog *log, const char *line)
{
    g_autoptr(Lock) G_GNUC_UNUSED taken = NULL;

    if (!log)
        return;
    gather(log);
    taken = take_lock();
    write_printed(log, line);
}

void sp_log_program(SpLog *log, const char *line)
{
    if (!log)
        return;
    g_mutex_lock(&lock);
    while (g_atomic_int_get(&waiting) > 0)
        g_cond_wait(&is_free, &lock);
    write_printed(log, line);
    g_mutex_unlock(&lock);
}

void sp_log_failure(SpLog *log, const char *text, json_t *members)
{
    json_auto_t *object = members;
    g_autoptr(Lock) G_GNUC_UNUSED taken = NULL;

    if (!log)
        return;
    gather(log);
    taken = take_lock();
    write_lines(log, NULL, text, FOR_FAILURE, false);
    if (log->events.fd >= 0)
        write_object(log, FOR_FAILURE, "failure", g_steal_pointer(&object));
}

/* Steps of other threads would not nest. */
static bool owns_steps(const SpLog *log)
{
    return log && log->owner == g_thread_self();
}

static void tell_step(SpLog *log)
{
    const Step *step =
        log->steps->len > 0 ? &g_array_index(log->steps, Step, log->steps->len - 1) : NULL;

    if (log->step_func)
        log->step_func(step ? step->machine : NULL, step ? step->text : NULL, log->step_data);
}

void sp_log_begin(SpLog *log, const char *machine, const char *kind, const char *format, ...)
{
    Step step = {.machine = g_strdup(machine)};
    g_autoptr(Lock) G_GNUC_UNUSED taken = NULL;
    va_list args;

    if (!log) {
        clear_step(&step);
        return;
    }
    va_start(args, format);
    step.text = format_text(format, args);
    va_end(args);
    if (!owns_steps(log)) {
        sp_log(log, machine, "%s", step.text);
        clear_step(&step);
        return;
    }
    gather(log);
    taken = take_lock();
    step.begin = g_get_monotonic_time();
    write_lines(log, machine, step.text, FOR_STEPS, true);
    write_event(log, FOR_STEPS, "begin", machine, kind, step.text);
    g_array_append_val(log->steps, step);
    tell_step(log);
}

void sp_log_result(SpLog *log, int status, const GString *output, const GString *errors)
{
    Step *step;

    if (!owns_steps(log) || log->steps->len == 0)
        return;
    step = &g_array_index(log->steps, Step, log->steps->len - 1);
    g_clear_pointer(&step->result, json_decref);
    step->result = json_object();
    json_object_set_new(step->result, "status", json_integer(status));
    if (output && output->len > 0)
        set_event_text(step->result, "output", output->str, output->len);
    if (errors && errors->len > 0)
        set_event_text(step->result, "errors", errors->str, errors->len);
}

void sp_log_end(SpLog *log, const char *failure)
{
    g_autofree char *text = NULL;
    g_autofree char *machine = NULL;
    g_autoptr(Lock) G_GNUC_UNUSED taken = NULL;
    json_t *object;
    double duration;
    Step *step;

    if (log && !owns_steps(log) && failure)
        sp_log(log, NULL, "failed: %s", failure);
    if (!owns_steps(log) || log->steps->len == 0)
        return;
    gather(log);
    taken = take_lock();
    step = &g_array_index(log->steps, Step, log->steps->len - 1);
    duration = seconds_since(step->begin);
    machine = g_steal_pointer(&step->machine);
    text =
        g_strdup_printf("(%s: %s, %.2f s)", failure ? "failed" : "finished", step->text, duration);
    object = step->result ? g_steal_pointer(&step->result) : json_object();
    g_array_set_size(log->steps, log->steps->len - 1);
    if (failure)
        set_event_text(object, "text", failure, strlen(failure));
    json_object_set_new(object, "seconds", json_real(duration));
    write_object(log, FOR_STEPS, "end", object);
    write_line(log, machine, text, FOR_STEPS, true);
    tell_step(log);
}

void sp_log_event(SpLog *log, const char *event, json_t *members)
{
    g_autoptr(Lock) G_GNUC_UNUSED taken = log ? take_lock() : NULL;

    if (log && log->events.fd >= 0)
        write_object(log, FOR_STEPS, event, members);
    else
        json_decref(members);
}

guint sp_log_depth(SpLog *log)
{
    return owns_steps(log) ? log->steps->len : 0;
}
