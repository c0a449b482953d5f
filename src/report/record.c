/* SPDX-License-Identifier: MIT */
#include "report/record.h"

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_NAME "events.jsonl"
/* More than the log writes, plus the result. */
#define FILE_MAX (96u * 1024 * 1024)
/* The limit of each text except the failure's report. */
#define TEXT_MAX 4096u
#define REPORT_MAX (1024u * 1024)
#define SECONDS_MAX 1e7
#define DEPTH_MAX 64u
#define SUBTEST_PREFIX "subtest: "

static const char *const words[] = {
    [SP_RESULT_PASSED] = "passed",
    [SP_RESULT_FAILED] = "failed",
    [SP_RESULT_ERROR] = "error",
    [SP_RESULT_SKIPPED] = "stopped",
};

const char *sp_result_word(SpResultKind kind)
{
    return words[kind];
}

static void step_free(void *data)
{
    SpRecordStep *step = data;

    g_free(step->kind);
    g_free(step->text);
    g_free(step->machine);
    g_free(step->failure);
    g_free(step->output);
    g_free(step->errors);
    g_free(step);
}

static void mark_free(void *data)
{
    SpRecordMark *mark = data;

    g_free(mark->machine);
    g_free(mark->kind);
    g_free(mark->text);
    g_free(mark);
}

static void console_free(void *data)
{
    SpRecordConsole *console = data;

    g_free(console->machine);
    g_queue_clear_full(&console->lines, g_free);
    g_free(console);
}

SpRecord *sp_record_new(const char *name)
{
    SpRecord *record = g_new0(SpRecord, 1);

    record->name = g_strdup(name);
    record->description = g_strdup("");
    record->kind = SP_RESULT_SKIPPED;
    record->steps = g_ptr_array_new_with_free_func(step_free);
    record->marks = g_ptr_array_new_with_free_func(mark_free);
    record->consoles = g_ptr_array_new_with_free_func(console_free);
    record->open = g_ptr_array_new();
    g_queue_init(&record->messages);
    return record;
}

static void clear_failure(SpRecordFailure *failure)
{
    g_free(failure->text);
    g_free(failure->headline);
    g_free(failure->chain);
    g_free(failure->subtest);
    g_free(failure->file);
    g_free(failure->source);
    *failure = (SpRecordFailure){0};
}

void sp_record_free(SpRecord *record)
{
    if (!record)
        return;
    g_free(record->name);
    g_free(record->description);
    g_free(record->dir);
    g_free(record->report);
    g_free(record->reason);
    for (guint i = 0; i < record->open->len; i++) {
        SpRecordStep *step = g_ptr_array_index(record->open, i);
        if (step && step->is_spare)
            step_free(step);
    }
    g_ptr_array_unref(record->steps);
    g_ptr_array_unref(record->marks);
    g_ptr_array_unref(record->consoles);
    g_ptr_array_unref(record->open);
    g_queue_clear_full(&record->messages, g_free);
    clear_failure(&record->failure);
    g_free(record);
}

static char *get_text(json_t *object, const char *name, gsize max)
{
    const char *text = sp_json_text(object, name);

    return text ? sp_text_excerpt(text, strlen(text), max) : NULL;
}

static double get_seconds(json_t *object, const char *name, double fallback)
{
    return MIN(sp_json_number(object, name, fallback), SECONDS_MAX);
}

static guint get_line(json_t *object, const char *name)
{
    return (guint)CLAMP(sp_json_number(object, name, 0), 0, 1e6);
}

/* Finds or adds the console of @machine. Returns NULL if there are too many. */
static SpRecordConsole *get_console(SpRecord *record, const char *machine)
{
    SpRecordConsole *console;

    for (guint i = 0; i < record->consoles->len; i++) {
        console = g_ptr_array_index(record->consoles, i);
        if (g_str_equal(console->machine, machine))
            return console;
    }
    if (record->consoles->len >= SP_RECORD_MACHINES_MAX)
        return NULL;
    console = g_new0(SpRecordConsole, 1);
    console->machine = g_strdup(machine);
    g_queue_init(&console->lines);
    g_ptr_array_add(record->consoles, console);
    return console;
}

/* The machine's name, or NULL if it is not one of those that are kept. */
static char *get_machine(SpRecord *record, json_t *object)
{
    g_autofree char *machine = get_text(object, "machine", TEXT_MAX);

    return machine && *machine && get_console(record, machine) ? g_steal_pointer(&machine) : NULL;
}

/* Drops the prefix of a subtest's text, which its kind implies. */
static char *get_step_text(json_t *object, const char *kind)
{
    g_autofree char *text = get_text(object, "text", TEXT_MAX);
    bool has_prefix =
        text && g_strcmp0(kind, "subtest") == 0 && g_str_has_prefix(text, SUBTEST_PREFIX);

    return text && !has_prefix ? g_steal_pointer(&text)
                               : g_strdup(text ? text + strlen(SUBTEST_PREFIX) : "");
}

