/* SPDX-License-Identifier: MIT */
#include "report/summary.h"

#include "base/error.h"
#include "report/junit.h"
#include "report/page.h"

guint sp_summary_count(const SpSummary *summary, SpResultKind kind)
{
    guint n = 0;

    for (guint i = 0; i < summary->records->len; i++)
        n += ((SpRecord *)g_ptr_array_index(summary->records, i))->kind == kind;
    return n;
}

static bool write_report_file(const char *out, const char *name, SpMarkup *markup, GError **error)
{
    g_autofree char *path = g_build_filename(out, name, NULL);
    g_autoptr(GError) local = NULL;
    gsize length;
    const char *text = sp_markup_finish(markup, &length);

    if (g_file_set_contents_full(
            path, text, (gssize)length, G_FILE_SET_CONTENTS_CONSISTENT, 0666, &local))
        return true;
    g_set_error(error, SP_ERROR, SP_ERROR_HOST, "can't write the report: %s", local->message);
    return false;
}

bool sp_summary_write(const SpSummary *summary, const char *out, GError **error)
{
    g_autoptr(SpMarkup) junit = sp_junit_make(summary);
    g_autoptr(SpMarkup) page = sp_page_make(summary);

    return write_report_file(out, "junit.xml", junit, error) &&
           write_report_file(out, "report.html", page, error);
}
