/* SPDX-License-Identifier: MIT */

/* A machine's disk, kept for people to look at after the test. */

#include "base/error.h"
#include "base/json.h"
#include "machine/machine-disk.h"
#include "machine/machine-private.h"

#define REBASE_TIMEOUT_MS 120000
#define LAYER_FD 3
#define LAYER_PATH "/proc/self/fd/3"

/* The file @path is based on a checkpoint's layer, which may be evicted any time: base it on the
 * image instead, with the layer's contents in it. */
static bool rebase_on_image(SpMachine *machine, const char *path, GError **error)
{
    const SpImage *image = machine->config.image;
    const SpProcessFd layer = {sp_overlay_layer_fd(machine->overlay), LAYER_FD};
    g_autofree char *base = g_canonicalize_filename(image->disk, NULL);
    json_auto_t *disk = json_pack("{s:s, s:{s:s, s:s}, s:{s:s, s:{s:s, s:s}}}", "driver", "qcow2",
        "file", "driver", "file", "filename", path, "backing", "driver", "qcow2", "file", "driver",
        "file", "filename", LAYER_PATH);
    g_autofree char *text = NULL, *name = NULL;

    if (!disk) {
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE, "'%s' isn't valid UTF-8", path);
        return false;
    }
    text = sp_json_format(disk);
    name = g_strconcat("json:", text, NULL);
    const char *const argv[] = {
        "qemu-img", "rebase", "-q", "-F", image->disk_format, "-b", base, name, NULL};
    return sp_process_run(argv, &layer, 1, REBASE_TIMEOUT_MS, error);
}

static bool keep_disk(SpMachine *machine, const char *path, GError **error)
{
    return (!sp_machine_is_up(machine) || sp_machine_quit(machine, error)) &&
           sp_machine_copy_data(sp_overlay_rw_fd(machine->overlay), path, error) &&
           (sp_overlay_layer_fd(machine->overlay) < 0 || rebase_on_image(machine, path, error));
}

bool sp_machine_keep_disk(SpMachine *machine, const char *path, GError **error)
{
    GError *local = NULL;

    if (!machine->overlay)
        g_set_error_literal(&local, SP_ERROR, SP_ERROR_USAGE, "it was never started");
    else if (!keep_disk(machine, path, &local))
        g_prefix_error(&local, "its disk can't be kept: ");
    return sp_machine_report(machine, local, error);
}
