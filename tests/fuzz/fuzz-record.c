/* SPDX-License-Identifier: MIT */

/* A test's record and the reports made from it: guests may control any of its lines. */

#include "report/junit.h"
#include "report/page.h"

#include <libxml/parser.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool is_right)
{
    if (!is_right)
        abort();
}

/* The JUnit report is XML; so is the page, as far as HTML permits. */
static void check_markup(SpMarkup *markup, const char *first, const char *last)
{
    gsize length;
    const char *text = sp_markup_finish(markup, &length);

    check(g_utf8_validate(text, (gssize)length, NULL));
    check(g_str_has_prefix(text, first));
    check(g_str_has_suffix(text, last));
    check(!strstr(text, "<script"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(SpRecord) record = sp_record_new("fuzz");
    g_autoptr(GPtrArray) records = g_ptr_array_new();
    const SpSummary summary = {.records = records};
    const char *at = (const char *)data, *end = at + size;
    g_autoptr(SpMarkup) junit = NULL;
    g_autoptr(SpMarkup) page = NULL;
    xmlDoc *doc;
    gsize length;
    const char *text;

    while (at < end) {
        const char *newline = memchr(at, '\n', (gsize)(end - at));
        gsize line = (gsize)((newline ? newline : end) - at);

        sp_record_take(record, at, line);
        at += line + 1;
    }
    record->dir = g_strdup("/nowhere");
    g_ptr_array_add(records, record);
    junit = sp_junit_make(&summary);
    page = sp_page_make(&summary);
    check_markup(junit, "<?xml", "</testsuites>\n");
    check_markup(page, "<!DOCTYPE html>", "</html>\n");
    text = sp_markup_finish(junit, &length);
    doc = xmlReadMemory(text, (int)length, NULL, NULL, XML_PARSE_NONET | XML_PARSE_HUGE);
    check(doc != NULL);
    xmlFreeDoc(doc);
    return 0;
}
