/* SPDX-License-Identifier: MIT */
#include "worker/checkpoint.h"

#include "base/error.h"
#include "machine/boot-snapshot.h"
#include "store/checkpoint-key.h"
#include "store/out-dir.h"
#include "worker/message.h"
#include "worker/process.h"

#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define MIB (1024u * 1024)

typedef struct {
    const SpCheckpointMaking *making;
    const GPtrArray *configs; /* of its machines */
    SpMessageReader reader;   /* of the worker that makes it */
    SpMessage result;         /* zeroed until it has sent one */
    SpMessage script;         /* the same */
    char *made_s;             /* once it is made: as of SP_MESSAGE_SCRIPT */
} Making;

static void print_line(const char *line, void *data)
{
    const Making *making = data;

    dprintf(making->making->stream_fd, "  %s\n", line);
}

static void keep_message(SpMessage *message, void *data)
{
    Making *making = data;
    SpMessage *kept = message->kind == SP_MESSAGE_RESULT   ? &making->result
                      : message->kind == SP_MESSAGE_SCRIPT ? &making->script
                                                           : NULL;

    if (!kept)
        return;
    sp_message_clear(kept);
    *kept = *message;
    *message = (SpMessage){0};
}

static bool judge_worker(Making *making, const SpWorkerEnd *end, GError **error)
{
    const SpTestConf *conf = making->making->conf;
    const char *text = making->result.text, *below = making->script.text;
    char seconds[G_ASCII_DTOSTR_BUF_SIZE];

    if (end->is_good) {
        g_ascii_formatd(seconds, sizeof seconds, "%.3f", making->result.number);
        g_free(making->made_s);
        making->made_s = g_strjoin(below && *below ? " " : "", seconds, below, NULL);
        return true;
    }
    if (making->result.outcome == SP_OUTCOME_NO_SPACE) {
        g_set_error_literal(error, SP_ERROR, SP_ERROR_NO_SPACE, text);
        return false;
    }
    if (!text || !*text)
        text = *end->output ? end->output : end->how;
    g_set_error(error, SP_ERROR, SP_ERROR_ASSERTION,
        "checkpoint '%s' could not be made; its log is in %s/checkpoint-%s:\n%s", conf->name,
        making->making->out_dir, conf->name, text);
    return false;
}

static void read_bytes(const char *bytes, gsize length, void *data)
{
    Making *making = data;

    sp_message_reader_feed(&making->reader, bytes, length);
}

static bool run_worker(const char *dir, Making *making, GError **error)
{
    const SpCheckpointMaking *wanted = making->making;
    g_autofree char *name = g_strconcat("checkpoint-", wanted->conf->name, NULL);
    g_autofree char *out = g_build_filename(wanted->out_dir, name, NULL);
    const SpWorkerProcessConfig config = {
        .options =
            {
                .test_dir = wanted->conf->dir,
                .images = wanted->images,
                .out = out,
                .save_dir = dir,
                .shows_consoles = wanted->shows_consoles,
            },
        .message_func = read_bytes,
        .line_func = print_line,
        .data = making,
    };
    g_auto(SpWorkerEnd) end = {0};
    SpWorkerProcess *worker;
    bool has_ended;

    if (!sp_out_dir_prepare(out, NULL, error))
        return false;
    worker = sp_worker_process_start(&config, error);
    if (!worker)
        return false;
    has_ended = sp_worker_process_wait(worker, SP_FOREVER, NULL, error);
    sp_worker_process_finish(worker, &end);
    return has_ended && judge_worker(making, &end, error);
}

/* The free space on the disk of @dir; if that is not known, more than enough. */
static guint64 get_free_bytes(const char *dir)
{
    struct statvfs st;

    return statvfs(dir, &st) == 0 ? (guint64)st.f_bavail * st.f_frsize : G_MAXUINT64;
}

/* What the checkpoint in @dir takes besides memory, mostly disks. */
static guint64 sum_other_bytes(const char *dir)
{
    g_autoptr(GDir) entries = g_dir_open(dir, 0, NULL);
    const char *name;
    guint64 bytes = 0;
    struct stat st;

    while (entries && (name = g_dir_read_name(entries))) {
        g_autofree char *path = g_build_filename(dir, name, NULL);
        if (!g_str_has_suffix(name, ".ram") && stat(path, &st) == 0)
            bytes += (guint64)st.st_blocks * 512;
    }
    return bytes;
}

