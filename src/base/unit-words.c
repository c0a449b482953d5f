/* SPDX-License-Identifier: MIT */
#include "base/unit-words.h"

#include <stdbool.h>
#include <string.h>

/* Returns a new string; NULL if the property is missing or empty. */
static char *get_property(const char *properties, const char *name)
{
    gsize length = strlen(name);

    for (const char *line = properties; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, length) == 0 && line[length] == '=') {
            const char *value = line + length + 1;
            gsize value_length = strcspn(value, "\n");

            return value_length > 0 ? g_strndup(value, value_length) : NULL;
        }
    }
    return NULL;
}

static bool has_value(const char *properties, const char *name, const char *wanted)
{
    g_autofree char *value = get_property(properties, name);

    return g_strcmp0(value, wanted) == 0;
}

/* Whether the time stamp is set: systemd prints 0 for never. */
static bool has_time(const char *properties, const char *name)
{
    g_autofree char *value = get_property(properties, name);

    return value && !g_str_equal(value, "0");
}

static const char *find_load_error(const char *properties)
{
    static const struct {
        const char *state, *reason;
    } loads[] = {
        {"masked", "it is masked: nothing can start it"},
        {"not-found", "there is no such unit"},
        {"bad-setting", "a setting in its file is wrong ('systemd-analyze verify' says which)"},
        {"error", "its file can't be loaded"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(loads); i++) {
        if (has_value(properties, "LoadState", loads[i].state))
            return loads[i].reason;
    }
    if (has_time(properties, "ConditionTimestampMonotonic") &&
        has_value(properties, "ConditionResult", "no"))
        return "one of its conditions was not met (Condition...= in its file)";
    if (has_time(properties, "AssertTimestampMonotonic") &&
        has_value(properties, "AssertResult", "no"))
        return "one of its assertions does not hold (Assert...= in its file)";
    /* systemd forgets all of this when nothing refers to an inactive unit */
    if (!has_time(properties, "ExecMainStartTimestampMonotonic"))
        return has_value(properties, "Type", "oneshot")
                   ? "it was not started, or has ended: a oneshot without RemainAfterExit=yes is "
                     "not active after that"
                   : "it was not started, or has ended ('journalctl -u' may say)";
    if (has_value(properties, "Type", "oneshot"))
        return "it ran to its end, and a oneshot without RemainAfterExit=yes is not active after "
               "that";
    return "it ran and has ended";
}

char *sp_unit_why_inactive(const char *properties)
{
    static const char *const told[] = {
        "LoadState", "SubState", "Result", "ConditionResult", "LoadError"};
    GString *text = g_string_new(find_load_error(properties));
    const char *separator = " (";

    for (gsize i = 0; i < G_N_ELEMENTS(told); i++) {
        g_autofree char *value = get_property(properties, told[i]);
        bool is_untested = g_str_equal(told[i], "ConditionResult") &&
                           !has_time(properties, "ConditionTimestampMonotonic");

        if (!value || is_untested)
            continue;
        g_string_append_printf(text, "%s%s=%s", separator, told[i], value);
        separator = ", ";
    }
    if (*separator == ',')
        g_string_append_c(text, ')');
    return g_string_free(text, FALSE);
}

const char *sp_unit_name_fault(const char *unit)
{
    const char *dot = strrchr(unit, '.');

    if (!*unit || dot == unit)
        return "the name is empty";
    if (strpbrk(unit, "*?["))
        return "it is a pattern, not a name: wait for each of the matching units";
    if ((dot && dot[-1] == '@') || g_str_has_suffix(unit, "@"))
        return "a template can't be started: name an instance, as in 'name@1.service'";
    if (strpbrk(unit, " \t\r\n"))
        return "a unit's name contains no spaces";
    return "it is not a unit's name";
}
