/* SPDX-License-Identifier: MIT */
#include "qemu/accel.h"

#include "base/error.h"
#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK_TIMEOUT_MS 10000
#define HANG_LIFETIME_S 3600
#define GUEST_FD 3

/* One thread for all of a machine's processors: with one each, QEMU before 8.1 uses stale
 * translations of what another one has just remapped, and one boot in thirty hangs or QEMU aborts
 * in msix_table_mmio_write(). Machines running in parallel use more cores anyway. */
static const SpAccel accels[] = {
    {.name = "tcg", .argument = SP_ACCEL_TCG, .time_factor = 4},
    {.name = "kvm", .argument = "kvm", .time_factor = 1},
};

/* Takes @reason. */
static SpAccel *new_accel(const char *name, char *reason)
{
    SpAccel *accel = g_new0(SpAccel, 1);

    for (gsize i = 0; i < G_N_ELEMENTS(accels); i++) {
        if (g_str_equal(accels[i].name, name))
            *accel = accels[i];
    }
    accel->reason = reason;
    return accel;
}

void sp_accel_free(SpAccel *accel)
{
    if (!accel)
        return;
    g_free(accel->reason);
    g_free(accel);
}

const char *sp_accel_cpu(const SpAccel *accel, const SpBoard *board)
{
    return g_str_equal(accel->name, "kvm") ? board->cpu_kvm : board->cpu_tcg;
}

/* A disk that starts with the board's code, as a read-only descriptor; negative on failure. */
static int open_guest_disk(const SpBoardCheck *check)
{
    guint8 disk[4096] = {0};
    g_autofree char *self = NULL;
    int read_only = -1;
    int fd = memfd_create("slotproof-kvm-check", MFD_CLOEXEC);

    memcpy(disk, check->code, check->length);
    disk[510] = 0x55;
    disk[511] = 0xaa;
    if (fd >= 0 && write(fd, disk, sizeof disk) == sizeof disk) {
        self = g_strdup_printf("/proc/self/fd/%d", fd);
        read_only = open(self, O_RDONLY | O_CLOEXEC);
    }
    if (fd >= 0)
        close(fd);
    return read_only;
}

static SpProcess *start_guest(const SpBoard *board, const char *qemu, GError **error)
{
    const char *const argv[] = {qemu, "-nodefaults", "-no-user-config", "-display", "none",
        "-machine", board->machine, "-accel", "kvm", "-cpu", board->cpu_kvm, "-m", "64M", "-add-fd",
        "fd=3,set=1", "-blockdev",
        "driver=raw,node-name=disk,read-only=on,file.driver=file,file.filename=/dev/fdset/1",
        "-device", "virtio-blk-pci,drive=disk,bootindex=0", "-device",
        board->kvm_check->exit_device, "-no-reboot", NULL};
    SpProcessFd fd = {open_guest_disk(board->kvm_check), GUEST_FD};
    SpProcess *process = sp_process_start(argv, &fd, fd.from >= 0 ? 1 : 0, error);

    if (fd.from >= 0)
        close(fd.from);
    return process;
}

/* Runs a guest under KVM. @ret_lifetime_s is how long the answer is valid: 0 only for this call,
 * G_MAXINT64 as long as host and QEMU stay the same. */
static SpAccel *run_check(const SpBoard *board, const char *qemu, const char *device,
    gint64 timeout_ms, gint64 *ret_lifetime_s)
{
    g_autoptr(SpProcess) process = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *end = NULL;
    g_autofree char *output = NULL;

    *ret_lifetime_s = 0;
    process = start_guest(board, qemu, &error);
    if (!process)
        return new_accel("tcg", g_strdup(error->message));
    /* A busy host may do better later; one that hangs would do so for each worker. */
    *ret_lifetime_s = HANG_LIFETIME_S;
    if (!sp_process_wait(process, sp_deadline(timeout_ms), NULL, NULL))
        return new_accel(
            "tcg", g_strdup_printf("%s is there, but a guest under KVM did not end within %.1f s",
                       device, (double)timeout_ms / 1000));
    *ret_lifetime_s = G_MAXINT64;
    if (WIFEXITED(sp_process_wait_status(process)) &&
        WEXITSTATUS(sp_process_wait_status(process)) == board->kvm_check->exit_status)
        return new_accel("kvm", g_strdup("a guest ran under KVM"));
    end = sp_process_describe_end(process);
    output = g_strstrip(sp_process_output(process));
    return new_accel(
        "tcg", g_strdup_printf("%s is there, but QEMU %s with it: %s", device, end, output));
}

