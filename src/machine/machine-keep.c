/* SPDX-License-Identifier: MIT */

/* A machine's disk for people, who look at it when the test has ended. */

#include "base/error.h"
#include "machine/machine-private.h"

#include <json-glib/json-glib.h>

#define END_TIMEOUT_MS 30000
#define REBASE_TIMEOUT_MS 120000
#define LAYER_FD 3
#define LAYER_PATH "/proc/self/fd/3"

/* QEMU writes out what it knows of the overlay when it ends by itself. */
static bool end(SpMachine *machine, GError **error)
{
    if (!sp_machine_is_up(machine))
        return true;
    return sp_qmp_execute(machine->qmp, "quit", NULL, END_TIMEOUT_MS, &machine->config.interrupt,
               NULL, error) &&
           sp_process_wait(
               machine->qemu, sp_deadline(END_TIMEOUT_MS), &machine->config.interrupt, error);
}

static JsonObject *describe_file(const char *path)
{
    JsonObject *disk = json_object_new(), *file = json_object_new();

    json_object_set_string_member(file, "driver", "file");
    json_object_set_string_member(file, "filename", path);
    json_object_set_string_member(disk, "driver", "qcow2");
    json_object_set_object_member(disk, "file", file);
    return disk;
}

/* The file @path lies on the checkpoint's layer, which may be thrown away any time: have it lie on
 * the image, with all that is in the layer. */
static bool take_layer_over(SpMachine *machine, const char *path, GError **error)
{
    const SpImage *image = machine->config.image;
    const SpProcessFd layer = {sp_overlay_layer_fd(machine->overlay), LAYER_FD};
    g_autofree char *base = g_canonicalize_filename(image->disk, NULL);
    g_autoptr(JsonNode) node = json_node_new(JSON_NODE_OBJECT);
    JsonObject *disk = describe_file(path);
    g_autofree char *text = NULL;
    g_autofree char *name = NULL;

    json_object_set_object_member(disk, "backing", describe_file(LAYER_PATH));
    json_node_take_object(node, disk);
    text = json_to_string(node, FALSE);
    name = g_strconcat("json:", text, NULL);
    const char *const argv[] = {
        "qemu-img", "rebase", "-q", "-F", image->disk_format, "-b", base, name, NULL};
    return sp_process_run(argv, &layer, 1, REBASE_TIMEOUT_MS, error);
}

bool sp_machine_keep_disk(SpMachine *machine, const char *path, GError **error)
{
    if (!machine->overlay) {
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE, "machine '%s' was never started",
            machine->config.name);
        return false;
    }
    if (end(machine, error) &&
        sp_machine_copy_data(sp_overlay_rw_fd(machine->overlay), path, error) &&
        (sp_overlay_layer_fd(machine->overlay) < 0 || take_layer_over(machine, path, error)))
        return true;
    g_prefix_error(error, "the disk of machine '%s' can't be kept: ", machine->config.name);
    return false;
}
