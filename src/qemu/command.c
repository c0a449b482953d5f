/* SPDX-License-Identifier: MIT */
#include "qemu/command.h"

#include "base/error.h"

#include "lib/frame.h"

/* Where the first network card stands on the bus; the others follow. Images tell cards by this. */
#define FIRST_NIC_SLOT 0x10

/* An instruction takes 2^N ns of virtual time. */
#define ICOUNT_SHIFT 2

#define MEMORY "ram0"

typedef struct {
    const char *architecture;
    const char *machine; /* for -machine */
    const char *package; /* Debian's, for the message */
} Board;

static const Board boards[] = {
    {"x86_64", "q35,usb=off,vmport=off,smbus=off", "qemu-system-x86"},
};

static const Board *find_board(const char *architecture)
{
    for (gsize i = 0; i < G_N_ELEMENTS(boards); i++) {
        if (g_str_equal(boards[i].architecture, architecture))
            return &boards[i];
    }
    return NULL;
}

char *sp_qemu_program(const char *architecture, GError **error)
{
    const Board *board = find_board(architecture);
    const char *override = g_getenv("SLOTPROOF_QEMU");
    g_autofree char *name = g_strdup_printf("qemu-system-%s", architecture);
    char *path;

    if (!board) {
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
            "machines of architecture '%s' are not supported: 'x86_64' is", architecture);
        return NULL;
    }
    path = g_find_program_in_path(override && *override ? override : name);
    if (path)
        return path;
    if (override && *override)
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
            "SLOTPROOF_QEMU names '%s', which is not a program that can be run", override);
    else
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
            "%s is not installed: try 'apt-get install %s'", name, board->package);
    return NULL;
}

static void add(GPtrArray *argv, const char *option, const char *format, ...) G_GNUC_PRINTF(3, 4);
static void add(GPtrArray *argv, const char *option, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_ptr_array_add(argv, g_strdup(option));
    g_ptr_array_add(argv, g_strdup_vprintf(format, args));
    va_end(args);
}

static void add_nics(GPtrArray *argv, const SpMachineConfig *config)
{
    for (guint i = 0; i < config->nics; i++) {
        add(argv, "-netdev", "stream,id=net%u,server=off,addr.type=fd,addr.str=%u", i,
            SP_QEMU_FD_NIC + i);
        /* Locally administered; the seed keeps machines of one run apart. */
        add(argv, "-device",
            "virtio-net-pci,netdev=net%u,bus=pcie.0,addr=0x%x,romfile=,"
            "mac=52:54:%02x:%02x:%02x:%02x",
            i, FIRST_NIC_SLOT + i, (guint)(config->seed >> 16) & 0xff,
            (guint)(config->seed >> 8) & 0xff, (guint)config->seed & 0xff, i);
    }
}

static void add_processor(GPtrArray *argv, const SpMachineConfig *config)
{
    if (config->has_virtual_time) {
        add(argv, "-accel", "%s", SP_ACCEL_TCG);
        add(argv, "-icount", "shift=%d,align=off,sleep=off", ICOUNT_SHIFT);
        add(argv, "-rtc", "%s", "clock=vm");
    } else {
        add(argv, "-accel", "%s", config->accel->argument);
    }
    add(argv, "-cpu", "%s", config->accel->cpu);
    add(argv, "-smp", "%u", config->cpus);
}

/* Of one name whatever it is: QEMU tells by it what it saves and loads. */
static void add_memory(GPtrArray *argv, const SpMachineConfig *config, guint flags)
{
    add(argv, "-m", "%uM", config->memory_mib);
    if (flags & (SP_QEMU_SHARED_MEMORY | SP_QEMU_PRIVATE_MEMORY))
        add(argv, "-object",
            "memory-backend-file,id=" MEMORY ",size=%uM,mem-path=/proc/self/fd/%d,share=%s",
            config->memory_mib, SP_QEMU_FD_MEMORY, flags & SP_QEMU_SHARED_MEMORY ? "on" : "off");
    else
        add(argv, "-object", "memory-backend-ram,id=" MEMORY ",size=%uM", config->memory_mib);
}

static void add_command_line(GPtrArray *argv, const SpMachineConfig *config)
{
    const char *words = config->image->command_line;
    const char *more = config->has_virtual_time ? config->image->virtual_time_command_line : NULL;

    if (words || more)
        add(argv, "-append", "%s%s%s", words ? words : "", words && more ? " " : "",
            more ? more : "");
}

const char *sp_qemu_disk(const SpMachineConfig *config, const char **ret_format)
{
    *ret_format = config->disk ? "raw" : config->image->disk_format;
    return config->disk ? config->disk : config->image->disk;
}

/* With each comma doubled, as QEMU's options want it. */
static char *escape(const char *value)
{
    g_auto(GStrv) parts = g_strsplit(value, ",", -1);

    return g_strjoinv(",,", parts);
}

/* QEMU has the image by a descriptor, from which no relative name leads anywhere. An absolute one,
 * and one with a protocol, it takes out of the image. */
static char *describe_backing(const SpMachineConfig *config, const char *base)
{
    const SpBacking *backing = &config->image->backing;
    g_autofree char *path = NULL, *format = NULL;

    if (config->disk || !backing->path || g_path_is_absolute(backing->name))
        return g_strdup("");
    path = escape(backing->path);
    format = escape(backing->format);
    return g_strdup_printf(
        ",%s.backing.driver=%s,%s.backing.file.driver=file,%s.backing.file.filename=%s", base,
        format, base, base, path);
}

