/* SPDX-License-Identifier: MIT */
#include "worker/message.h"

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"

#include <string.h>

static const char *const events[] = {
    [SP_REPORT_BEGIN] = "begin",
    [SP_REPORT_SCRIPT] = "script",
    [SP_REPORT_SUBTEST] = "subtest",
    [SP_REPORT_STEP] = "step",
    [SP_REPORT_PRINT] = "print",
    [SP_REPORT_FOREIGN] = "foreign",
    [SP_REPORT_RESULT] = "result",
};

void sp_report_clear(SpReport *report)
{
    g_clear_pointer(&report->word, g_free);
    g_clear_pointer(&report->text, g_free);
}

static void set_text(json_t *object, const char *name, const char *text)
{
    g_autofree char *excerpt =
        sp_text_excerpt(text ? text : "", text ? strlen(text) : 0, SP_REPORT_TEXT_MAX);

    json_object_set_new(object, name, json_string(excerpt));
}

char *sp_report_format(SpReportKind kind, const char *word, const char *text, double number)
{
    json_auto_t *object = json_object();
    g_autofree char *line = NULL;

    set_text(object, "event", events[kind]);
    set_text(object, "word", word);
    set_text(object, "text", text);
    json_object_set_new(object, "number", json_real(number));
    line = sp_json_format(object);
    return g_strconcat(line, "\n", NULL);
}

bool sp_report_parse(const char *line, gsize length, SpReport *ret_report, GError **error)
{
    json_auto_t *object = length <= SP_REPORT_MAX ? sp_json_parse_flat(line, length) : NULL;

    for (gsize i = 0; object && i < G_N_ELEMENTS(events); i++) {
        const char *word = sp_json_text(object, "word");
        const char *text = sp_json_text(object, "text");
        double number = sp_json_number(object, "number", -1);
        if (g_strcmp0(sp_json_text(object, "event"), events[i]) != 0)
            continue;
        if (!word || !text || number < 0)
            break;
        *ret_report = (SpReport){
            .kind = (SpReportKind)i,
            .word = g_strdup(word),
            .text = g_strdup(text),
            .number = number,
        };
        return true;
    }
    g_set_error_literal(
        error, SP_ERROR, SP_ERROR_PROTOCOL, "the test's process sent what is no report");
    return false;
}