bool sp_checkpoint_has_space(
    const char *dir, const GPtrArray *configs, const char *below, GError **error)
{
    g_autofree char *store_dir = g_path_get_dirname(dir);
    guint64 needed = below ? sum_other_bytes(below) : 0, room = get_free_bytes(store_dir);

    for (guint i = 0; i < configs->len; i++)
        needed += (guint64)((const SpMachineConfig *)configs->pdata[i])->memory_mib * MIB;
    if (room < needed) {
        sp_cache_evict(&sp_checkpoint_kind, store_dir, needed - room);
        room = get_free_bytes(store_dir);
    }
    if (room >= needed)
        return true;
    g_set_error(error, SP_ERROR, SP_ERROR_NO_SPACE,
        "the disk of '%s' has space for %" G_GUINT64_FORMAT " MiB, its machines may need "
        "%" G_GUINT64_FORMAT " (see XDG_CACHE_HOME)",
        store_dir, room / MIB, needed / MIB);
    return false;
}

static bool make_with_space(const char *dir, void *data, GError **error)
{
    Making *making = data;

    return sp_checkpoint_has_space(dir, making->configs, NULL, error) &&
           run_worker(dir, making, error);
}

static SpCheckpoint *get_checkpoint(const char *store_dir, const char *key, const char *name,
    SpCheckpointMakeFunc func, const void *data, GError **error)
{
    SpCheckpoint *checkpoint =
        sp_checkpoint_get(store_dir, key, name, func, (void *)(gpointer)data, error);

    if (checkpoint && sp_checkpoint_is_new(checkpoint))
        sp_cache_limit(&sp_checkpoint_kind, store_dir, sp_cache_size_max());
    return checkpoint;
}

static bool make_boot_snapshot(const char *dir, void *data, GError **error)
{
    return sp_boot_snapshot_make(data, dir, error);
}

SpCheckpoint *sp_checkpoint_use_boot_snapshot(SpMachine *machine)
{
    const SpMachineConfig *config = sp_machine_config(machine);
    g_autofree char *store_dir = sp_cache_dir(&sp_checkpoint_kind);
    g_autofree char *cache = g_path_get_dirname(store_dir);
    g_autofree char *name = g_strconcat("boot snapshot of ", config->name, NULL);
    g_autoptr(GError) error = NULL;
    g_autofree char *key = sp_boot_snapshot_key(config, cache, &error);
    SpCheckpoint *state =
        key ? get_checkpoint(store_dir, key, name, make_boot_snapshot, config, &error) : NULL;

    if (state && sp_checkpoint_fault(state))
        sp_log(config->log, config->name, "warning: its boot snapshot was made again: %s",
            sp_checkpoint_fault(state));
    if (state)
        sp_machine_use_boot_snapshot(machine, sp_checkpoint_dir(state));
    else
        sp_log(config->log, config->name, "warning: it has no boot snapshot: %s", error->message);
    return state;
}

SpCheckpoint *sp_checkpoint_prepare(
    const SpCheckpointMaking *making, const GPtrArray *configs, char **ret_made_s, GError **error)
{
    g_autofree char *store_dir = sp_cache_dir(&sp_checkpoint_kind);
    g_autofree char *cache = g_path_get_dirname(store_dir);
    g_autofree char *key = sp_checkpoint_key(making->conf, configs, cache, error);
    Making data = {.making = making, .configs = configs};
    SpCheckpoint *checkpoint;

    sp_message_reader_init(&data.reader, keep_message, &data);
    checkpoint =
        key ? get_checkpoint(store_dir, key, making->conf->name, make_with_space, &data, error)
            : NULL;
    if (checkpoint)
        *ret_made_s = g_steal_pointer(&data.made_s);
    sp_message_reader_clear(&data.reader);
    sp_message_clear(&data.result);
    sp_message_clear(&data.script);
    g_free(data.made_s);
    return checkpoint;
}
