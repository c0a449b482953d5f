/* SPDX-License-Identifier: MIT */
#include "worker/checkpoint.h"

#include "base/error.h"
#include "base/process.h"
#include "machine/boot-snapshot.h"
#include "runner/out-dir.h"
#include "store/checkpoint-key.h"
#include "worker/message.h"
#include "worker/program-output.h"
#include "worker/worker.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB (1024u * 1024)

typedef struct {
    const SpCheckpointMaking *making;
    const GPtrArray *configs; /* of its machines */
    char *made_s;             /* once it is made: as of SP_REPORT_SCRIPT */
} Making;

static void print_line(const char *line, void *data)
{
    const SpCheckpointMaking *making = data;

    dprintf(making->stream_fd, "  %s\n", line);
}

/* What a worker left in @fd: its result, and the report with which its script began. Untouched if
 * there is none. */
static void read_reports(int fd, SpReport *ret_result, SpReport *ret_script)
{
    off_t length = lseek(fd, 0, SEEK_END);
    g_autofree char *text = g_malloc0((gsize)MAX(length, 0) + 1);
    g_auto(GStrv) lines = NULL;

    if (length < 0 || pread(fd, text, (gsize)length, 0) != length)
        return;
    lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++) {
        g_auto(SpReport) report = {0};
        SpReport *kept;
        if (!sp_report_parse(*line, strlen(*line), &report, NULL) ||
            (report.kind != SP_REPORT_RESULT && report.kind != SP_REPORT_SCRIPT))
            continue;
        kept = report.kind == SP_REPORT_RESULT ? ret_result : ret_script;
        sp_report_clear(kept);
        *kept = report;
        report = (SpReport){0};
    }
}

static bool judge(Making *data, SpProcess *worker, int report_fd, GError **error)
{
    const SpCheckpointMaking *making = data->making;
    int status = sp_process_wait_status(worker);
    g_auto(SpReport) result = {0};
    g_auto(SpReport) script = {0};
    char seconds[G_ASCII_DTOSTR_BUF_SIZE];
    g_autofree char *end = sp_process_describe_end(worker);
    g_autofree char *output = sp_process_output(worker);

    read_reports(report_fd, &result, &script);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        g_ascii_formatd(seconds, sizeof seconds, "%.3f", result.number);
        g_free(data->made_s);
        data->made_s =
            g_strjoin(script.text && *script.text ? " " : "", seconds, script.text, NULL);
        return true;
    }
    if (g_strcmp0(result.word, SP_REPORT_NO_ROOM) == 0) {
        g_set_error_literal(error, SP_ERROR, SP_ERROR_NO_SPACE, result.text);
        return false;
    }
    g_set_error(error, SP_ERROR, SP_ERROR_ASSERTION,
        "checkpoint '%s' could not be made; its log is in %s/checkpoint-%s:\n%s",
        making->conf->name, making->out_dir, making->conf->name,
        result.text && *result.text ? result.text : (*output ? output : end));
    return false;
}

static bool make(const char *dir, Making *data, GError **error)
{
    const SpCheckpointMaking *making = data->making;
    g_autofree char *name = g_strconcat("checkpoint-", making->conf->name, NULL);
    g_autofree char *out = g_build_filename(making->out_dir, name, NULL);
    g_autofree char *save = g_strconcat("save=", dir, NULL);
    const char *const argv[] = {"/proc/self/exe", "_worker", making->conf->dir, making->images, out,
        save, "programs", making->with_consoles ? "consoles" : NULL, NULL};
    g_autoptr(SpProcess) worker = NULL;
    SpProcessFd fds[1 + SP_PROGRAM_PIPE_FDS] = {
        {memfd_create("slotproof-report", MFD_CLOEXEC), SP_WORKER_REPORT_FD}};
    const SpProcessFd report = fds[0];
    gint64 begin = g_get_monotonic_time();
    g_autofree char *rest = NULL;
    SpProgramPipe programs;
    bool is_good;

    if (report.from < 0) {
        g_set_error(error, SP_ERROR, SP_ERROR_HOST, "no memory file: %s", g_strerror(errno));
        return false;
    }
    is_good = sp_program_pipe_open(&programs, error) && sp_out_dir_prepare(out, NULL, error);
    sp_program_pipe_fds(&programs, fds + 1);
    worker = is_good ? sp_process_start(argv, fds, G_N_ELEMENTS(fds), error) : NULL;
    sp_program_pipe_close_writer(&programs);
    if (worker) {
        sp_process_set_line_func(worker, print_line, (void *)(gpointer)making);
        is_good = sp_process_wait(worker, SP_FOREVER, NULL, error) &&
                  judge(data, worker, report.from, error);
    }
    rest = sp_program_pipe_end(&programs, out, begin);
    close(report.from);
    return worker && is_good;
}

