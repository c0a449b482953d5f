/* SPDX-License-Identifier: MIT */
#include "cmd/cmd-options.h"

#include "cmd/lima.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

bool sp_parse_options(int *argc, char ***argv, const char *name, const char *arguments,
    const char *summary, const GOptionEntry *options)
{
    g_autoptr(GOptionContext) context = g_option_context_new(arguments);
    g_autoptr(GError) error = NULL;
    g_autofree char *vm = NULL; /* taken before us, as is the next */
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

bool sp_is_within(const char *path, const char *dir)
{
    char *file = realpath(path, NULL), *folder = realpath(dir, NULL);
    gsize length = folder ? strlen(folder) : 0;
    bool is_it = file && folder && strncmp(file, folder, length) == 0 &&
                 (file[length] == '/' || g_str_equal(folder, "/"));

    free(file);
    free(folder);
    return is_it;
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
