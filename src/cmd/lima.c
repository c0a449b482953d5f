/* SPDX-License-Identifier: MIT */
#include "cmd/lima.h"

#include "base/error.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

/* Environment variables that begin like this are passed on. */
static const char *const variables[] = {"SLOTPROOF_", "NO_COLOR="};

void sp_lima_add_options(GOptionContext *context, gboolean *ret_is_wanted, char **ret_vm)
{
    const GOptionEntry options[] = {
        {"lima", 0, 0, G_OPTION_ARG_NONE, ret_is_wanted,
            "Run the command in a Lima VM, with 'limactl shell' (default: $LIMA_INSTANCE, "
            "otherwise "
            "'default')",
            NULL},
        {"vm", 0, 0, G_OPTION_ARG_STRING, ret_vm, "Run the command in the Lima VM of that name",
            "NAME"},
        G_OPTION_ENTRY_NULL,
    };

    g_option_context_add_main_entries(context, options, NULL);
}

bool sp_lima_wanted(int *argc, char ***argv, char **ret_vm, GError **error)
{
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);
    const char *instance = g_getenv("LIMA_INSTANCE");
    gboolean is_wanted = FALSE;
    g_autofree char *vm = NULL;

    g_option_context_set_help_enabled(context, FALSE);
    g_option_context_set_ignore_unknown_options(context, TRUE);
    sp_lima_add_options(context, &is_wanted, &vm);
    if (!g_option_context_parse(context, argc, argv, error))
        return false;
    if (!vm && is_wanted)
        vm = g_strdup(instance && *instance ? instance : "default");
    *ret_vm = g_steal_pointer(&vm);
    return true;
}

/* limactl itself would ask whether to start a stopped VM, and succeed if the answer is no. */
static bool check_running(const char *vm, GError **error)
{
    const char *argv[] = {"limactl", "list", "--format", "{{.Status}}", vm, NULL};
    g_autofree char *out = NULL;
    g_autofree char *errors = NULL;
    g_autoptr(GError) local = NULL;
    int status;

    if (!g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &out, &errors,
            &status, &local)) {
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
            "limactl %s: it starts commands in a Lima VM; install Lima (https://lima-vm.io)",
            g_error_matches(local, G_SPAWN_ERROR, G_SPAWN_ERROR_NOENT) ? "is not there"
                                                                       : local->message);
        return false;
    }
    if (!g_spawn_check_wait_status(status, NULL)) {
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
            "there is no Lima VM '%s': make it with 'limactl create --name=%s "
            "template://debian-12' "
            "(limactl says: %s)",
            vm, vm, g_strstrip(errors));
        return false;
    }
    if (g_str_equal(g_strstrip(out), "Running"))
        return true;
    g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
        "the Lima VM '%s' is not running but '%s': start it with 'limactl start %s'", vm, out, vm);
    return false;
}

static void add_environment(GPtrArray *command)
{
    g_auto(GStrv) environment = g_get_environ();

    g_ptr_array_add(command, g_strdup("env"));
    for (char **entry = environment; *entry; entry++) {
        for (gsize i = 0; i < G_N_ELEMENTS(variables); i++) {
            if (g_str_has_prefix(*entry, variables[i]))
                g_ptr_array_add(command, g_strdup(*entry));
        }
    }
}

void sp_lima_exec(const char *vm, char **argv, GError **error)
{
    g_autoptr(GPtrArray) command = g_ptr_array_new_with_free_func(g_free);

    if (!check_running(vm, error))
        return;
    /* with --workdir it is an error if the VM does not have that directory */
    g_ptr_array_add(command, g_strdup("limactl"));
    g_ptr_array_add(command, g_strdup("shell"));
    g_ptr_array_add(command, g_strdup("--workdir"));
    g_ptr_array_add(command, g_get_current_dir());
    g_ptr_array_add(command, g_strdup(vm));
    add_environment(command);
    for (; *argv; argv++)
        g_ptr_array_add(command, g_strdup(*argv));
    g_ptr_array_add(command, NULL);
    signal(SIGPIPE, SIG_DFL);
    execvp("limactl", (char **)command->pdata);
    g_set_error(error, SP_ERROR, SP_ERROR_HOST, "limactl can't be started: %s", g_strerror(errno));
}
