/* SPDX-License-Identifier: MIT */
#include "runner/results.h"

const char *sp_result_word(SpResultKind kind)
{
    static const char *const words[] = {
        [SP_RESULT_PASSED] = "passed",
        [SP_RESULT_FAILED] = "failed",
        [SP_RESULT_ERROR] = "error",
        [SP_RESULT_SKIPPED] = "stopped",
    };

    return words[kind];
}

/* XML 1.0, 2.2 "Characters". */
static bool is_text(gunichar c)
{
    return c == '\t' || c == '\n' || (c >= 0x20 && c < 0x7f) || (c >= 0xa0 && c < 0xfffe) ||
           c > 0xffff;
}

char *sp_result_clean(const char *text)
{
    g_autofree char *valid = g_utf8_make_valid(text, -1);
    GString *clean = g_string_new(NULL);

    for (const char *at = valid; *at; at = g_utf8_next_char(at)) {
        gunichar c = g_utf8_get_char(at);

        g_string_append_unichar(clean, is_text(c) ? c : 0xfffd);
    }
    return g_string_free(clean, FALSE);
}
