/* SPDX-License-Identifier: MIT */
#include "machine/machine-checkpoint.h"

#include "base/error.h"
#include "base/json.h"
#include "machine/machine-private.h"
#include "qemu/command.h"
#include "qemu/copy-data.h"
#include "qemu/memory-file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A guest rests if it uses less of a processor than this within such a time. */
#define REST_PERCENT 4
#define REST_WINDOW_MS 500
#define REST_TIMEOUT_MS 10000
/* As fast as the host's disk: QEMU's default is meant for networks. */
#define BANDWIDTH ((json_int_t)1 << 40)

static char *make_path(const SpMachine *machine, const char *dir, const char *kind)
{
    g_autofree char *name = g_strdup_printf("%s.%s", machine->config.name, kind);

    return g_build_filename(dir, name, NULL);
}

static bool refuse_path(GError **error, const char *what, const char *path)
{
    g_set_error(error, SP_ERROR, sp_error_code_of_errno(errno), "'%s' can't be %s: %s", path, what,
        g_strerror(errno));
    return false;
}

/* Have QEMU report how a migration goes, and leave out memory that is in a file of its own. */
static bool set_capabilities(SpMachine *machine, bool leaves_memory_out, GError **error)
{
    return sp_machine_command(machine, error, "migrate-set-capabilities",
        "{s:[{s:s, s:b}, {s:s, s:b}]}", "capabilities", "capability", "events", "state", 1,
        "capability", "x-ignore-shared", "state", leaves_memory_out);
}

/* Why QEMU's migration failed, as far as it says. */
static void explain_migration(SpMachine *machine, GError **error)
{
    json_auto_t *answer = sp_machine_query(machine, NULL, "query-migrate", NULL);
    const char *why = sp_json_text(answer, "error-desc");

    g_set_error(error, SP_ERROR, SP_ERROR_MACHINE, "memory and devices can't be %s: %s",
        machine->is_incoming ? "loaded" : "saved", why ? why : "QEMU does not say why");
}

static bool wait_for_migration(SpMachine *machine, GError **error)
{
    for (;;) {
        json_auto_t *data = NULL;
        const char *status;

        if (!sp_machine_wait_own_event(machine, "MIGRATION", &data, error))
            return false;
        status = sp_json_text(data, "status");
        if (g_strcmp0(status, "completed") == 0)
            return true;
        if (g_strcmp0(status, "failed") == 0) {
            explain_migration(machine, error);
            return false;
        }
    }
}

/* To or from the file @fd: @command is "migrate" or "migrate-incoming". */
static bool migrate(SpMachine *machine, const char *command, int fd, GError **error)
{
    return sp_qmp_give_fd(machine->qmp, fd, "checkpoint", SP_COMMAND_TIMEOUT_MS,
               &machine->config.interrupt, error) &&
           sp_machine_command(machine, error, command, "{s:s}", "uri", "fd:checkpoint") &&
           wait_for_migration(machine, error);
}

bool sp_machine_copy_data(int from, const char *path, GError **error)
{
    int to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool is_good = to >= 0 && sp_copy_data(from, to);

    if (!is_good)
        refuse_path(error, "written", path);
    if (to >= 0)
        close(to);
    return is_good;
}

/* The console's output is kept too, so that it still shows the boot later. A NUL precedes what
 * sp_machine_wait_for_console_text() has not read yet. */
static bool copy_console(SpMachine *machine, const char *path, GError **error)
{
    gsize read;
    g_autofree char *text = sp_console_text(machine->console, &read);
    g_autoptr(GString) content = g_string_new(text);

    g_string_insert_c(content, (gssize)read, 0);
    return g_file_set_contents_full(
        path, content->str, (gssize)content->len, G_FILE_SET_CONTENTS_NONE, 0600, error);
}

/* Its devices, and its memory if that is not in a file. */
static bool save_state(SpMachine *machine, const char *path, GError **error)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool is_good;

    if (fd < 0)
        return refuse_path(error, "made", path);
    is_good = sp_machine_command(
                  machine, error, "migrate-set-parameters", "{s:I}", "max-bandwidth", BANDWIDTH) &&
              set_capabilities(machine, machine->memory_is_own, error) &&
              migrate(machine, "migrate", fd, error);
    close(fd);
    return is_good;
}

static bool wait_for_stream(SpMachine *machine, GError **error)
{
    json_auto_t *data = NULL;
    const char *fault;

    if (!sp_machine_wait_own_event(machine, "BLOCK_JOB_COMPLETED", &data, error))
        return false;
    fault = sp_json_text(data, "error");
    if (fault)
        g_set_error(error, SP_ERROR, SP_ERROR_MACHINE, "its disk can't be saved: %s", fault);
    return !fault;
}

/* A machine that started from a checkpoint has that one's disk below its own. Its contents are
 * copied to the machine's, so that the checkpoint that is being made stands by itself. */
static bool copy_layer(SpMachine *machine, GError **error)
{
    if (sp_overlay_layer_fd(machine->overlay) < 0)
        return true;
    /* backing-file is what the overlay names as its base, as in one made by qemu-img */
    return sp_machine_command(machine, error, "block-stream", "{s:s, s:s, s:s, s:s}", "job-id",
               "stream0", "device", SP_QEMU_OVERLAY_NODE, "base-node", SP_QEMU_BASE_NODE,
               "backing-file", machine->config.image->disk) &&
           wait_for_stream(machine, error);
}

static void drop_zero_pages(SpMachine *machine)
{
    if (machine->memory_is_own)
        sp_memory_file_drop_zeros(machine->memory_fd);
}

