/* SPDX-License-Identifier: MIT */
#include "qemu/command.h"

#include "base/error.h"
#include "lib/agent-frame.h"
#include "qemu/board.h"

/* The slot of the first network card on the bus; the others follow. Images identify cards by it. */
#define FIRST_NIC_SLOT 0x10

/* An instruction takes 2^N ns of virtual time. */
#define ICOUNT_SHIFT 2

#define MEMORY "ram0"

char *sp_qemu_program(const char *architecture, GError **error)
{
    const SpBoard *board = sp_board_find(architecture);
    const char *override = g_getenv("SLOTPROOF_QEMU");
    g_autofree char *boards = NULL;
    char *path;

    if (!board) {
        boards = sp_board_list();
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
            "machines of architecture '%s' are not supported: expected one of %s", architecture,
            boards);
        return NULL;
    }
    path = g_find_program_in_path(override && *override ? override : board->program);
    if (path)
        return path;
    if (override && *override)
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
            "SLOTPROOF_QEMU names '%s', which is not a program that can be run", override);
    else
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
            "%s is not installed: try 'apt-get install %s'", board->program, board->package);
    return NULL;
}

static void add_option(GPtrArray *argv, const char *option, const char *format, ...)
    G_GNUC_PRINTF(3, 4);
static void add_option(GPtrArray *argv, const char *option, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_ptr_array_add(argv, g_strdup(option));
    g_ptr_array_add(argv, g_strdup_vprintf(format, args));
    va_end(args);
}

static void add_nics(GPtrArray *argv, const SpBoard *board, const SpQemuConfig *config)
{
    for (guint i = 0; i < config->nics; i++) {
        add_option(argv, "-netdev", "stream,id=net%u,server=off,addr.type=fd,addr.str=%u", i,
            SP_QEMU_FD_NIC + i);
        /* Locally administered; the seed keeps machines of one run apart. */
        add_option(argv, "-device",
            "virtio-net-pci,netdev=net%u,bus=%s,addr=0x%x,romfile=,"
            "mac=52:54:%02x:%02x:%02x:%02x",
            i, board->pci_bus, FIRST_NIC_SLOT + i, (guint)(config->seed >> 16) & 0xff,
            (guint)(config->seed >> 8) & 0xff, (guint)config->seed & 0xff, i);
    }
}

static void add_processor(GPtrArray *argv, const SpBoard *board, const SpQemuConfig *config)
{
    if (config->has_virtual_time) {
        add_option(argv, "-accel", "%s", SP_ACCEL_TCG);
        add_option(argv, "-icount", "shift=%d,align=off,sleep=off", ICOUNT_SHIFT);
        add_option(argv, "-rtc", "%s", "clock=vm");
    } else {
        add_option(argv, "-accel", "%s", config->accel->argument);
    }
    add_option(argv, "-cpu", "%s", sp_accel_cpu(config->accel, board));
    add_option(argv, "-smp", "%u", config->cpus);
}

/* Always under one name, by which QEMU identifies what it saves and loads. */
static void add_memory(GPtrArray *argv, const SpQemuConfig *config, guint flags)
{
    add_option(argv, "-m", "%uM", config->memory_mib);
    if (flags & (SP_QEMU_SHARED_MEMORY | SP_QEMU_PRIVATE_MEMORY))
        add_option(argv, "-object",
            "memory-backend-file,id=" MEMORY ",size=%uM,mem-path=/proc/self/fd/%d,share=%s",
            config->memory_mib, SP_QEMU_FD_MEMORY, flags & SP_QEMU_SHARED_MEMORY ? "on" : "off");
    else
        add_option(
            argv, "-object", "memory-backend-ram,id=" MEMORY ",size=%uM", config->memory_mib);
}

static void add_command_line(GPtrArray *argv, const SpQemuConfig *config)
{
    const char *words = config->image->command_line;
    const char *more = config->has_virtual_time ? config->image->virtual_time_command_line : NULL;

    if (words || more)
        add_option(argv, "-append", "%s%s%s", words ? words : "", words && more ? " " : "",
            more ? more : "");
}

const char *sp_qemu_disk(const SpQemuConfig *config, const char **ret_format)
{
    *ret_format = config->disk ? "raw" : config->image->disk_format;
    return config->disk ? config->disk : config->image->disk;
}

/* With each comma doubled, as in QEMU's options. */
static char *escape_commas(const char *value)
{
    g_auto(GStrv) parts = g_strsplit(value, ",", -1);

    return g_strjoinv(",,", parts);
}

/* QEMU has the image by a descriptor, to which a relative name can't be resolved. Absolute names,
 * and those with a protocol, it takes from the image itself. */
static char *describe_backing(const SpQemuConfig *config, const char *base)
{
    const SpBacking *backing = &config->image->backing;
    g_autofree char *path = NULL, *format = NULL;

    if (config->disk || !backing->path || g_path_is_absolute(backing->name))
        return g_strdup("");
    path = escape_commas(backing->path);
    format = escape_commas(backing->format);
    return g_strdup_printf(
        ",%s.backing.driver=%s,%s.backing.file.driver=file,%s.backing.file.filename=%s", base,
        format, base, base, path);
}

