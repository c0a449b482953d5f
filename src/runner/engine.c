/* SPDX-License-Identifier: MIT */
#include "runner/engine.h"

#include "base/error.h"

static const SpEngine *const engines[] = {&sp_local_engine};

const SpEngine *sp_engine_find(const char *name, GError **error)
{
    g_autoptr(GString) known = g_string_new(NULL);

    for (gsize i = 0; i < G_N_ELEMENTS(engines); i++) {
        if (!name || g_str_equal(engines[i]->name, name))
            return engines[i];
        g_string_append_printf(known, "%s%s", i > 0 ? ", " : "", engines[i]->name);
    }
    g_set_error(error, SP_ERROR, SP_ERROR_USAGE, "there is no engine '%s': expected one of %s",
        name, known->str);
    return NULL;
}
