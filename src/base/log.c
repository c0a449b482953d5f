/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <json-glib/json-glib.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define INDENT 2u

typedef struct {
    gint64 begin;
    char *text;
} Step;

struct SpLog {
    int text_fd;
    int events_fd;
    int stream_fd;
    bool with_consoles;
    bool has_warned; /* that a file can't be written */
    gint64 begin;
    GArray *steps; /* of Step */
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

/* What a guest wrote must not steer the user's terminal. */
static char *printable(const char *text)
{
    g_autofree char *valid = g_utf8_make_valid(text, -1);
    GString *out = g_string_new(NULL);

    for (const char *p = valid; *p; p = g_utf8_next_char(p)) {
        gunichar c = g_utf8_get_char(p);
        if (c == '\t' || !g_unichar_iscntrl(c))
            g_string_append_unichar(out, c);
        else
            g_string_append_printf(out, "\\x%02x", c);
    }
    return g_string_free(out, FALSE);
}

static double seconds_since(gint64 begin)
{
    return (double)(g_get_monotonic_time() - begin) / G_TIME_SPAN_SECOND;
}

static void write_line(SpLog *log, const char *machine, const char *text, bool to_stream)
{
    g_autofree char *clean = printable(text);
    g_autofree char *line = g_strdup_printf("%8.2f  %*s%s%s%s\n", seconds_since(log->begin),
        (int)(log->steps->len * INDENT), "", machine ? machine : "", machine ? ": " : "", clean);

    write_or_close(log, &log->text_fd, line, strlen(line));
    if (to_stream)
        write_or_close(log, &log->stream_fd, line, strlen(line));
}

static void write_lines(SpLog *log, const char *machine, const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (char **line = lines; *line; line++) {
        /* what follows the newline at the end is no line */
        if (**line || line[1] || line == lines)
            write_line(log, machine, *line, true);
    }
}

static void write_event(SpLog *log, const char *event, const char *machine, const char *kind,
    const char *text, double duration)
{
    g_autoptr(JsonObject) object = json_object_new();
    g_autoptr(JsonNode) node = json_node_new(JSON_NODE_OBJECT);
    g_autofree char *valid = text ? g_utf8_make_valid(text, -1) : NULL;
    g_autofree char *line = NULL;
    g_autofree char *whole = NULL;

    if (log->events_fd < 0)
        return;
    json_object_set_double_member(object, "time", seconds_since(log->begin));
    json_object_set_string_member(object, "event", event);
    if (machine)
        json_object_set_string_member(object, "machine", machine);
    if (kind)
        json_object_set_string_member(object, "kind", kind);
    if (valid)
        json_object_set_string_member(object, "text", valid);
    if (duration >= 0)
        json_object_set_double_member(object, "seconds", duration);
    json_node_set_object(node, object);
    line = json_to_string(node, FALSE);
    whole = g_strconcat(line, "\n", NULL);
    write_or_close(log, &log->events_fd, whole, strlen(whole));
}

static int open_log(const char *dir, const char *name, GError **error)
{
    g_autofree char *path = g_build_filename(dir, name, NULL);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);

    if (fd < 0)
        g_set_error(error, SP_ERROR, SP_ERROR_HOST, "the log '%s' can't be made: %s", path,
            g_strerror(errno));
    return fd;
}

static void clear_step(void *data)
{
    g_free(((Step *)data)->text);
}

SpLog *sp_log_new(const SpLogConfig *config, GError **error)
{
    g_autoptr(SpLog) log = g_new0(SpLog, 1);

    log->begin = g_get_monotonic_time();
    log->text_fd = log->events_fd = -1;
    log->stream_fd = config->stream_fd;
    log->with_consoles = config->with_consoles;
    log->steps = g_array_new(FALSE, FALSE, sizeof(Step));
    g_array_set_clear_func(log->steps, clear_step);
    if (!config->dir)
        return g_steal_pointer(&log);
    log->text_fd = open_log(config->dir, "log.txt", error);
    if (log->text_fd < 0)
        return NULL;
    log->events_fd = open_log(config->dir, "events.jsonl", error);
    return log->events_fd < 0 ? NULL : g_steal_pointer(&log);
}

void sp_log_free(SpLog *log)
{
    if (!log)
        return;
    if (log->text_fd >= 0)
        close(log->text_fd);
    if (log->events_fd >= 0)
        close(log->events_fd);
    g_array_unref(log->steps);
    g_free(log);
}

void sp_log(SpLog *log, const char *machine, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    if (!log)
        return;
    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    write_lines(log, machine, text);
    write_event(log, "message", machine, NULL, text, -1);
}

void sp_log_show_consoles(SpLog *log, bool are_shown)
{
    if (log)
        log->with_consoles = are_shown;
}

void sp_log_console(SpLog *log, const char *machine, const char *line)
{
    g_autofree char *text = NULL;

    if (!log)
        return;
    text = g_strconcat("# ", line, NULL);
    write_line(log, machine, text, log->with_consoles);
    write_event(log, "console", machine, NULL, line, -1);
}

void sp_log_begin(SpLog *log, const char *machine, const char *kind, const char *format, ...)
{
    Step step;
    va_list args;

    if (!log)
        return;
    va_start(args, format);
    step.text = g_strdup_vprintf(format, args);
    va_end(args);
    step.begin = g_get_monotonic_time();
    write_lines(log, machine, step.text);
    write_event(log, "begin", machine, kind, step.text, -1);
    g_array_append_val(log->steps, step);
}

void sp_log_end(SpLog *log, const char *failure)
{
    g_autofree char *text = NULL;
    Step *step;
    double duration;

    if (!log || log->steps->len == 0)
        return;
    step = &g_array_index(log->steps, Step, log->steps->len - 1);
    duration = seconds_since(step->begin);
    text =
        g_strdup_printf("(%s: %s, %.2f s)", failure ? "failed" : "finished", step->text, duration);
    write_event(log, "end", NULL, NULL, failure, duration);
    g_array_set_size(log->steps, log->steps->len - 1);
    write_line(log, NULL, text, true);
}

guint sp_log_depth(SpLog *log)
{
    return log ? log->steps->len : 0;
}
