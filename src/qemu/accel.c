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

#define PROBE_TIMEOUT_MS 10000
#define HANG_LIFETIME_S 3600
#define GUEST_FD 3
/* isa-debug-exit ends QEMU with (value << 1) | 1. */
#define GUEST_STATUS ((0x31 << 1) | 1)

typedef struct {
    const char *name;
    const char *argument;
    const char *cpu;
    double time_factor;
} Known;

/* One thread for all of a machine's processors: with one each, QEMU before 8.1 looks up what
 * another one has just remapped with what it knew before, and one boot in thirty hangs or QEMU
 * aborts in msix_table_mmio_write(). Machines side by side use more cores anyway. The CPU model for
 * TCG was measured: 'max' has instructions whose emulation costs more than they save a kernel that
 * looks for the newest it can use. */
static const Known known[] = {
    {"tcg", SP_ACCEL_TCG, "Nehalem", 4},
    {"kvm", "kvm", "host", 1},
};

static SpAccel *make(const char *name, char *reason)
{
    SpAccel *accel = g_new0(SpAccel, 1);

    for (gsize i = 0; i < G_N_ELEMENTS(known); i++) {
        if (!g_str_equal(known[i].name, name))
            continue;
        accel->name = g_strdup(name);
        accel->argument = g_strdup(known[i].argument);
        accel->cpu = g_strdup(known[i].cpu);
        accel->time_factor = known[i].time_factor;
    }
    accel->reason = reason;
    return accel;
}

void sp_accel_free(SpAccel *accel)
{
    if (!accel)
        return;
    g_free(accel->name);
    g_free(accel->argument);
    g_free(accel->cpu);
    g_free(accel->reason);
    g_free(accel);
}

/* A boot sector that writes to the debug exit port, as a read-only descriptor. */
static int guest_disk(void)
{
    static const guint8 code[] = {
        0xb0, 0x31, /* mov $0x31, %al */
        0xe6, 0xf4, /* out %al, $0xf4 */
        0xf4,       /* hlt */
        0xeb, 0xfd, /* jmp to the hlt */
    };
    guint8 disk[4096] = {0};
    g_autofree char *self = NULL;
    int read_only = -1;
    int fd = memfd_create("slotproof-probe", MFD_CLOEXEC);

    memcpy(disk, code, sizeof code);
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

static SpProcess *start_guest(const char *qemu, GError **error)
{
    const char *const argv[] = {qemu, "-nodefaults", "-no-user-config", "-display", "none",
        "-machine", "q35", "-accel", "kvm", "-cpu", "host", "-m", "64M", "-add-fd", "fd=3,set=1",
        "-blockdev",
        "driver=raw,node-name=disk,read-only=on,file.driver=file,file.filename=/dev/fdset/1",
        "-device", "virtio-blk-pci,drive=disk,bootindex=0", "-device",
        "isa-debug-exit,iobase=0xf4,iosize=4", "-no-reboot", NULL};
    SpProcessFd fd = {guest_disk(), GUEST_FD};
    SpProcess *process = sp_process_start(argv, &fd, fd.from >= 0 ? 1 : 0, error);

    if (fd.from >= 0)
        close(fd.from);
    return process;
}

/* Runs a guest under KVM. @ret_lifetime_s says for how long the answer holds: 0 not beyond this
 * call, G_MAXINT64 as long as host and QEMU are the same. */
static SpAccel *ask_qemu(
    const char *qemu, const char *device, gint64 timeout_ms, gint64 *ret_lifetime_s)
{
    g_autoptr(SpProcess) process = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *end = NULL;
    g_autofree char *output = NULL;

    *ret_lifetime_s = 0;
    process = start_guest(qemu, &error);
    if (!process)
        return make("tcg", g_strdup(error->message));
    /* A host that is only busy may do better later; one that hangs does so for each worker. */
    *ret_lifetime_s = HANG_LIFETIME_S;
    if (!sp_process_wait(process, sp_deadline(timeout_ms), NULL, NULL))
        return make(
            "tcg", g_strdup_printf("%s is there, but a guest under KVM did not end within %.1f s",
                       device, (double)timeout_ms / 1000));
    *ret_lifetime_s = G_MAXINT64;
    if (WIFEXITED(sp_process_wait_status(process)) &&
        WEXITSTATUS(sp_process_wait_status(process)) == GUEST_STATUS)
        return make("kvm", g_strdup("a guest ran under KVM"));
    end = sp_process_describe_end(process);
    output = g_strstrip(sp_process_output(process));
    return make(
        "tcg", g_strdup_printf("%s is there, but QEMU %s with it: %s", device, end, output));
}

/* Everything that the answer depends on. */
static char *cache_key(const char *qemu)
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

static gint64 now_s(void)
{
    return g_get_real_time() / G_USEC_PER_SEC;
}

/* The remembered answer: the key's line, the name's line, until when it holds and the reason. */
static SpAccel *load(const char *path, const char *key)
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
        until_s <= now_s() || (until_s != G_MAXINT64 && until_s > now_s() + HANG_LIFETIME_S))
        return NULL;
    return make(lines[0], g_utf8_make_valid(lines[2], -1));
}

static void save(const char *cache_dir, const char *path, const char *key, const SpAccel *accel,
    gint64 lifetime_s)
{
    gint64 until_s = lifetime_s == G_MAXINT64 ? G_MAXINT64 : now_s() + lifetime_s;
    g_autofree char *reason = g_strdelimit(g_strdup(accel->reason), "\r\n", ' ');
    g_autofree char *text =
        g_strdup_printf("%s%s\n%" G_GINT64_FORMAT "\n%s\n", key, accel->name, until_s, reason);

    /* Only a memory: without it the next run asks again. */
    if (g_mkdir_with_parents(cache_dir, 0700) == 0)
        g_file_set_contents(path, text, -1, NULL);
}

SpAccel *sp_accel_probe_device(
    const char *qemu, const char *device, const char *cache_dir, gint64 timeout_ms)
{
    g_autofree char *key = cache_key(qemu);
    g_autofree char *path = cache_dir ? g_build_filename(cache_dir, "accelerator", NULL) : NULL;
    int fd = open(device, O_RDWR | O_CLOEXEC);
    gint64 lifetime_s;
    SpAccel *accel;

    /* Asked each time: it costs nothing, and who is let to it may change. */
    if (fd < 0)
        return make("tcg", g_strdup_printf("%s can't be opened: %s", device, g_strerror(errno)));
    close(fd);
    accel = key && path ? load(path, key) : NULL;
    if (accel)
        return accel;
    accel = ask_qemu(qemu, device, timeout_ms, &lifetime_s);
    if (key && path && lifetime_s > 0)
        save(cache_dir, path, key, accel, lifetime_s);
    return accel;
}

SpAccel *sp_accel_probe(const char *qemu, const char *cache_dir, GError **error)
{
    const char *override = g_getenv("SLOTPROOF_ACCEL");

    if (!override || !*override)
        return sp_accel_probe_device(qemu, "/dev/kvm", cache_dir, PROBE_TIMEOUT_MS);
    if (g_str_equal(override, "kvm") || g_str_equal(override, "tcg"))
        return make(override, g_strdup("SLOTPROOF_ACCEL says so"));
    g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
        "SLOTPROOF_ACCEL=%s is not known: expected 'kvm' or 'tcg'", override);
    return NULL;
}
