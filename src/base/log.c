/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include "base/error.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define INDENT 2u

typedef struct {
    gint64 begin;
    char *text;
    char *machine;
    JsonObject *result; /* NULL where it has none */
} Step;

typedef struct {
    int fd;
    gsize room;
    gsize console_room; /* of that, for consoles */
} File;

struct SpLog {
    File text;
    File events;
    int stream_fd;
    bool with_consoles;
    bool has_warned; /* that a file can't be written */
    gint64 begin;
    GArray *steps; /* of Step */
    SpLogStepFunc step_func;
    void *step_data;
};

static bool write_all(int fd, const char *data, gsize length)
{
    while (length > 0) {
        ssize_t n = write(fd, data, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN) {
            /* a terminal or pipe that someone else with it has set so */
            struct pollfd room = {fd, POLLOUT, 0};
            poll(&room, 1, -1);
            continue;
        }
        if (n < 0)
            return false;
        data += n;
        length -= (gsize)n;
    }
    return true;
}

/* A log that can't be written is given up, and that is said once: the test is worth more. */
static void write_or_close(SpLog *log, int *fd, const char *data, gsize length)
{
    g_autofree char *note = NULL;

    if (*fd < 0 || write_all(*fd, data, length))
        return;
    note = g_strdup_printf("warning: the log can't be written on: %s\n", g_strerror(errno));
    if (fd != &log->stream_fd)
        close(*fd);
    *fd = -1;
    if (log->stream_fd >= 0 && !log->has_warned)
        (void)!write_all(log->stream_fd, note, strlen(note));
    log->has_warned = true;
}

/* Nothing where there is no room: consoles stop first, and the file says so where it stops. */
static void write_file(SpLog *log, File *file, const char *line, const char *last, bool is_console)
{
    gsize length = strlen(line);
    gsize *room = is_console ? &file->console_room : &file->room;

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
    SpLog *log, const char *machine, const char *text, bool to_stream, bool is_console)
{
    g_autofree char *clean = sp_text_printable(text);
    g_autofree char *line = g_strdup_printf("%8.2f  %*s%s%s%s\n", seconds_since(log->begin),
        (int)(log->steps->len * INDENT), "", machine ? machine : "", machine ? ": " : "", clean);

    write_file(log, &log->text, line,
        is_console ? "[consoles go on in their own files only]\n" : "[this log is full]\n",
        is_console);
    if (to_stream)
        write_or_close(log, &log->stream_fd, line, strlen(line));
}

static void write_lines(SpLog *log, const char *machine, const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (char **line = lines; *line; line++) {
        /* what follows the newline at the end is no line */
        if (**line || line[1] || line == lines)
            write_line(log, machine, *line, true, false);
    }
}

static void set_text(JsonObject *object, const char *name, const char *bytes, gsize length)
{
    g_autofree char *text = sp_text_excerpt(bytes, length, SP_LOG_TEXT_MAX);

    json_object_set_string_member(object, name, text);
}

/* @object is taken. */
static void write_object(SpLog *log, const char *event, JsonObject *object)
{
    g_autoptr(JsonNode) node = json_node_new(JSON_NODE_OBJECT);
    g_autofree char *text = NULL;
    g_autofree char *line = NULL;

    json_object_set_double_member(object, "time", seconds_since(log->begin));
    json_object_set_string_member(object, "event", event);
    json_node_take_object(node, object);
    text = json_to_string(node, FALSE);
    line = g_strconcat(text, "\n", NULL);
    write_file(log, &log->events, line, "{\"event\":\"full\"}\n", g_str_equal(event, "console"));
}

static void write_event(
    SpLog *log, const char *event, const char *machine, const char *kind, const char *text)
{
    JsonObject *object;

    if (log->events.fd < 0)
        return;
    object = json_object_new();
    if (machine)
        json_object_set_string_member(object, "machine", machine);
    if (kind)
        json_object_set_string_member(object, "kind", kind);
    set_text(object, "text", text, strlen(text));
    write_object(log, event, object);
}