/* Everything that the answer depends on. */
static char *make_cache_key(const char *qemu)
{
    struct utsname host;
    struct stat st;
    g_autofree char *boot_id = NULL;

    if (uname(&host) < 0 || stat(qemu, &st) < 0 ||
        !g_file_get_contents("/proc/sys/kernel/random/boot_id", &boot_id, NULL, NULL))
        return NULL;
    return g_strdup_printf("%s %s %s %" G_GINT64_FORMAT " %" G_GINT64_FORMAT " %u\n",
        g_strstrip(boot_id), host.release, qemu, (gint64)st.st_size, (gint64)st.st_mtim.tv_sec,
        (guint)geteuid());
}

static gint64 get_time_s(void)
{
    return g_get_real_time() / G_USEC_PER_SEC;
}

/* The remembered answer: lines of the key, the name, the end of its validity and the reason. */
static SpAccel *load_answer(const char *path, const char *key)
{
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    gint64 until_s;

    if (!g_file_get_contents(path, &text, NULL, NULL) || !g_str_has_prefix(text, key))
        return NULL;
    lines = g_strsplit(text + strlen(key), "\n", 4);
    if (g_strv_length(lines) < 3 ||
        (!g_str_equal(lines[0], "kvm") && !g_str_equal(lines[0], "tcg")) ||
        !g_ascii_string_to_signed(lines[1], 10, 0, G_MAXINT64, &until_s, NULL) ||
        until_s <= get_time_s() ||
        (until_s != G_MAXINT64 && until_s > get_time_s() + HANG_LIFETIME_S))
        return NULL;
    return new_accel(lines[0], g_utf8_make_valid(lines[2], -1));
}

static void save_answer(const char *cache_dir, const char *path, const char *key,
    const SpAccel *accel, gint64 lifetime_s)
{
    gint64 until_s = lifetime_s == G_MAXINT64 ? G_MAXINT64 : get_time_s() + lifetime_s;
    g_autofree char *reason = g_strdelimit(g_strdup(accel->reason), "\r\n", ' ');
    g_autofree char *text =
        g_strdup_printf("%s%s\n%" G_GINT64_FORMAT "\n%s\n", key, accel->name, until_s, reason);

    /* A cache only: on failure the next run asks again. */
    if (g_mkdir_with_parents(cache_dir, 0700) == 0)
        g_file_set_contents(path, text, -1, NULL);
}

SpAccel *sp_accel_detect_device(const SpBoard *board, const char *qemu, const char *device,
    const char *cache_dir, gint64 timeout_ms)
{
    g_autofree char *key = make_cache_key(qemu);
    g_autofree char *path = cache_dir ? g_build_filename(cache_dir, "accelerator", NULL) : NULL;
    int fd = open(device, O_RDWR | O_CLOEXEC);
    gint64 lifetime_s;
    SpAccel *accel;

    /* Checked each time: it costs nothing, and permissions may change. */
    if (fd < 0)
        return new_accel(
            "tcg", g_strdup_printf("%s can't be opened: %s", device, g_strerror(errno)));
    close(fd);
    if (!board->kvm_check)
        return new_accel("tcg",
            g_strdup_printf("there is no check of KVM for '%s' machines yet", board->architecture));
    accel = key && path ? load_answer(path, key) : NULL;
    if (accel)
        return accel;
    accel = run_check(board, qemu, device, timeout_ms, &lifetime_s);
    if (key && path && lifetime_s > 0)
        save_answer(cache_dir, path, key, accel, lifetime_s);
    return accel;
}

SpAccel *sp_accel_detect(
    const SpBoard *board, const char *qemu, const char *cache_dir, GError **error)
{
    const char *override = g_getenv("SLOTPROOF_ACCEL");

    if (!override || !*override)
        return sp_accel_detect_device(board, qemu, "/dev/kvm", cache_dir, CHECK_TIMEOUT_MS);
    if (g_str_equal(override, "kvm") || g_str_equal(override, "tcg"))
        return new_accel(override, g_strdup("SLOTPROOF_ACCEL says so"));
    g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
        "SLOTPROOF_ACCEL=%s is unknown: expected 'kvm' or 'tcg'", override);
    return NULL;
}
