/* SPDX-License-Identifier: MIT */
#include "runner/junit.h"

#include <string.h>

static void append(GString *xml, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* As g_string_append_printf(), with each string made harmless. */
static void append(GString *xml, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_markup_vprintf_escaped(format, args);
    va_end(args);
    g_string_append(xml, text);
}

/* The report's line that says what failed: the first that is not about where. */
static char *first_line(const char *report)
{
    const char *end = strchr(report, '\n');

    return end ? g_strndup(report, (gsize)(end - report)) : g_strdup(report);
}

static void append_case(GString *xml, const SpTestResult *test)
{
    const SpResult *result = &test->result;
    g_autofree char *name = sp_result_clean(test->test->name);
    g_autofree char *report = result->report ? sp_result_clean(result->report) : NULL;
    g_autofree char *line = report ? first_line(report) : NULL;
    const char *element = result->kind == SP_RESULT_FAILED ? "failure" : "error";

    append(xml, "  <testcase classname=\"slotproof\" name=\"%s\" time=\"%.3f\">\n", name,
        result->seconds);
    if (result->kind == SP_RESULT_SKIPPED)
        append(xml, "    <skipped message=\"%s\"/>\n", line ? line : "not begun");
    else if (result->kind != SP_RESULT_PASSED)
        append(xml, "    <%s message=\"%s\">%s</%s>\n", element, line ? line : "",
            report ? report : "", element);
    append(xml, "  </testcase>\n");
}

static guint count(const SpResults *results, SpResultKind kind)
{
    guint n = 0;

    for (guint i = 0; i < results->tests->len; i++)
        n += g_array_index(results->tests, SpTestResult, i).result.kind == kind;
    return n;
}

bool sp_junit_write(const SpResults *results, const char *path, GError **error)
{
    g_autoptr(GString) xml = g_string_new("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(results->begin_s);
    g_autofree char *stamp = g_date_time_format(time, "%Y-%m-%dT%H:%M:%S");

    append(xml,
        "<testsuites>\n<testsuite name=\"slotproof\" timestamp=\"%s\" hostname=\"%s\" tests=\"%u\" "
        "failures=\"%u\" errors=\"%u\" skipped=\"%u\" time=\"%.3f\">\n",
        stamp, g_get_host_name(), results->tests->len, count(results, SP_RESULT_FAILED),
        count(results, SP_RESULT_ERROR), count(results, SP_RESULT_SKIPPED), results->seconds);
    for (guint i = 0; i < results->tests->len; i++)
        append_case(xml, &g_array_index(results->tests, SpTestResult, i));
    append(xml, "</testsuite>\n</testsuites>\n");
    return g_file_set_contents(path, xml->str, (gssize)xml->len, error);
}
