/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "lib/agent-frame.h"
#include "qemu/command.h"

#include <string.h>

typedef struct {
    SpImage image;
    SpAccel accel;
    SpQemuConfig config;
} Fixture;

static void set_up(Fixture *f, gconstpointer data)
{
    f->image = (SpImage){
        .name = (char *)"gateway",
        .architecture = (char *)"x86_64",
        .disk = (char *)"/images/disk.img",
        .disk_format = (char *)"raw",
        .has_agent = true,
    };
    f->accel = (SpAccel){.name = "kvm", .argument = "kvm"};
    f->config = (SpQemuConfig){
        .name = "m", .image = &f->image, .accel = &f->accel, .cpus = 2, .memory_mib = 512};
}

static void tear_down(Fixture *f, gconstpointer data)
{
}

/* All of it, with a blank in front of and behind each word. */
static char *command(Fixture *f, guint flags)
{
    g_auto(GStrv) argv = sp_qemu_command("/bin/qemu", &f->config, flags);
    g_autofree char *words = g_strjoinv(" ", argv);

    g_assert_cmpstr(argv[0], ==, "/bin/qemu");
    return g_strdup_printf(" %s ", words);
}

static void expect(const char *text, const char *words)
{
    if (!strstr(text, words))
        g_error("'%s' is missing in: %s", words, text);
}

static void expect_no(const char *text, const char *words)
{
    if (strstr(text, words))
        g_error("'%s' is in: %s", words, text);
}

/* The value of the one @option, which is an argument of its own whatever it holds. */
static char *value(Fixture *f, const char *option)
{
    g_auto(GStrv) argv = sp_qemu_command("/bin/qemu", &f->config, false);
    char *found = NULL;

    for (guint i = 0; argv[i]; i++) {
        if (!g_str_equal(argv[i], option))
            continue;
        g_assert_null(found);
        found = g_strdup(argv[i + 1]);
    }
    return found;
}

static void test_disk(Fixture *f, gconstpointer data)
{
    const char *format;
    g_autofree char *own = NULL, *given = NULL;

    f->image.disk_format = (char *)"qcow2";
    own = command(f, 0);
    expect(own, ",backing.driver=qcow2,");
    g_assert_cmpstr(sp_qemu_disk(&f->config, &format), ==, "/images/disk.img");
    g_assert_cmpstr(format, ==, "qcow2");
    f->config.disk = "/some/disk.raw";
    given = command(f, 0);
    expect(given, ",backing.driver=raw,");
    g_assert_cmpstr(sp_qemu_disk(&f->config, &format), ==, "/some/disk.raw");
    g_assert_cmpstr(format, ==, "raw");
}

static void test_kernel(Fixture *f, gconstpointer data)
{
    g_autofree char *without = command(f, 0);
    g_autofree char *alone = NULL;
    g_autofree char *initrd = NULL;
    g_autofree char *append = NULL;

    expect_no(without, " -kernel ");
    expect_no(without, " -initrd ");
    expect_no(without, " -append ");
    f->image.kernel = (char *)"/images/a vmlinuz";
    alone = command(f, 0);
    expect(alone, " -kernel /images/a vmlinuz ");
    expect_no(alone, " -initrd ");
    expect_no(alone, " -append ");
    f->image.initrd = (char *)"/images/initrd.cpio";
    f->image.command_line = (char *)"console=ttyS0 a=\"b c\",d";
    initrd = value(f, "-initrd");
    append = value(f, "-append");
    g_assert_cmpstr(initrd, ==, "/images/initrd.cpio");
    g_assert_cmpstr(append, ==, "console=ttyS0 a=\"b c\",d");
}

/* Its words stand on a command line only where time is virtual, behind the others if there are. */
static void test_virtual_time(Fixture *f, gconstpointer data)
{
    g_autofree char *real = NULL;
    g_autofree char *alone = NULL;
    g_autofree char *both = NULL;
    g_autofree char *text = NULL;

    f->image.kernel = (char *)"/images/vmlinuz";
    f->image.virtual_time_command_line = (char *)"nohz=off";
    real = value(f, "-append");
    g_assert_null(real);
    f->config.has_virtual_time = true;
    alone = value(f, "-append");
    g_assert_cmpstr(alone, ==, "nohz=off");
    f->image.command_line = (char *)"quiet";
    both = value(f, "-append");
    g_assert_cmpstr(both, ==, "quiet nohz=off");
    text = command(f, 0);
    expect(text, " -accel " SP_ACCEL_TCG " -icount ");
    expect_no(text, " -accel kvm ");
}

/* Images tell cards by where they stand on the bus, and no two of a run may have one address. */
static void test_nics(Fixture *f, gconstpointer data)
{
    g_autofree char *without = command(f, 0);
    g_autofree char *text = NULL;

    expect_no(without, " -netdev ");
    f->config.nics = 2;
    f->config.seed = 0x9900abcdefu;
    text = command(f, 0);
    for (guint i = 0; i < 2; i++) {
        g_autofree char *netdev =
            g_strdup_printf(" -netdev stream,id=net%u,server=off,addr.type=fd,addr.str=%d ", i,
                SP_QEMU_FD_NIC + (int)i);
        g_autofree char *device =
            g_strdup_printf(" -device virtio-net-pci,netdev=net%u,bus=pcie.0,addr=0x1%u,romfile=,"
                            "mac=52:54:ab:cd:ef:0%u ",
                i, i, i);
        expect(text, netdev);
        expect(text, device);
    }
    expect_no(text, "net2");
    expect(text, " -uuid 5107900f-0000-4000-8000-009900abcdef ");
}