static bool open_file(File *file, const char *dir, const char *name, GError **error)
{
    g_autofree char *path = g_build_filename(dir, name, NULL);

    file->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
    file->console_room = SP_LOG_FILE_MAX / 4;
    file->room = SP_LOG_FILE_MAX - file->console_room;
    if (file->fd < 0)
        g_set_error(error, SP_ERROR, SP_ERROR_HOST, "the log '%s' can't be made: %s", path,
            g_strerror(errno));
    return file->fd >= 0;
}

static void clear_step(void *data)
{
    Step *step = data;

    g_free(step->text);
    g_free(step->machine);
    g_clear_pointer(&step->result, json_object_unref);
}

SpLog *sp_log_new(const SpLogConfig *config, GError **error)
{
    g_autoptr(SpLog) log = g_new0(SpLog, 1);

    log->begin = config->begin ? config->begin : g_get_monotonic_time();
    log->text.fd = log->events.fd = -1;
    log->stream_fd = config->stream_fd;
    log->with_consoles = config->with_consoles;
    log->step_func = config->step_func;
    log->step_data = config->step_data;
    log->steps = g_array_new(FALSE, FALSE, sizeof(Step));
    g_array_set_clear_func(log->steps, clear_step);
    if (config->dir && (!open_file(&log->text, config->dir, "log.txt", error) ||
                           !open_file(&log->events, config->dir, "events.jsonl", error)))
        return NULL;
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

static void tell(SpLog *log, const char *event, const char *machine, const char *kind,
    const char *format, va_list args) G_GNUC_PRINTF(5, 0);
static void tell(SpLog *log, const char *event, const char *machine, const char *kind,
    const char *format, va_list args)
{
    g_autofree char *text = NULL;

    if (!log)
        return;
    text = g_strdup_vprintf(format, args);
    write_lines(log, machine, text);
    write_event(log, event, machine, kind, text);
}

void sp_log(SpLog *log, const char *machine, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    tell(log, "message", machine, NULL, format, args);
    va_end(args);
}

void sp_log_mark(SpLog *log, const char *machine, const char *kind, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    tell(log, "mark", machine, kind, format, args);
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

    if (!log)
        return;
    text = g_strconcat("# ", line, NULL);
    write_line(log, machine, text, log->with_consoles, true);
    write_event(log, "console", machine, NULL, line);
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
    va_list args;

    if (!log) {
        clear_step(&step);
        return;
    }
    va_start(args, format);
    step.text = g_strdup_vprintf(format, args);
    va_end(args);
    step.begin = g_get_monotonic_time();
    write_lines(log, machine, step.text);
    write_event(log, "begin", machine, kind, step.text);
    g_array_append_val(log->steps, step);
    tell_step(log);
}

void sp_log_result(SpLog *log, int status, const GString *output, const GString *errors)
{
    Step *step;

    if (!log || log->steps->len == 0)
        return;
    step = &g_array_index(log->steps, Step, log->steps->len - 1);
    g_clear_pointer(&step->result, json_object_unref);
    step->result = json_object_new();
    json_object_set_int_member(step->result, "status", status);
    if (output && output->len > 0)
        set_text(step->result, "output", output->str, output->len);
    if (errors && errors->len > 0)
        set_text(step->result, "errors", errors->str, errors->len);
}

void sp_log_end(SpLog *log, const char *failure)
{
    g_autofree char *text = NULL;
    g_autofree char *machine = NULL;
    JsonObject *object;
    double duration;
    Step *step;

    if (!log || log->steps->len == 0)
        return;
    step = &g_array_index(log->steps, Step, log->steps->len - 1);
    duration = seconds_since(step->begin);
    machine = g_steal_pointer(&step->machine);
    text =
        g_strdup_printf("(%s: %s, %.2f s)", failure ? "failed" : "finished", step->text, duration);
    object = step->result ? g_steal_pointer(&step->result) : json_object_new();
    g_array_set_size(log->steps, log->steps->len - 1);
    if (failure)
        set_text(object, "text", failure, strlen(failure));
    json_object_set_double_member(object, "seconds", duration);
    write_object(log, "end", object);
    write_line(log, machine, text, true, false);
    tell_step(log);
}

void sp_log_event(SpLog *log, const char *event, JsonObject *members)
{
    if (log && log->events.fd >= 0)
        write_object(log, event, members);
    else
        json_object_unref(members);
}

guint sp_log_depth(SpLog *log)
{
    return log ? log->steps->len : 0;
}