static bool save_files(SpMachine *machine, const char *dir, GError **error)
{
    g_autofree char *state = make_path(machine, dir, "state");
    g_autofree char *disk = make_path(machine, dir, "disk");
    g_autofree char *console = make_path(machine, dir, "console");

    if (!copy_layer(machine, error) || !save_state(machine, state, error) ||
        !sp_machine_quit(machine, error))
        return false;
    drop_zero_pages(machine);
    return sp_machine_copy_data(sp_overlay_rw_fd(machine->overlay), disk, error) &&
           copy_console(machine, console, error);
}

/* The processor time of QEMU so far; -1 if it has ended. */
static gint64 cpu_time_us(const SpMachine *machine)
{
    struct timespec used;
    clockid_t clock;

    if (clock_getcpuclockid(sp_process_pid(machine->qemu), &clock) != 0 ||
        clock_gettime(clock, &used) < 0)
        return -1;
    return (gint64)used.tv_sec * G_USEC_PER_SEC + used.tv_nsec / 1000;
}

bool sp_machine_wait_for_rest(SpMachine *machine, GError **error)
{
    gint64 deadline = sp_deadline(REST_TIMEOUT_MS);

    /* in virtual time a guest never rests: waiting takes it to its next timer */
    while (sp_machine_is_up(machine) && !machine->config.has_virtual_time &&
           g_get_monotonic_time() < deadline) {
        gint64 begin = g_get_monotonic_time(), used = cpu_time_us(machine);

        if (!sp_pause(REST_WINDOW_MS, &machine->config.interrupt, error))
            return false;
        used = cpu_time_us(machine) - used;
        if (used * 100 < (g_get_monotonic_time() - begin) * REST_PERCENT)
            break;
    }
    return true;
}

static bool stop_guest(SpMachine *machine, GError **error)
{
    if (sp_machine_is_up(machine))
        return sp_machine_command(machine, error, "stop", NULL);
    g_set_error_literal(error, SP_ERROR, SP_ERROR_MACHINE, "is not running");
    return false;
}

bool sp_machine_stop(SpMachine *machine, GError **error)
{
    GError *local = NULL;

    stop_guest(machine, &local);
    return sp_machine_report(machine, local, error);
}

bool sp_machine_save_checkpoint(SpMachine *machine, const char *dir, GError **error)
{
    GError *local = NULL;

    if (stop_guest(machine, &local))
        save_files(machine, dir, &local);
    return sp_machine_report(machine, local, error);
}

/* The guest does not know how long it was stopped, and others start from the same state. */
static bool tell_guest(SpMachine *machine, GError **error)
{
    g_autoptr(SpChannel) channel = NULL;
    guint8 seed[SP_SEED_MAX];

    if (!machine->agent)
        return true;
    if (getrandom(seed, sizeof seed, 0) != sizeof seed) {
        g_set_error(error, SP_ERROR, SP_ERROR_HOST, "no random numbers: %s", g_strerror(errno));
        return false;
    }
    channel = sp_agent_restored(machine->agent, g_get_real_time(), seed, sizeof seed);
    return sp_machine_wait_channel(machine, channel, sp_machine_deadline(machine, -1), error);
}

static bool load_state(SpMachine *machine, const char *path, GError **error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool is_good;

    if (fd < 0)
        return refuse_path(error, "opened", path);
    /* a snapshot that is saved later needs its memory */
    is_good = set_capabilities(machine, machine->has_template, error) &&
              migrate(machine, "migrate-incoming", fd, error) &&
              set_capabilities(machine, false, error) &&
              sp_machine_command(machine, error, "cont", NULL);
    close(fd);
    return is_good;
}

/* The console continues where it was. */
static bool load_console(SpMachine *machine, const char *path, GError **error)
{
    g_autofree char *text = NULL;
    gsize length, read;

    if (!g_file_get_contents(path, &text, &length, error))
        return false;
    read = strnlen(text, length);
    if (read == length)
        read = 0; /* from a version without that NUL */
    sp_console_take(machine->console, (const guint8 *)text, read);
    sp_console_read_all(machine->console);
    sp_console_take(machine->console, (const guint8 *)text + read, length - read);
    sp_machine_forget_panic(machine); /* it was in the past */
    return true;
}

static bool load_files(SpMachine *machine, const char *dir, GError **error)
{
    g_autofree char *state = make_path(machine, dir, "state");
    g_autofree char *console = make_path(machine, dir, "console");

    return sp_machine_wait_for_qemu(machine, true, error) &&
           load_console(machine, console, error) && load_state(machine, state, error);
}

static bool begin_restore(SpMachine *machine, const char *dir, GError **error)
{
    g_autofree char *disk = make_path(machine, dir, "disk");

    g_assert(!machine->overlay);
    machine->overlay = sp_overlay_new_on_layer(machine->config.image->disk, disk, error);
    machine->is_incoming = true;
    machine->is_incoming = machine->overlay && sp_machine_use_template(machine, dir, error) &&
                           sp_machine_spawn(machine, true, error);
    sp_machine_let_go_of_template(machine);
    return machine->is_incoming;
}

bool sp_machine_begin_restore(SpMachine *machine, const char *dir, GError **error)
{
    GError *local = NULL;

    begin_restore(machine, dir, &local);
    return sp_machine_report(machine, local, error);
}

static bool restore(SpMachine *machine, const char *dir, GError **error)
{
    bool is_good = machine->is_incoming || begin_restore(machine, dir, error);

    if (!is_good)
        return false;
    is_good = load_files(machine, dir, error);
    machine->is_incoming = false;
    if (is_good)
        sp_machine_drop_own_events(machine, 0);
    return is_good && sp_machine_contact_within(machine, -1, error) && tell_guest(machine, error);
}

bool sp_machine_restore_checkpoint(SpMachine *machine, const char *dir, GError **error)
{
    GError *local = NULL;

    restore(machine, dir, &local);
    return sp_machine_report(machine, local, error);
}
