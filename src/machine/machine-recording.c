/* SPDX-License-Identifier: MIT */

/* What a machine writes to its disk, recorded: QEMU's block driver blklogwrites is put below the
 * disk while the machine runs (QEMU, QMP reference, "BlockdevOptionsBlklogwrites"). Its log has the
 * format of Linux's dm-log-writes (Documentation/admin-guide/device-mapper/log-writes.rst). */

#include "base/error.h"
#include "base/json.h"
#include "machine/machine-disk.h"
#include "machine/machine-private.h"
#include "qemu/command.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#define NODE "record0"
/* Where the log's first sector counts the entries. */
#define LOG_ENTRIES_OFFSET 16

struct SpRecording {
    char *dir;
    char *log;
    gint64 begin;  /* g_get_monotonic_time() */
    json_t *marks; /* an array */
};

static void recording_free(SpRecording *recording)
{
    g_free(recording->dir);
    g_free(recording->log);
    json_decref(recording->marks);
    g_free(recording);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpRecording, recording_free)

void sp_machine_forget_recording(SpMachine *machine)
{
    g_clear_pointer(&machine->recording, recording_free);
}

/* Stop the guest: requests under way have ended then, and are flushed. @ret_was_running is whether
 * it has to be resumed. */
static bool pause_guest(SpMachine *machine, bool *ret_was_running, GError **error)
{
    json_auto_t *status = sp_machine_query(machine, error, "query-status", NULL);

    *ret_was_running = sp_json_is_true(status, "running");
    return status && sp_machine_command(machine, error, "stop", NULL);
}

/* @is_good is the result of what was done meanwhile, with its @error. */
static bool resume_guest(SpMachine *machine, bool was_running, bool is_good, GError **error)
{
    if (was_running && !sp_machine_command(machine, is_good ? error : NULL, "cont", NULL))
        is_good = false;
    return is_good;
}

static bool put_below_disk(SpMachine *machine, const char *node, GError **error)
{
    return sp_machine_command(machine, error, "blockdev-reopen", "{s:[{s:s, s:s, s:s, s:s}]}",
        "options", "driver", "raw", "node-name", SP_QEMU_DISK_NODE, "discard", "unmap", "file",
        node);
}

/* Without the log's cache: whoever reads the log does so through the same page cache. Each entry is
 * counted before the guest learns that it ended; by default only a flush counts them. */
static bool add_log_node(SpMachine *machine, const char *log_path, GError **error)
{
    return sp_machine_command(machine, error, "blockdev-add",
        "{s:s, s:s, s:s, s:s, s:i, s:{s:s, s:s, s:{s:b}}}", "driver", "blklogwrites", "node-name",
        NODE, "file", SP_QEMU_OVERLAY_NODE, "discard", "unmap", "log-super-update-interval", 1,
        "log", "driver", "file", "filename", log_path, "cache", "no-flush", 1);
}

static int create_output(const char *path, GError **error)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

    if (fd < 0)
        g_set_error(
            error, SP_ERROR, SP_ERROR_HOST, "'%s' can't be written: %s", path, g_strerror(errno));
    return fd;
}

static bool save_base(SpMachine *machine, const SpRecording *recording, GError **error)
{
    g_autofree char *path = g_build_filename(recording->dir, "disk.raw", NULL);
    int fd = create_output(path, error);
    bool is_good = fd >= 0 && sp_machine_save_disk(machine, fd, error);

    if (fd >= 0 && close(fd) < 0 && is_good) {
        g_set_error(
            error, SP_ERROR, SP_ERROR_HOST, "'%s' can't be written: %s", path, g_strerror(errno));
        return false;
    }
    return is_good;
}

/* The guest is stopped meanwhile. */
static bool begin_log(SpMachine *machine, const SpRecording *recording, GError **error)
{
    int log = create_output(recording->log, error);

    if (log < 0)
        return false;
    (void)close(log);
    if (!save_base(machine, recording, error) || !add_log_node(machine, recording->log, error))
        return false;
    if (put_below_disk(machine, NODE, error))
        return true;
    sp_machine_try_command(machine, "blockdev-del", "{s:s}", "node-name", NODE);
    return false;
}

static SpRecording *recording_new(SpMachine *machine, const char *directory, GError **error)
{
    g_autoptr(SpRecording) recording = g_new0(SpRecording, 1);

    recording->dir = g_build_filename(machine->config.out_dir, directory, NULL);
    recording->log = g_build_filename(recording->dir, "writes.log", NULL);
    recording->begin = g_get_monotonic_time();
    recording->marks = json_array();
    if (g_mkdir(recording->dir, 0777) == 0)
        return g_steal_pointer(&recording);
    g_set_error(error, SP_ERROR, errno == EEXIST ? SP_ERROR_USAGE : SP_ERROR_HOST,
        "no new directory '%s' for a recording: %s", recording->dir, g_strerror(errno));
    return NULL;
}

