/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

/**
 * JSON (RFC 8259) by jansson, and what it leaves to do.
 *
 * Values are reference-counted: json_auto_t frees a local one. Objects keep the order of their
 * members. Text that goes into a value has to be valid UTF-8: json_string() and json_pack() return
 * NULL for other text.
 */

/**
 * The object or array that @text is; NULL if it isn't exactly one, has two members of one name, or
 * nests deeper than jansson parses (2048). Strings may contain NUL. An integer that needs
 * all 64 bits becomes the negative one of the same bits, which QEMU takes for either; one of more
 * bits becomes a real. A pure function. Free with json_decref().
 */
json_t *sp_json_parse(const char *text, gsize length);
/** The same, but also NULL if it isn't an object, or contains an object or array: what parts of the
 * program send each other, one a line. */
json_t *sp_json_parse_flat(const char *line, gsize length);

/*
 * The member @name of @object, if it has the type asked for and @object is an object; otherwise
 * NULL or @fallback. NULL is accepted for @object.
 */
/** A string, owned by @object, up to its first NUL. */
const char *sp_json_text(const json_t *object, const char *name);
/** An integer. */
gint64 sp_json_int(const json_t *object, const char *name, gint64 fallback);
/** A finite number, integer or real. */
double sp_json_number(const json_t *object, const char *name, double fallback);
/** True only if it is the word true. */
bool sp_json_is_true(const json_t *object, const char *name);

/** @json on one line, without spaces. Free with g_free(). */
char *sp_json_format(const json_t *json);
