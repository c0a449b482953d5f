/* SPDX-License-Identifier: MIT */
#include "commands.h"

#include <glib.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>

typedef struct {
    const char *name;
    int (*main)(int argc, char **argv);
    const char *description; /* NULL: not shown */
} Command;

static const Command commands[] = {
    {"run", sp_cmd_run, "run tests"},
    {"debug", sp_cmd_debug, "a Python prompt with the machines of a test"},
    {"list", sp_cmd_list, "list the tests there are"},
    {"image", sp_cmd_image, "build and check the images that machines start from"},
    {"cache", sp_cmd_cache, "list, verify or clear the checkpoints that are kept"},
    {"powercut", sp_cmd_powercut, "check what a power cut leaves on a disk, at every instant"},
    {"_worker", sp_cmd_worker, NULL},
};

static void usage(FILE *out)
{
    fputs("usage: slotproof COMMAND [ARGUMENT...]\n"
          "\n"
          "Prove in virtual machines that a device survives its own updates.\n"
          "\n",
        out);
    for (gsize i = 0; i < G_N_ELEMENTS(commands); i++) {
        if (commands[i].description)
            fprintf(out, "  %-9s %s\n", commands[i].name, commands[i].description);
    }
    fputs("\n"
          "  --help     this text; 'slotproof COMMAND --help' tells of a command\n"
          "  --version  the version\n"
          "\n"
          "Exit status: 0 all passed, 1 a test failed, 2 wrong usage or something is missing.\n",
        out);
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : NULL;

    setlocale(LC_ALL, "C.UTF-8");
    signal(SIGPIPE, SIG_IGN);
    if (!name) {
        usage(stderr);
        return 2;
    }
    if (g_str_equal(name, "--help") || g_str_equal(name, "-h") || g_str_equal(name, "help")) {
        usage(stdout);
        return 0;
    }
    if (g_str_equal(name, "--version")) {
        puts("slotproof " SLOTPROOF_VERSION);
        return 0;
    }
    for (gsize i = 0; i < G_N_ELEMENTS(commands); i++) {
        if (g_str_equal(name, commands[i].name))
            return commands[i].main(argc - 1, argv + 1);
    }
    fprintf(stderr, "slotproof: there is no command '%s'\n\n", name);
    usage(stderr);
    return 2;
}