static void test_agent(Fixture *f, gconstpointer data)
{
    g_autofree char *with = command(f, 0);
    g_autofree char *without = NULL;
    g_autofree char *port = g_strdup_printf(" socket,id=agent,fd=%d ", SP_QEMU_FD_AGENT);

    expect(with, port);
    expect(with, "virtserialport,chardev=agent,id=agent,name=" SP_AGENT_PORT " ");
    f->image.has_agent = false;
    without = command(f, 0);
    expect_no(without, "agent");
    expect_no(without, "virtio-serial");
    expect(without, " -serial chardev:console ");
}

static void test_reboot_and_watchdog(Fixture *f, gconstpointer data)
{
    g_autofree char *ends = command(f, 0);
    g_autofree char *again = command(f, SP_QEMU_ALLOW_REBOOT);
    g_autofree char *watched = NULL;

    expect(ends, " -action reboot=shutdown,");
    expect(again, " -action reboot=reset,");
    expect_no(ends, "i6300esb");
    f->image.watchdog = (char *)"i6300esb";
    watched = command(f, 0);
    expect(watched, " -device i6300esb ");
    expect(watched, "watchdog=reset ");
}

/* It has one name wherever it is, or what is saved with one can't be loaded with another. */
static void test_memory(Fixture *f, gconstpointer data)
{
    g_autofree char *file = g_strdup_printf(",mem-path=/proc/self/fd/%d,", SP_QEMU_FD_MEMORY);
    g_autofree char *plain = command(f, 0);
    g_autofree char *shared = command(f, SP_QEMU_SHARED_MEMORY);
    g_autofree char *private = command(f, SP_QEMU_PRIVATE_MEMORY);
    const char *const all[] = {plain, shared, private};

    for (gsize i = 0; i < G_N_ELEMENTS(all); i++) {
        expect(all[i], ",memory-backend=ram0 ");
        expect(all[i], ",id=ram0,size=512M");
        expect(all[i], " -m 512M ");
    }
    expect(plain, " memory-backend-ram,");
    expect_no(plain, "share");
    expect(shared, file);
    expect(shared, ",share=on ");
    expect(private, file);
    expect(private, ",share=off ");
}

/* A disk that is not to be read fails its first read and stops the guest; another one tells the
 * guest of an error. */
static void test_first_read(Fixture *f, gconstpointer data)
{
    g_autofree char *usual = command(f, 0);
    g_autofree char *unread = command(f, SP_QEMU_FIRST_READ);
    g_autofree char *paused = command(f, SP_QEMU_PAUSED);

    expect_no(usual, "blkdebug");
    expect_no(usual, "rerror");
    expect_no(usual, " -S ");
    expect(usual, "node-name=disk0,discard=unmap,file=overlay0 ");
    expect(unread, "driver=blkdebug,node-name=unread0,image=overlay0,");
    expect(unread, "inject-error.0.iotype=read,");
    expect(unread, "node-name=disk0,discard=unmap,file=unread0 ");
    expect(unread, "drive=disk0,id=disk0,bootindex=1,rerror=stop ");
    expect(paused, " -S ");
}

/* Another board is another row: nothing of a PC is left. */
static void test_board(Fixture *f, gconstpointer data)
{
    g_autofree char *text = NULL;

    f->image.architecture = (char *)"aarch64";
    f->accel = (SpAccel){.name = "tcg", .argument = "tcg"};
    f->config.nics = 1;
    text = command(f, 0);
    expect(text, " -machine virt,memory-backend=ram0 ");
    expect(text, " -cpu cortex-a57 ");
    expect(text, " usb-kbd ");
    expect(text, ",bus=pcie.0,");
    expect_no(text, "q35");
    expect_no(text, "VGA");
    expect_no(text, "Nehalem");
}

static void test_program(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *program = NULL;

    g_setenv("SLOTPROOF_QEMU", "/bin/sh", TRUE);
    program = sp_qemu_program("x86_64", &error);
    g_assert_no_error(error);
    g_assert_cmpstr(program, ==, "/bin/sh");
    g_assert_null(sp_qemu_program("vax", &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_USAGE);
    g_assert_nonnull(strstr(error->message, "'vax'"));
    g_clear_error(&error);
    g_setenv("SLOTPROOF_QEMU", "/nowhere/qemu", TRUE);
    g_assert_null(sp_qemu_program("x86_64", &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_USAGE);
    g_assert_nonnull(strstr(error->message, "SLOTPROOF_QEMU names '/nowhere/qemu'"));
    g_clear_error(&error);
    g_unsetenv("SLOTPROOF_QEMU");
    /* what isn't installed is named by its package */
    g_setenv("PATH", "/nowhere", TRUE);
    g_assert_null(sp_qemu_program("aarch64", &error));
    g_assert_nonnull(strstr(error->message, "'apt-get install qemu-system-arm'"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, func) g_test_add("/qemu-command/" name, Fixture, NULL, set_up, func, tear_down)
    ADD("disk", test_disk);
    ADD("kernel", test_kernel);
    ADD("virtual-time", test_virtual_time);
    ADD("nics", test_nics);
    ADD("agent", test_agent);
    ADD("reboot-and-watchdog", test_reboot_and_watchdog);
    ADD("first-read", test_first_read);
    ADD("memory", test_memory);
    ADD("board", test_board);
    ADD("program", test_program);
    return g_test_run();
}
