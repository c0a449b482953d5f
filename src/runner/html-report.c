/* SPDX-License-Identifier: MIT */
#include "runner/html-report.h"

#include "runner/report-page.h"

#include <json-glib/json-glib.h>
#include <string.h>

/* A page that a browser can still open: of each test, and of all. */
#define EVENTS_MAX 20000u
#define CONSOLE_LINES_MAX 100u
#define IMAGE_MAX (1024u * 1024u)
#define IMAGES_MAX 20u
#define SCRIPT_MAX (256u * 1024u)
/* Where the page has its data. */
#define PLACE "@DATA@"

static void add_string(JsonBuilder *builder, const char *name, const char *text)
{
    g_autofree char *clean = sp_result_clean(text ? text : "");

    json_builder_set_member_name(builder, name);
    json_builder_add_string_value(builder, clean);
}

static void add_number(JsonBuilder *builder, const char *name, double number)
{
    json_builder_set_member_name(builder, name);
    json_builder_add_double_value(builder, number);
}

static bool is_console(JsonNode *event)
{
    JsonObject *object = json_node_get_object(event);

    return g_strcmp0(json_object_get_string_member_with_default(object, "event", ""), "console") ==
           0;
}

static JsonNode *parse_event(const char *line)
{
    JsonNode *node = json_from_string(line, NULL);

    if (node && JSON_NODE_HOLDS_OBJECT(node))
        return node;
    if (node)
        json_node_unref(node);
    return NULL;
}

/* The events of a test; of its consoles the last lines. */
static void add_events(JsonBuilder *builder, const char *folder)
{
    g_autofree char *path = g_build_filename(folder, "events.jsonl", NULL);
    g_autoptr(GQueue) consoles = g_queue_new();
    g_autofree char *text = NULL;
    guint count = 0;

    json_builder_set_member_name(builder, "events");
    json_builder_begin_array(builder);
    if (g_file_get_contents(path, &text, NULL, NULL)) {
        g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

        for (char **line = lines; *line && count < EVENTS_MAX; line++) {
            JsonNode *event = parse_event(*line);

            if (!event)
                continue;
            if (is_console(event)) {
                g_queue_push_tail(consoles, event);
                if (consoles->length > CONSOLE_LINES_MAX)
                    json_node_unref(g_queue_pop_head(consoles));
                continue;
            }
            json_builder_add_value(builder, event);
            count++;
        }
    }
    json_builder_end_array(builder);
    json_builder_set_member_name(builder, "console");
    json_builder_begin_array(builder);
    while (consoles->length > 0)
        json_builder_add_value(builder, g_queue_pop_head(consoles));
    json_builder_end_array(builder);
}

static void add_image(JsonBuilder *builder, const char *folder, const char *name)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    g_autofree char *bytes = NULL, *encoded = NULL, *uri = NULL;
    gsize length;

    if (!g_file_get_contents(path, &bytes, &length, NULL) || length > IMAGE_MAX)
        return;
    encoded = g_base64_encode((guchar *)bytes, length);
    uri = g_strconcat("data:image/png;base64,", encoded, NULL);
    json_builder_begin_object(builder);
    add_string(builder, "name", name);
    add_string(builder, "data", uri);
    json_builder_end_object(builder);
}

static void add_images(JsonBuilder *builder, const char *folder)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;
    guint count = 0;

    json_builder_set_member_name(builder, "images");
    json_builder_begin_array(builder);
    while (dir && (name = g_dir_read_name(dir)) && count < IMAGES_MAX) {
        if (!g_str_has_suffix(name, ".png"))
            continue;
        add_image(builder, folder, name);
        count++;
    }
    json_builder_end_array(builder);
}

static void add_subtests(JsonBuilder *builder, const GPtrArray *subtests)
{
    json_builder_set_member_name(builder, "subtests");
    json_builder_begin_array(builder);
    for (guint i = 0; subtests && i < subtests->len; i++) {
        const SpSubtestResult *subtest = g_ptr_array_index(subtests, i);

        json_builder_begin_object(builder);
        add_string(builder, "name", subtest->name);
        add_string(builder, "result", subtest->passed ? "passed" : "failed");
        add_number(builder, "seconds", subtest->seconds);
        json_builder_end_object(builder);
    }
    json_builder_end_array(builder);
}

static void add_test(JsonBuilder *builder, const SpTestResult *test, const char *out)
{
    g_autofree char *folder = g_build_filename(out, test->test->name, NULL);
    g_autofree char *script = NULL;
    gsize length = 0;

    json_builder_begin_object(builder);
    add_string(builder, "name", test->test->name);
    add_string(builder, "description", test->test->description);
    add_string(builder, "result", sp_result_word(test->result.kind));
    add_string(builder, "report", test->result.report);
    add_number(builder, "seconds", test->result.seconds);
    /* for the failing line with those around it */
    if (test->result.kind != SP_RESULT_PASSED &&
        g_file_get_contents(test->test->script, &script, &length, NULL) && length <= SCRIPT_MAX) {
        add_string(builder, "path", test->test->script);
        add_string(builder, "script", script);
    }
    add_subtests(builder, test->result.subtests);
    if (test->result.kind != SP_RESULT_SKIPPED || test->result.report) {
        add_events(builder, folder);
        add_images(builder, folder);
    }
    json_builder_end_object(builder);
}

static char *make_data(const SpResults *results)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_local(results->begin_s);
    g_autofree char *stamp = g_date_time_format(time, "%Y-%m-%d %H:%M:%S");
    g_autoptr(JsonNode) root = NULL;

    json_builder_begin_object(builder);
    add_string(builder, "host", g_get_host_name());
    add_string(builder, "begin", stamp);
    add_number(builder, "seconds", results->seconds);
    json_builder_set_member_name(builder, "tests");
    json_builder_begin_array(builder);
    for (guint i = 0; i < results->tests->len; i++)
        add_test(builder, &g_array_index(results->tests, SpTestResult, i), results->out);
    json_builder_end_array(builder);
    json_builder_end_object(builder);
    root = json_builder_get_root(builder);
    return json_to_string(root, FALSE);
}

/* Within a page's script "<" could end it: JSON has another way to write it. */
static void append_data(GString *page, const char *json)
{
    for (; *json; json++) {
        if (*json == '<')
            g_string_append(page, "\\u003c");
        else
            g_string_append_c(page, *json);
    }
}

bool sp_html_report_write(const SpResults *results, const char *path, GError **error)
{
    g_autofree char *template = g_strndup((const char *)sp_report_page, sp_report_page_size);
    const char *place = strstr(template, PLACE);
    g_autoptr(GString) page = g_string_new(NULL);
    g_autofree char *data = make_data(results);

    g_assert(place);
    g_string_append_len(page, template, place - template);
    append_data(page, data);
    g_string_append(page, place + strlen(PLACE));
    return g_file_set_contents(path, page->str, (gssize)page->len, error);
}
