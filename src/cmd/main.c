/* SPDX-License-Identifier: MIT */
#include "cmd/cmd-options.h"
#include "cmd/commands.h"
#include "cmd/lima.h"

#include <errno.h>
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
    {"debug", sp_cmd_debug, "open a Python prompt with the machines of a test"},
    {"list", sp_cmd_list, "list the tests"},
    {"image", sp_cmd_image, "build and check the images that machines start from"},
    {"cache", sp_cmd_cache, "list, verify or remove the checkpoints and results that are kept"},
    {"report", sp_cmd_report, "write the report of a run again from its output directory"},
    {"powercut", sp_cmd_powercut, "check what a power cut leaves on a disk at every instant"},
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
          "  -h, --help     print this text; 'slotproof COMMAND --help' describes a command\n"
          "  -V, --version  print the version\n"
          "\n"
          "Exit status: 0 if all passed, 1 if a test failed, 2 for wrong usage or if something is "
          "missing.\n",
        out);
}

static const Command *find_command(const char *name)
{
    for (gsize i = 0; i < G_N_ELEMENTS(commands); i++) {
        if (g_str_equal(name, commands[i].name))
            return &commands[i];
    }
    return NULL;
}

/* @argv[0] is the program. */
static int run_command(const Command *command, int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *vm = NULL;

    if (command->description && !sp_lima_wanted(&argc, &argv, &vm, &error))
        return sp_usage_error("%s; see 'slotproof %s --help'", error->message, command->name);
    if (!vm)
        return command->main(argc - 1, argv + 1);
    sp_lima_exec(vm, argv, &error);
    return sp_usage_error("%s", error->message);
}

static int help(int argc, char **argv)
{
    const Command *command = argc > 2 ? find_command(argv[2]) : NULL;
    char *words[] = {argc > 2 ? argv[2] : NULL, (char *)"--help", NULL};

    if (argc > 2 && !(command && command->description))
        return sp_usage_error("there is no command '%s'; see 'slotproof --help'", argv[2]);
    if (command)
        return command->main(2, words);
    usage(stdout);
    return 0;
}

static int dispatch(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : NULL;
    const Command *command;

    if (!name) {
        usage(stderr);
        return 2;
    }
    if (g_str_equal(name, "--help") || g_str_equal(name, "-h") || g_str_equal(name, "help"))
        return help(argc, argv);
    if (g_str_equal(name, "--version") || g_str_equal(name, "-V")) {
        puts("slotproof " SLOTPROOF_VERSION);
        return 0;
    }
    command = find_command(name);
    if (command)
        return run_command(command, argc, argv);
    return sp_usage_error(
        "there is no %s '%s'; see 'slotproof --help'", *name == '-' ? "option" : "command", name);
}

int main(int argc, char **argv)
{
    int status;

    setlocale(LC_ALL, "C.UTF-8");
    signal(SIGPIPE, SIG_IGN);
    status = dispatch(argc, argv);
    /* output that is lost is a failure, unless the reader has closed the pipe */
    if (status == 0 && (fflush(stdout) != 0 || ferror(stdout)) && errno != EPIPE)
        return sp_usage_error("stdout can't be written: %s", g_strerror(errno));
    return status;
}
