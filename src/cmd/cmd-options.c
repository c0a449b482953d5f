/* SPDX-License-Identifier: MIT */
#include "cmd/cmd-options.h"

#include "cmd/lima.h"

#include <stdio.h>
#include <sys/stat.h>

bool sp_parse_options(int *argc, char ***argv, const char *name, const char *arguments,
    const char *summary, const GOptionEntry *options)
{
    g_autoptr(GOptionContext) context = g_option_context_new(arguments);
    g_autoptr(GError) error = NULL;
    g_autofree char *vm = NULL; /* already taken by main(), as is the next */
    gboolean is_lima = FALSE;

    g_set_prgname(name);
    g_option_context_set_summary(context, summary);
    g_option_context_add_main_entries(context, options, NULL);
    sp_lima_add_options(context, &is_lima, &vm);
    if (g_option_context_parse(context, argc, argv, &error))
        return true;
    sp_usage_error("%s; see '%s --help'", error->message, name);
    return false;
}

bool sp_is_same_file(const char *a, const char *b)
{
    struct stat one, other;

    return a && b && stat(a, &one) == 0 && stat(b, &other) == 0 && one.st_dev == other.st_dev &&
           one.st_ino == other.st_ino;
}

int sp_usage_error(const char *format, ...)
{
    va_list args;

    fputs("slotproof: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return 2;
}
