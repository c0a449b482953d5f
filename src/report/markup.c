/* SPDX-License-Identifier: MIT */
#include "report/markup.h"

#include <libxml/xmlwriter.h>

struct SpMarkup {
    xmlBuffer *buffer;
    xmlTextWriter *writer;
};

/* Elements without an end tag (HTML Living Standard, 13.1.2 "void elements"). */
static const char *const void_elements[] = {"br", "img", "link", "meta", NULL};

static SpMarkup *markup_new(void)
{
    SpMarkup *markup = g_new0(SpMarkup, 1);

    markup->buffer = xmlBufferCreate();
    markup->writer = markup->buffer ? xmlNewTextWriterMemory(markup->buffer, 0) : NULL;
    if (!markup->writer)
        g_error("no memory"); /* as GLib does */
    return markup;
}

SpMarkup *sp_markup_new_xml(void)
{
    SpMarkup *markup = markup_new();

    xmlTextWriterSetIndent(markup->writer, 1);
    xmlTextWriterStartDocument(markup->writer, NULL, "UTF-8", NULL);
    return markup;
}

SpMarkup *sp_markup_new_html(void)
{
    SpMarkup *markup = markup_new();

    xmlTextWriterWriteDTD(markup->writer, BAD_CAST "html", NULL, NULL, NULL);
    return markup;
}

void sp_markup_free(SpMarkup *markup)
{
    if (!markup)
        return;
    if (markup->writer)
        xmlFreeTextWriter(markup->writer);
    xmlBufferFree(markup->buffer);
    g_free(markup);
}

/* XML 1.0, 2.2 "Characters", without the control characters. */
static gboolean is_plain_character(gunichar c)
{
    return c == '\t' || c == '\n' || (c >= 0x20 && c < 0x7f) || (c >= 0xa0 && c < 0xfffe) ||
           c > 0xffff;
}

/* Free with g_free(). */
static char *clean(const char *text)
{
    g_autofree char *valid = g_utf8_make_valid(text, -1);
    GString *out = g_string_new(NULL);

    for (const char *p = valid; *p; p = g_utf8_next_char(p)) {
        gunichar c = g_utf8_get_char(p);
        if (is_plain_character(c))
            g_string_append_unichar(out, c);
        else if (c < 0xa0)
            g_string_append_printf(out, "\\x%02x", c);
        else
            g_string_append_unichar(out, 0xfffd);
    }
    return g_string_free(out, FALSE);
}

static void write_attributes(SpMarkup *markup, va_list attributes)
{
    const char *name;

    while ((name = va_arg(attributes, const char *))) {
        const char *value = va_arg(attributes, const char *);
        g_autofree char *cleaned = value ? clean(value) : NULL;

        if (value)
            xmlTextWriterWriteAttribute(markup->writer, BAD_CAST name, BAD_CAST cleaned);
    }
}

void sp_markup_begin(SpMarkup *markup, const char *element, ...)
{
    va_list attributes;

    va_start(attributes, element);
    xmlTextWriterStartElement(markup->writer, BAD_CAST element);
    write_attributes(markup, attributes);
    va_end(attributes);
}

void sp_markup_attributes(SpMarkup *markup, ...)
{
    va_list attributes;

    va_start(attributes, markup);
    write_attributes(markup, attributes);
    va_end(attributes);
}

void sp_markup_end(SpMarkup *markup)
{
    xmlTextWriterFullEndElement(markup->writer);
}

void sp_markup_text(SpMarkup *markup, const char *text)
{
    g_autofree char *cleaned = clean(text);

    xmlTextWriterWriteString(markup->writer, BAD_CAST cleaned);
}

void sp_markup_printf(SpMarkup *markup, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    sp_markup_text(markup, text);
}

void sp_markup_element(SpMarkup *markup, const char *element, const char *text, ...)
{
    va_list attributes;

    va_start(attributes, text);
    xmlTextWriterStartElement(markup->writer, BAD_CAST element);
    write_attributes(markup, attributes);
    va_end(attributes);
    if (g_strv_contains(void_elements, element)) {
        xmlTextWriterEndElement(markup->writer);
        return;
    }
    sp_markup_text(markup, text);
    sp_markup_end(markup);
}

void sp_markup_style(SpMarkup *markup, const char *css, gsize length)
{
    xmlTextWriterStartElement(markup->writer, BAD_CAST "style");
    xmlTextWriterWriteRawLen(markup->writer, BAD_CAST css, (int)length);
    sp_markup_end(markup);
}

const char *sp_markup_finish(SpMarkup *markup, gsize *ret_length)
{
    xmlTextWriterEndDocument(markup->writer);
    xmlTextWriterFlush(markup->writer);
    *ret_length = (gsize)xmlBufferLength(markup->buffer);
    return (const char *)xmlBufferContent(markup->buffer);
}
