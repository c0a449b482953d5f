/* SPDX-License-Identifier: MIT */
#include "base/text.h"

#include <string.h>

char *sp_text_excerpt(const char *bytes, gsize length, gsize max)
{
    const gsize half = max / 2;
    g_autofree char *head = NULL;
    g_autofree char *tail = NULL;

    if (length <= max)
        return g_utf8_make_valid(bytes, (gssize)length);
    head = g_utf8_make_valid(bytes, (gssize)half);
    tail = g_utf8_make_valid(bytes + length - half, (gssize)half);
    return g_strdup_printf("%s\n[... %zu bytes left out ...]\n%s", head, length - 2 * half, tail);
}

char *sp_text_printable(const char *text)
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

static guint width_of(gunichar c)
{
    return g_unichar_iszerowidth(c) ? 0 : g_unichar_iswide(c) ? 2 : 1;
}

guint sp_text_width(const char *text)
{
    guint width = 0;

    for (; *text; text = g_utf8_next_char(text))
        width += width_of(g_utf8_get_char(text));
    return width;
}

char *sp_text_fit(const char *text, guint columns)
{
    const char *p = text;
    guint width = 0;

    if (columns == 0)
        return g_strdup("");
    if (sp_text_width(text) <= columns)
        return g_strdup(text);
    while (width + width_of(g_utf8_get_char(p)) < columns) {
        width += width_of(g_utf8_get_char(p));
        p = g_utf8_next_char(p);
    }
    return g_strdup_printf("%.*s…", (int)(p - text), text);
}