static bool start_recording(SpMachine *machine, const char *directory, GError **error)
{
    g_autoptr(SpRecording) recording = NULL;
    bool is_good, was_running;

    if (machine->recording) {
        g_set_error_literal(error, SP_ERROR, SP_ERROR_USAGE, "is being recorded already");
        return false;
    }
    if (!sp_machine_is_up(machine)) {
        g_set_error_literal(error, SP_ERROR, SP_ERROR_MACHINE, "is not running");
        return false;
    }
    recording = recording_new(machine, directory, error);
    if (!recording || !pause_guest(machine, &was_running, error))
        return false;
    is_good = begin_log(machine, recording, error);
    if (!resume_guest(machine, was_running, is_good, error))
        return false;
    machine->recording = g_steal_pointer(&recording);
    return true;
}

bool sp_machine_record_disk(SpMachine *machine, const char *directory, GError **error)
{
    GError *local = NULL;

    start_recording(machine, directory, &local);
    return sp_machine_report(machine, local, error);
}

static bool count_entries(const SpRecording *recording, guint64 *ret_entries, GError **error)
{
    int fd = open(recording->log, O_RDONLY | O_CLOEXEC);
    guint64 entries = 0;
    ssize_t n = fd < 0 ? -1 : pread(fd, &entries, sizeof entries, LOG_ENTRIES_OFFSET);

    if (fd >= 0)
        (void)close(fd);
    if (n < 0) {
        g_set_error(error, SP_ERROR, SP_ERROR_HOST, "'%s' can't be read: %s", recording->log,
            g_strerror(errno));
        return false;
    }
    /* the first sector is written with the first entry */
    *ret_entries = n == sizeof entries ? GUINT64_FROM_LE(entries) : 0;
    return true;
}

static bool write_marks(const SpRecording *recording, GError **error)
{
    g_autofree char *path = g_build_filename(recording->dir, "marks.json", NULL);
    g_autofree char *text = json_dumps(recording->marks, JSON_INDENT(2));

    return g_file_set_contents(path, text, -1, error);
}

static bool refuse_without_recording(const SpMachine *machine, GError **error)
{
    if (!machine->recording)
        g_set_error_literal(error, SP_ERROR, SP_ERROR_USAGE, "is not being recorded");
    return machine->recording != NULL;
}

static bool add_mark(SpMachine *machine, const char *name, guint64 *ret_entries, GError **error)
{
    const SpRecording *recording = machine->recording;
    guint64 entries;

    if (!refuse_without_recording(machine, error) || !count_entries(recording, &entries, error))
        return false;
    if (json_array_append_new(recording->marks,
            json_pack("{s:s, s:I, s:f}", "name", name, "entries", (json_int_t)entries, "seconds",
                (double)(g_get_monotonic_time() - recording->begin) / G_TIME_SPAN_SECOND)) < 0) {
        g_set_error_literal(error, SP_ERROR, SP_ERROR_USAGE, "the name of a mark has to be UTF-8");
        return false;
    }
    *ret_entries = entries;
    return write_marks(recording, error);
}

bool sp_machine_mark_recording(
    SpMachine *machine, const char *name, guint64 *ret_entries, GError **error)
{
    GError *local = NULL;

    add_mark(machine, name, ret_entries, &local);
    return sp_machine_report(machine, local, error);
}

static bool end_log(SpMachine *machine, GError **error)
{
    bool is_good, was_running;

    if (!pause_guest(machine, &was_running, error))
        return false;
    is_good = put_below_disk(machine, SP_QEMU_OVERLAY_NODE, error) &&
              sp_machine_command(machine, error, "blockdev-del", "{s:s}", "node-name", NODE);
    return resume_guest(machine, was_running, is_good, error);
}

bool sp_machine_stop_recording(SpMachine *machine, GError **error)
{
    GError *local = NULL;

    if (!refuse_without_recording(machine, &local))
        return sp_machine_report(machine, local, error);
    sp_machine_forget_recording(machine);
    /* a QEMU that ended without us has left its log whole */
    if (sp_machine_is_up(machine))
        end_log(machine, &local);
    return sp_machine_report(machine, local, error);
}

void sp_machine_settle_recording(SpMachine *machine)
{
    if (machine->recording)
        sp_machine_try_command(machine, "stop", NULL);
}
