/* SPDX-License-Identifier: MIT */
#include "base/near.h"

#include <string.h>

#define SHOWN_MAX 3u

typedef struct {
    const char *word;
    gsize alike; /* bytes that match at the beginning and at the end */
} Candidate;

static gsize count_alike(const char *a, const char *b)
{
    gsize a_end = strlen(a), b_end = strlen(b), count = 0, begin;

    while (a[count] && a[count] == b[count])
        count++;
    begin = count;
    while (a_end > begin && b_end > begin && a[a_end - 1] == b[b_end - 1]) {
        a_end--;
        b_end--;
        count++;
    }
    return count;
}

/* Orders by similarity, then by length, the shortest first. */
static int compare_similarity(const void *a, const void *b)
{
    const Candidate *one = a, *other = b;

    if (one->alike != other->alike)
        return one->alike < other->alike ? 1 : -1;
    return (int)strlen(one->word) - (int)strlen(other->word);
}

char *sp_near_words(const char *given, const char *const *words)
{
    g_autoptr(GArray) near = g_array_new(FALSE, FALSE, sizeof(Candidate));
    GString *text;
    guint shown;

    for (; *words; words++) {
        const Candidate candidate = {*words, count_alike(given, *words)};
        if (candidate.alike > 0 && candidate.alike * 2 >= strlen(given))
            g_array_append_val(near, candidate);
    }
    if (near->len == 0)
        return NULL;
    g_array_sort(near, compare_similarity);
    text = g_string_new(NULL);
    shown = MIN(near->len, SHOWN_MAX);
    for (guint i = 0; i < shown; i++) {
        const char *joint = i == 0 ? "" : (i + 1 < shown ? ", " : " or ");
        g_string_append_printf(text, "%s%s", joint, g_array_index(near, Candidate, i).word);
    }
    return g_string_free(text, FALSE);
}