static SpRecordStep *add_step(SpRecord *record, json_t *object, double time)
{
    SpRecordStep *step = g_new0(SpRecordStep, 1);

    step->begin = time;
    step->seconds = -1;
    step->depth = record->open->len;
    step->machine = get_machine(record, object);
    step->kind = get_text(object, "kind", TEXT_MAX);
    if (!step->kind)
        step->kind = g_strdup("");
    step->text = get_step_text(object, step->kind);
    return step;
}

static void take_begin(SpRecord *record, json_t *object, double time)
{
    SpRecordStep *step = NULL;
    bool has_room = record->steps->len < SP_RECORD_STEPS_MAX;

    if (record->open->len < DEPTH_MAX &&
        (has_room || g_strcmp0(sp_json_text(object, "kind"), "subtest") == 0))
        step = add_step(record, object, time);
    if (step && has_room)
        g_ptr_array_add(record->steps, step);
    else
        record->left_out++;
    if (step)
        step->is_spare = !has_room;
    g_ptr_array_add(record->open, step);
}

/* A failed subtest is always recorded, however many there are. */
static void settle_spare(SpRecord *record, SpRecordStep *step)
{
    step->is_spare = false;
    if (step->failure && record->steps->len < SP_RECORD_STEPS_MAX + SP_RECORD_FAILED_MAX) {
        g_ptr_array_add(record->steps, step);
        record->left_out--;
    } else {
        step_free(step);
    }
}

static void take_step_end(SpRecord *record, json_t *object, double time)
{
    SpRecordStep *step;
    double status = sp_json_number(object, "status", NAN);

    if (record->open->len == 0)
        return;
    step = g_ptr_array_steal_index(record->open, record->open->len - 1);
    if (!step)
        return;
    step->seconds = MAX(0, time - step->begin);
    step->failure = get_text(object, "text", TEXT_MAX);
    step->output = get_text(object, "output", TEXT_MAX);
    step->errors = get_text(object, "errors", TEXT_MAX);
    step->has_status = isfinite(status) && fabs(status) < G_MAXINT;
    step->status = step->has_status ? (int)status : 0;
    if (step->is_spare)
        settle_spare(record, step);
}

static void take_mark(SpRecord *record, json_t *object, double time)
{
    SpRecordMark *mark;

    if (record->marks->len >= SP_RECORD_MARKS_MAX)
        return;
    mark = g_new0(SpRecordMark, 1);
    mark->time = time;
    mark->machine = get_machine(record, object);
    mark->kind = get_text(object, "kind", TEXT_MAX);
    mark->text = get_text(object, "text", TEXT_MAX);
    g_ptr_array_add(record->marks, mark);
    if (!mark->machine || !mark->kind || !mark->text)
        g_ptr_array_remove_index(record->marks, record->marks->len - 1);
}

static void take_console(SpRecord *record, json_t *object, double time)
{
    g_autofree char *machine = get_machine(record, object);
    SpRecordConsole *console = machine ? get_console(record, machine) : NULL;
    char *line = get_text(object, "text", TEXT_MAX);

    if (!console || !line) {
        g_free(line);
        return;
    }
    g_queue_push_tail(&console->lines, line);
    if (console->lines.length > SP_RECORD_CONSOLE_LINES)
        g_free(g_queue_pop_head(&console->lines));
}

static void take_message_event(SpRecord *record, json_t *object, double time)
{
    char *text = get_text(object, "text", TEXT_MAX);

    if (!text || sp_json_text(object, "machine")) {
        g_free(text);
        return;
    }
    g_queue_push_tail(&record->messages, text);
    if (record->messages.length > SP_RECORD_MESSAGES)
        g_free(g_queue_pop_head(&record->messages));
}

static void take_failure(SpRecord *record, json_t *object, double time)
{
    SpRecordFailure *failure = &record->failure;

    clear_failure(failure);
    failure->text = get_text(object, "text", REPORT_MAX);
    failure->headline = get_text(object, "headline", REPORT_MAX);
    failure->chain = get_text(object, "chain", REPORT_MAX);
    failure->subtest = get_text(object, "subtest", TEXT_MAX);
    failure->file = get_text(object, "file", TEXT_MAX);
    failure->source = get_text(object, "source", TEXT_MAX);
    failure->line = get_line(object, "line");
    failure->last_line = get_line(object, "last_line");
    failure->first = get_line(object, "first");
}

static void replace(char **text, char *other)
{
    if (!other)
        return;
    g_free(*text);
    *text = other;
}

static void take_result_event(SpRecord *record, json_t *object, double time)
{
    const char *word = sp_json_text(object, "word");

    for (gsize i = 0; word && i < G_N_ELEMENTS(words); i++) {
        if (g_str_equal(words[i], word))
            record->kind = (SpResultKind)i;
    }
    replace(&record->name, get_text(object, "name", TEXT_MAX));
    replace(&record->description, get_text(object, "description", TEXT_MAX));
    replace(&record->report, get_text(object, "text", REPORT_MAX));
    replace(&record->reason, get_text(object, "reason", TEXT_MAX));
    record->seconds = MAX(0, get_seconds(object, "seconds", 0));
    record->began_s = (gint64)CLAMP(sp_json_number(object, "began", 0), 0, 1e11);
}

