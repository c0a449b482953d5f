/* SPDX-License-Identifier: MIT */
#include "worker/post-mortem.h"
#include "machine/machine-disk.h"
#include "machine/machine-guest.h"
#include "machine/machine-screen.h"

#include "script/script.h"

#include <glib-unix.h>
#include <signal.h>

/* For each machine, so that the others get their turn. */
#define JOURNAL_MS 10000
#define JOURNAL "journalctl --no-pager --output=short-precise | tail --bytes=4M"

static bool is_post_mortem_over(void *data)
{
    const SpPostMortem *post_mortem = data;
    SpInterrupt script = sp_script_interrupt();

    if (post_mortem->deadline == 0)
        return script.func(script.data);
    return post_mortem->is_unwanted || g_get_monotonic_time() >= post_mortem->deadline;
}

SpInterrupt sp_post_mortem_interrupt(SpPostMortem *post_mortem)
{
    const SpInterrupt script = sp_script_interrupt();

    return (SpInterrupt){
        .func = is_post_mortem_over, .begin = script.begin, .end = script.end, .data = post_mortem};
}

static gboolean on_unwanted(void *data)
{
    ((SpPostMortem *)data)->is_unwanted = true;
    return G_SOURCE_CONTINUE;
}

static char *build_path(SpMachine *machine, const char *out_dir, const char *suffix)
{
    g_autofree char *name = g_strconcat(sp_machine_name(machine), suffix, NULL);

    return g_build_filename(out_dir, name, NULL);
}

static void take_screen(SpMachine *machine, const char *out_dir, SpLog *log, GError **error)
{
    g_autofree char *path = build_path(machine, out_dir, ".screen.png");
    g_autofree char *name = g_path_get_basename(path);

    if (sp_machine_is_up(machine) && sp_machine_screenshot(machine, path, error))
        sp_log_mark(log, sp_machine_name(machine), "screenshot", "%s", name);
}

static void take_journal(SpMachine *machine, const char *out_dir, SpLog *log, GError **error)
{
    g_autofree char *path = build_path(machine, out_dir, ".journal");
    g_auto(SpCommandResult) result = {0};

    if (!sp_machine_answers(machine) ||
        !sp_machine_execute(machine, JOURNAL, JOURNAL_MS, &result, error))
        return;
    if (result.output->len > 0 &&
        !g_file_set_contents(path, result.output->str, (gssize)result.output->len, error))
        return;
    if (result.status != 0)
        sp_log(log, sp_machine_name(machine), "its journal is incomplete: journalctl %s",
            result.status == 124 ? "did not end in time" : result.errors->str);
}

static void take_disk(SpMachine *machine, const char *out_dir, SpLog *log, GError **error)
{
    g_autofree char *path = build_path(machine, out_dir, ".qcow2");

    if (sp_machine_keep_disk(machine, path, error))
        sp_log(log, sp_machine_name(machine), "its disk is in %s", path);
}

typedef void (*TakeFunc)(SpMachine *machine, const char *out_dir, SpLog *log, GError **error);

static void take_all(
    TakeFunc take, const char *what, GPtrArray *machines, const char *out_dir, SpLog *log)
{
    for (guint i = 0; i < machines->len; i++) {
        SpMachine *machine = g_ptr_array_index(machines, i);
        g_autoptr(GError) error = NULL;

        take(machine, out_dir, log, &error);
        if (error)
            sp_log(log, sp_machine_name(machine), "no %s: %s", what, error->message);
    }
}

static bool is_any_up(GPtrArray *machines)
{
    for (guint i = 0; i < machines->len; i++) {
        if (sp_machine_is_up(g_ptr_array_index(machines, i)))
            return true;
    }
    return false;
}

void sp_post_mortem(
    SpPostMortem *post_mortem, GPtrArray *machines, SpLog *log, const SpWorkerOptions *options)
{
    if (!options->keeps_disks && !is_any_up(machines))
        return;
    const guint sources[] = {g_unix_signal_add(SIGINT, on_unwanted, post_mortem),
        g_unix_signal_add(SIGTERM, on_unwanted, post_mortem)};

    post_mortem->deadline = sp_deadline(sp_worker_post_mortem_ms(options));
    sp_log_begin(log, NULL, "post-mortem", "take what the machines can still tell");
    take_all(take_screen, "screenshot", machines, options->out, log);
    take_all(take_journal, "journal", machines, options->out, log);
    if (options->keeps_disks)
        take_all(take_disk, "disk", machines, options->out, log);
    sp_log_end(log, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(sources); i++)
        g_source_remove(sources[i]);
}
