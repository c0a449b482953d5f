/* SPDX-License-Identifier: MIT */

/* The screenshots of a test, embedded in the page. */

#include "report/sections.h"

#include <string.h>

#define SCREENSHOT_MAX (512u * 1024)
#define SCREENSHOTS_MAX 24u

/* PNG (RFC 2083), 3.1 */
static const guint8 signature[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};

/* Whether @name is a plain file name. */
static bool is_file_name(const char *name)
{
    return *name && *name != '.' && !strchr(name, '/') && strlen(name) < 256;
}

/* The screenshot as base64. Returns NULL if it is not a PNG file or too large. */
static char *read_screenshot(const char *dir, const char *name, SpPageBudget *budget)
{
    gsize length;
    g_autofree char *bytes =
        sp_section_read_file(dir, name, MIN(SCREENSHOT_MAX, budget->screenshots), &length);

    if (!bytes || length < sizeof signature || memcmp(bytes, signature, sizeof signature) != 0)
        return NULL;
    budget->screenshots -= length;
    return g_base64_encode((const guint8 *)bytes, length);
}

static void write_screenshot(
    SpMarkup *markup, const SpRecord *record, const SpRecordMark *mark, SpPageBudget *budget)
{
    g_autofree char *base64 = read_screenshot(record->dir, mark->text, budget);
    g_autofree char *data = base64 ? g_strconcat("data:image/png;base64,", base64, NULL) : NULL;
    g_autofree char *time = sp_seconds_text(mark->time);
    g_autofree char *alternative = g_strdup_printf("The screen of %s at %s", mark->machine, time);

    sp_markup_begin(markup, "figure", NULL);
    if (data)
        sp_markup_element(markup, "img", "", "src", data, "alt", alternative, NULL);
    else
        sp_markup_element(markup, "p", "This screenshot is only in the test's directory.", NULL);
    sp_markup_begin(markup, "figcaption", NULL);
    sp_markup_element(markup, "b", mark->text, NULL);
    sp_markup_printf(markup, ", %s at %s", mark->machine, time);
    sp_markup_end(markup);
    sp_markup_end(markup);
}

/* Whether a later screenshot has overwritten this one's file. */
static bool is_overwritten(const SpRecord *record, guint index)
{
    const SpRecordMark *mark = g_ptr_array_index(record->marks, index);

    for (guint i = index + 1; i < record->marks->len; i++) {
        const SpRecordMark *later = g_ptr_array_index(record->marks, i);

        if (g_str_equal(later->kind, "screenshot") && g_str_equal(later->text, mark->text))
            return true;
    }
    return false;
}

void sp_section_screens(SpMarkup *markup, const SpRecord *record, SpPageBudget *budget)
{
    guint count = 0;

    for (guint i = 0; i < record->marks->len && count < SCREENSHOTS_MAX; i++) {
        const SpRecordMark *mark = g_ptr_array_index(record->marks, i);

        if (!g_str_equal(mark->kind, "screenshot") || !is_file_name(mark->text) ||
            is_overwritten(record, i))
            continue;
        if (count++ == 0) {
            sp_markup_begin(markup, "section", NULL);
            sp_markup_element(markup, "h3", "Screens", NULL);
            sp_markup_begin(markup, "div", "class", "screens", NULL);
        }
        write_screenshot(markup, record, mark, budget);
    }
    if (count == 0)
        return;
    sp_markup_end(markup);
    sp_markup_end(markup);
}