guint64 sp_checkpoints_size_max(void)
{
    const char *text = g_getenv("SLOTPROOF_CACHE_MIB");
    guint64 mib = SP_CHECKPOINTS_SIZE_DEFAULT_MIB;

    if (text && *text)
        g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT32, &mib, NULL);
    return mib * MIB;
}

/* What is free on the disk of @folder; without an answer, more than anybody needs. */
static guint64 free_bytes(const char *folder)
{
    struct statvfs st;

    return statvfs(folder, &st) == 0 ? (guint64)st.f_bavail * st.f_frsize : G_MAXUINT64;
}

/* What the checkpoint in @dir takes besides memory: its machines' disks, most of all. */
static guint64 bytes_besides_memory(const char *dir)
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

bool sp_checkpoint_has_room(
    const char *dir, const GPtrArray *configs, const char *below, GError **error)
{
    g_autofree char *folder = g_path_get_dirname(dir);
    guint64 needed = below ? bytes_besides_memory(below) : 0, room = free_bytes(folder);

    for (guint i = 0; i < configs->len; i++)
        needed += (guint64)((const SpMachineConfig *)configs->pdata[i])->memory_mib * MIB;
    if (room < needed) {
        sp_checkpoints_make_room(folder, needed - room);
        room = free_bytes(folder);
    }
    if (room >= needed)
        return true;
    g_set_error(error, SP_ERROR, SP_ERROR_NO_SPACE,
        "the disk of '%s' has room for %" G_GUINT64_FORMAT " MiB, its machines may need "
        "%" G_GUINT64_FORMAT " (see XDG_CACHE_HOME)",
        folder, room / MIB, needed / MIB);
    return false;
}

static bool make_with_room(const char *dir, void *data, GError **error)
{
    Making *making = data;

    return sp_checkpoint_has_room(dir, making->configs, NULL, error) && make(dir, making, error);
}

static SpCheckpoint *get(const char *folder, const char *key, const char *name,
    SpCheckpointMakeFunc func, const void *data, GError **error)
{
    SpCheckpoint *checkpoint =
        sp_checkpoint_get(folder, key, name, func, (void *)(gpointer)data, error);

    if (checkpoint && sp_checkpoint_is_new(checkpoint))
        sp_checkpoints_limit(folder, sp_checkpoints_size_max());
    return checkpoint;
}

static bool make_boot_snapshot(const char *dir, void *data, GError **error)
{
    return sp_boot_snapshot_make(data, dir, error);
}

SpCheckpoint *sp_checkpoint_use_boot_snapshot(SpMachine *machine)
{
    const SpMachineConfig *config = sp_machine_config(machine);
    g_autofree char *folder = sp_checkpoints_folder();
    g_autofree char *cache = g_path_get_dirname(folder);
    g_autofree char *name = g_strconcat("boot snapshot of ", config->name, NULL);
    g_autoptr(GError) error = NULL;
    g_autofree char *key = sp_boot_snapshot_key(config, cache, &error);
    SpCheckpoint *state = key ? get(folder, key, name, make_boot_snapshot, config, &error) : NULL;

    if (state && sp_checkpoint_fault(state))
        sp_log(config->log, config->name,
            "warning: its state before the first read of its disk was made anew: %s",
            sp_checkpoint_fault(state));
    if (state)
        sp_machine_use_boot_snapshot(machine, sp_checkpoint_dir(state));
    else
        sp_log(config->log, config->name,
            "warning: its state before the first read of its disk can't be kept: %s",
            error->message);
    return state;
}

SpCheckpoint *sp_checkpoint_prepare(
    const SpCheckpointMaking *making, const GPtrArray *configs, char **ret_made_s, GError **error)
{
    g_autofree char *folder = sp_checkpoints_folder();
    g_autofree char *cache = g_path_get_dirname(folder);
    g_autofree char *key = sp_checkpoint_key(making->conf, configs, cache, error);
    Making data = {making, configs, NULL};
    SpCheckpoint *checkpoint =
        key ? get(folder, key, making->conf->name, make_with_room, &data, error) : NULL;

    if (checkpoint)
        *ret_made_s = g_steal_pointer(&data.made_s);
    g_free(data.made_s);
    return checkpoint;
}
