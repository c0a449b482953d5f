/* SPDX-License-Identifier: MIT */
#include "worker/options.h"

#include "base/error.h"

#include <string.h>

#define POST_MORTEM_MS 30000
#define POST_MORTEM_DISKS_MS 180000

typedef enum {
    OPTION_FLAG,     /* gboolean */
    OPTION_TEXT,     /* const char *; NULL: not given */
    OPTION_REQUIRED, /* the same, never NULL */
    OPTION_TIME,     /* gint64, microseconds; 0: not given */
} OptionKind;

typedef struct {
    const char *name;
    OptionKind kind;
    gsize offset; /* of the member of SpWorkerOptions */
} Option;

#define OPTION(name, kind, member)                                                                 \
    {                                                                                              \
        name, kind, offsetof(SpWorkerOptions, member)                                              \
    }

static const Option table[] = {
    OPTION("test", OPTION_REQUIRED, test_dir),
    OPTION("images", OPTION_REQUIRED, images),
    OPTION("out", OPTION_REQUIRED, out),
    OPTION("save", OPTION_TEXT, save_dir),
    OPTION("disk", OPTION_TEXT, disk),
    OPTION("begin", OPTION_TIME, begin),
    OPTION("programs", OPTION_FLAG, has_programs_pipe),
    OPTION("steps", OPTION_FLAG, reports_steps),
    OPTION("consoles", OPTION_FLAG, shows_consoles),
    OPTION("quiet", OPTION_FLAG, is_quiet),
    OPTION("cold", OPTION_FLAG, is_cold),
    OPTION("capture", OPTION_FLAG, is_captured),
    OPTION("reuse-disks", OPTION_FLAG, reuses_disks),
    OPTION("keep-disks", OPTION_FLAG, keeps_disks),
    OPTION("prompt-on-failure", OPTION_FLAG, prompts_on_failure),
    OPTION("prompt", OPTION_FLAG, is_prompt),
};

/* The member of @options, of @type, that @option stands for. */
#define MEMBER(type, options, option) ((type *)(void *)((char *)(options) + (option)->offset))

/* NULL if it is not given. */
static char *format_option(const Option *option, SpWorkerOptions *options)
{
    const char *text;
    gint64 time_us;

    switch (option->kind) {
    case OPTION_FLAG:
        return *MEMBER(gboolean, options, option) ? g_strconcat("--", option->name, NULL) : NULL;
    case OPTION_TIME:
        time_us = *MEMBER(gint64, options, option);
        return time_us ? g_strdup_printf("--%s=%" G_GINT64_FORMAT, option->name, time_us) : NULL;
    default:
        text = *MEMBER(const char *, options, option);
        return text ? g_strconcat("--", option->name, "=", text, NULL) : NULL;
    }
}

char **sp_worker_options_format(const SpWorkerOptions *options)
{
    g_autoptr(GStrvBuilder) words = g_strv_builder_new();
    SpWorkerOptions own = *options;

    for (gsize i = 0; i < G_N_ELEMENTS(table); i++) {
        g_autofree char *word = format_option(&table[i], &own);
        if (word)
            g_strv_builder_add(words, word);
    }
    return g_strv_builder_end(words);
}

/* The option that @word is; *@ret_value is what follows its "=", or NULL. */
static const Option *find_option(const char *word, const char **ret_value)
{
    gsize length = strcspn(word, "=");

    *ret_value = word[length] ? word + length + 1 : NULL;
    for (gsize i = 0; i < G_N_ELEMENTS(table) && g_str_has_prefix(word, "--"); i++) {
        if (length - 2 == strlen(table[i].name) &&
            strncmp(word + 2, table[i].name, length - 2) == 0)
            return &table[i];
    }
    return NULL;
}

static bool set_option(const Option *option, const char *value, SpWorkerOptions *options)
{
    if (!value != (option->kind == OPTION_FLAG))
        return false;
    switch (option->kind) {
    case OPTION_FLAG:
        *MEMBER(gboolean, options, option) = TRUE;
        return true;
    case OPTION_TIME:
        return g_ascii_string_to_signed(
            value, 10, 1, G_MAXINT64, MEMBER(gint64, options, option), NULL);
    default:
        *MEMBER(const char *, options, option) = value;
        return true;
    }
}

bool sp_worker_options_parse(const char *const *words, SpWorkerOptions *ret_options, GError **error)
{
    SpWorkerOptions options = {0};

    for (; *words; words++) {
        const char *value;
        const Option *option = find_option(*words, &value);

        if (option && set_option(option, value, &options))
            continue;
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE, "'%s' is not an option of a worker", *words);
        return false;
    }
    for (gsize i = 0; i < G_N_ELEMENTS(table); i++) {
        if (table[i].kind != OPTION_REQUIRED || *MEMBER(const char *, &options, &table[i]))
            continue;
        g_set_error(
            error, SP_ERROR, SP_ERROR_USAGE, "a worker needs the option --%s", table[i].name);
        return false;
    }
    *ret_options = options;
    return true;
}

gint64 sp_worker_post_mortem_ms(const SpWorkerOptions *options)
{
    return options->keeps_disks ? POST_MORTEM_DISKS_MS : POST_MORTEM_MS;
}