static void add_drive(GPtrArray *argv, const SpQemuConfig *config, guint flags)
{
    static const char layer[] =
        "backing.driver=qcow2,backing.file.driver=file,backing.file.filename=/dev/fdset/3,";
    /* the image's place in the chain */
    const char *base = flags & SP_QEMU_LAYER ? "backing.backing" : "backing";
    g_autofree char *backing = describe_backing(config, base);
    const char *format;

    (void)sp_qemu_disk(config, &format);
    add_option(argv, "-add-fd", "fd=%d,set=1", SP_QEMU_FD_DISK_RW);
    add_option(argv, "-add-fd", "fd=%d,set=1", SP_QEMU_FD_DISK_RO);
    add_option(argv, "-add-fd", "fd=%d,set=2", SP_QEMU_FD_DISK_BASE);
    if (flags & SP_QEMU_LAYER)
        add_option(argv, "-add-fd", "fd=%d,set=3", SP_QEMU_FD_DISK_LAYER);
    /* no-flush: a power cut of the machine ends QEMU, not the host. What the guest flushed is in
     * the host's page cache by then, and that is enough. */
    add_option(argv, "-blockdev",
        "driver=qcow2,node-name=" SP_QEMU_OVERLAY_NODE ",discard=unmap,cache.no-flush=on,"
        "file.driver=file,file.filename=/dev/fdset/1,file.cache.no-flush=on,"
        "%s%s.driver=%s,%s.node-name=" SP_QEMU_BASE_NODE
        ",%s.file.driver=file,%s.file.filename=/dev/fdset/2%s",
        flags & SP_QEMU_LAYER ? layer : "", base, format, base, base, base, backing);
    if (flags & SP_QEMU_FIRST_READ)
        add_option(argv, "-blockdev",
            "driver=blkdebug,node-name=unread0,image=" SP_QEMU_OVERLAY_NODE
            ",inject-error.0.event=none,inject-error.0.iotype=read,inject-error.0.errno=5");
    /* passes everything on; what records a disk or breaks it is inserted between the two */
    add_option(argv, "-blockdev",
        "driver=raw,node-name=" SP_QEMU_DISK_NODE ",discard=unmap,file=%s",
        flags & SP_QEMU_FIRST_READ ? "unread0" : SP_QEMU_OVERLAY_NODE);
    add_option(argv, "-device", "virtio-blk-pci,drive=" SP_QEMU_DISK_NODE ",id=disk0,bootindex=1%s",
        flags & SP_QEMU_FIRST_READ ? ",rerror=stop" : "");
}

static void add_console_and_agent(GPtrArray *argv, const SpQemuConfig *config)
{
    add_option(argv, "-chardev", "socket,id=qmp,fd=%d", SP_QEMU_FD_QMP);
    add_option(argv, "-mon", "chardev=qmp,mode=control");
    add_option(argv, "-chardev", "socket,id=console,fd=%d", SP_QEMU_FD_CONSOLE);
    add_option(argv, "-serial", "chardev:console");
    if (!config->image->has_agent)
        return;
    add_option(argv, "-device", "virtio-serial-pci,id=serial");
    add_option(argv, "-chardev", "socket,id=agent,fd=%d", SP_QEMU_FD_AGENT);
    add_option(argv, "-device", "virtserialport,chardev=agent,id=agent,name=" SP_AGENT_PORT);
}

char **sp_qemu_command(const char *program, const SpQemuConfig *config, guint flags)
{
    const SpImage *image = config->image;
    const SpBoard *board = sp_board_find(image->architecture);
    GPtrArray *argv = g_ptr_array_new();

    g_assert(board);
    g_ptr_array_add(argv, g_strdup(program));
    add_option(argv, "-name", "%s,process=slotproof-%s", config->name, config->name);
    g_ptr_array_add(argv, g_strdup("-nodefaults"));
    g_ptr_array_add(argv, g_strdup("-no-user-config"));
    add_option(argv, "-display", "none");
    add_option(argv, "-machine", "%s,memory-backend=" MEMORY, board->machine);
    add_processor(argv, board, config);
    add_memory(argv, config, flags);
    add_option(argv, "-uuid", "5107900f-0000-4000-8000-%012" G_GINT64_MODIFIER "x",
        config->seed & G_GUINT64_CONSTANT(0xffffffffffff));
    add_option(argv, "-action", "reboot=%s,panic=none,watchdog=reset",
        flags & SP_QEMU_ALLOW_REBOOT ? "reset" : "shutdown");
    if (image->kernel) {
        add_option(argv, "-kernel", "%s", image->kernel);
        if (image->initrd)
            add_option(argv, "-initrd", "%s", image->initrd);
        add_command_line(argv, config);
    }
    add_drive(argv, config, flags);
    add_console_and_agent(argv, config);
    add_option(argv, "-device", "virtio-rng-pci");
    if (image->watchdog)
        add_option(argv, "-device", "%s", image->watchdog);
    add_option(argv, "-device", "%s,id=screen0", board->display);
    for (const char *const *device = board->input_devices; *device; device++)
        add_option(argv, "-device", "%s", *device);
    add_nics(argv, board, config);
    if (flags & SP_QEMU_INCOMING)
        add_option(argv, "-incoming", "%s", "defer");
    if (flags & SP_QEMU_PAUSED)
        g_ptr_array_add(argv, g_strdup("-S"));
    g_ptr_array_add(argv, NULL);
    return (char **)g_ptr_array_free(argv, FALSE);
}
