/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <json-glib/json-glib.h>

/**
 * JSON objects (RFC 8259) that hold nothing but strings, numbers and the like: one a line is how
 * parts of the program tell each other what happens.
 */

/** The object in @line, whose members are no objects or arrays; NULL for anything else, however
 * deep it nests. A pure function. Free with json_object_unref(). */
JsonObject *sp_flat_json_parse(const char *line, gsize length);
/** A member that is a string, owned by @object; NULL where there is none. */
const char *sp_flat_json_text(JsonObject *object, const char *name);
/** A member that is a finite number; @fallback where there is none. */
double sp_flat_json_number(JsonObject *object, const char *name, double fallback);