static void add_disk(GPtrArray *argv, const SpMachineConfig *config, guint flags)
{
    static const char layer[] =
        "backing.driver=qcow2,backing.file.driver=file,backing.file.filename=/dev/fdset/3,";
    /* where the image is in the chain */
    const char *base = flags & SP_QEMU_LAYER ? "backing.backing" : "backing";
    g_autofree char *backing = describe_backing(config, base);
    const char *format;

    (void)sp_qemu_disk(config, &format);
    add(argv, "-add-fd", "fd=%d,set=1", SP_QEMU_FD_DISK_RW);
    add(argv, "-add-fd", "fd=%d,set=1", SP_QEMU_FD_DISK_RO);
    add(argv, "-add-fd", "fd=%d,set=2", SP_QEMU_FD_DISK_BASE);
    if (flags & SP_QEMU_LAYER)
        add(argv, "-add-fd", "fd=%d,set=3", SP_QEMU_FD_DISK_LAYER);
    /* no-flush: a power cut of the machine is the end of QEMU, not of the host. What the guest
     * flushed has left QEMU for the host's page cache, and that is enough. */
    add(argv, "-blockdev",
        "driver=qcow2,node-name=" SP_QEMU_OVERLAY_NODE ",discard=unmap,cache.no-flush=on,"
        "file.driver=file,file.filename=/dev/fdset/1,file.cache.no-flush=on,"
        "%s%s.driver=%s,%s.node-name=" SP_QEMU_BASE_NODE
        ",%s.file.driver=file,%s.file.filename=/dev/fdset/2%s",
        flags & SP_QEMU_LAYER ? layer : "", base, format, base, base, base, backing);
    if (flags & SP_QEMU_FIRST_READ)
        add(argv, "-blockdev",
            "driver=blkdebug,node-name=unread0,image=" SP_QEMU_OVERLAY_NODE
            ",inject-error.0.event=none,inject-error.0.iotype=read,inject-error.0.errno=5");
    /* passes all on; what is to break a disk is put between the two */
    add(argv, "-blockdev", "driver=raw,node-name=" SP_QEMU_DISK_NODE ",discard=unmap,file=%s",
        flags & SP_QEMU_FIRST_READ ? "unread0" : SP_QEMU_OVERLAY_NODE);
    add(argv, "-device", "virtio-blk-pci,drive=" SP_QEMU_DISK_NODE ",id=disk0,bootindex=1%s",
        flags & SP_QEMU_FIRST_READ ? ",rerror=stop" : "");
}

static void add_console_and_agent(GPtrArray *argv, const SpMachineConfig *config)
{
    add(argv, "-chardev", "socket,id=qmp,fd=%d", SP_QEMU_FD_QMP);
    add(argv, "-mon", "chardev=qmp,mode=control");
    add(argv, "-chardev", "socket,id=console,fd=%d", SP_QEMU_FD_CONSOLE);
    add(argv, "-serial", "chardev:console");
    if (!config->image->has_agent)
        return;
    add(argv, "-device", "virtio-serial-pci,id=serial");
    add(argv, "-chardev", "socket,id=agent,fd=%d", SP_QEMU_FD_AGENT);
    add(argv, "-device", "virtserialport,chardev=agent,id=agent,name=" SP_AGENT_PORT);
}

char **sp_qemu_command(const char *program, const SpMachineConfig *config, guint flags)
{
    const SpImage *image = config->image;
    GPtrArray *argv = g_ptr_array_new();

    g_ptr_array_add(argv, g_strdup(program));
    add(argv, "-name", "%s,process=slotproof-%s", config->name, config->name);
    g_ptr_array_add(argv, g_strdup("-nodefaults"));
    g_ptr_array_add(argv, g_strdup("-no-user-config"));
    add(argv, "-display", "none");
    add(argv, "-machine", "%s,memory-backend=" MEMORY, find_board(image->architecture)->machine);
    add_processor(argv, config);
    add_memory(argv, config, flags);
    add(argv, "-uuid", "5107900f-0000-4000-8000-%012" G_GINT64_MODIFIER "x",
        config->seed & G_GUINT64_CONSTANT(0xffffffffffff));
    add(argv, "-action", "reboot=%s,panic=none,watchdog=reset",
        flags & SP_QEMU_ALLOW_REBOOT ? "reset" : "shutdown");
    if (image->kernel) {
        add(argv, "-kernel", "%s", image->kernel);
        if (image->initrd)
            add(argv, "-initrd", "%s", image->initrd);
        add_command_line(argv, config);
    }
    add_disk(argv, config, flags);
    add_console_and_agent(argv, config);
    add(argv, "-device", "virtio-rng-pci");
    if (image->watchdog)
        add(argv, "-device", "%s", image->watchdog);
    /* plain VGA: a text console needs no driver in the guest */
    add(argv, "-device", "%s", "VGA,id=screen0");
    add_nics(argv, config);
    if (flags & SP_QEMU_INCOMING)
        add(argv, "-incoming", "%s", "defer");
    if (flags & SP_QEMU_PAUSED)
        g_ptr_array_add(argv, g_strdup("-S"));
    g_ptr_array_add(argv, NULL);
    return (char **)g_ptr_array_free(argv, FALSE);
}