bool sp_record_take(SpRecord *record, const char *line, gsize length)
{
    static const struct {
        const char *event;
        void (*take)(SpRecord *record, json_t *object, double time);
    } events[] = {
        {"begin", take_begin},
        {"end", take_step_end},
        {"mark", take_mark},
        {"console", take_console},
        {"message", take_message_event},
        {"failure", take_failure},
        {"result", take_result_event},
    };
    json_auto_t *object = sp_json_parse_flat(line, length);
    const char *event = object ? sp_json_text(object, "event") : NULL;
    double time = object ? get_seconds(object, "time", -1) : -1;

    for (gsize i = 0; event && i < G_N_ELEMENTS(events); i++) {
        if (!g_str_equal(events[i].event, event))
            continue;
        if (time < 0 && events[i].take != take_result_event)
            return false;
        record->end = MAX(record->end, time);
        events[i].take(record, object, time);
        return true;
    }
    return event != NULL;
}

/* Returns NULL with errno set. Opens regular files only, and no symbolic links. */
static GMappedFile *map_file(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    GMappedFile *file = NULL;
    struct stat st;

    if (fd < 0)
        return NULL;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= FILE_MAX)
        file = g_mapped_file_new_from_fd(fd, FALSE, NULL);
    close(fd);
    if (!file)
        errno = EFBIG;
    return file;
}

SpRecord *sp_record_parse(const char *name, const char *text, gsize length)
{
    SpRecord *record = sp_record_new(name);
    const char *at = text, *end = text ? text + length : NULL;

    while (at < end) {
        const char *newline = memchr(at, '\n', (gsize)(end - at));
        gsize line = (gsize)((newline ? newline : end) - at);

        sp_record_take(record, at, line);
        at += line + 1;
    }
    record->end = MAX(record->end, record->seconds);
    return record;
}

SpRecord *sp_record_load(const char *dir, GError **error)
{
    g_autofree char *name = g_path_get_basename(dir);
    g_autofree char *path = g_build_filename(dir, FILE_NAME, NULL);
    g_autoptr(GMappedFile) file = map_file(path);
    SpRecord *record;

    if (!file) {
        g_set_error(
            error, SP_ERROR, SP_ERROR_HOST, "'%s' can't be read: %s", path, g_strerror(errno));
        return NULL;
    }
    record =
        sp_record_parse(name, g_mapped_file_get_contents(file), g_mapped_file_get_length(file));
    record->dir = g_strdup(dir);
    return record;
}

char *sp_record_kept_text(const SpRecord *record)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_local(record->began_s);
    g_autofree char *date = time ? g_date_time_format(time, "%Y-%m-%d %H:%M") : NULL;

    return g_strdup_printf("kept, run on %s", date ? date : "an unknown day");
}

SpRecord *sp_record_of_result(const SpRecordResult *result)
{
    SpRecord *record = sp_record_new(result->name);

    record->kind = result->kind;
    record->seconds = result->seconds;
    record->began_s = result->began_s;
    replace(&record->description, g_strdup(result->description));
    replace(&record->report, g_strdup(result->report));
    replace(&record->reason, g_strdup(result->reason));
    return record;
}

static void set_record_text(json_t *object, const char *name, const char *text)
{
    g_autofree char *excerpt = sp_text_excerpt(text, strlen(text), REPORT_MAX);

    json_object_set_new(object, name, json_string(excerpt));
}

bool sp_record_append(const char *dir, const SpRecordResult *result, GError **error)
{
    g_autofree char *path = g_build_filename(dir, FILE_NAME, NULL);
    json_auto_t *object = json_object();
    g_autofree char *text = NULL;
    g_autofree char *line = NULL;
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
    ssize_t written = -1;

    set_record_text(object, "event", "result");
    set_record_text(object, "name", result->name);
    set_record_text(object, "description", result->description);
    set_record_text(object, "word", sp_result_word(result->kind));
    if (result->report)
        set_record_text(object, "text", result->report);
    if (result->reason)
        set_record_text(object, "reason", result->reason);
    json_object_set_new(object, "seconds", json_real(result->seconds));
    json_object_set_new(object, "began", json_integer(result->began_s));
    text = sp_json_format(object);
    /* a writer that was killed may have left half a line */
    line = g_strconcat("\n", text, "\n", NULL);
    if (fd >= 0)
        written = write(fd, line, strlen(line));
    if (written != (ssize_t)strlen(line))
        g_set_error(error, SP_ERROR, SP_ERROR_HOST, "'%s' can't be written: %s", path,
            written >= 0 ? g_strerror(ENOSPC) : g_strerror(errno));
    if (fd >= 0)
        close(fd);
    return written == (ssize_t)strlen(line);
}
