/* SPDX-License-Identifier: MIT */

/* A kernel that failed, and programs that write about one. */

#include "fake-agent.h"
#include "machine/kernel-word.h"
#include "machine/machine-private.h"

#include <string.h>

#define STAMPED "[   12.345678] Kernel panic - not syncing: sysrq triggered crash"
#define PLAIN "Kernel panic - not syncing: sysrq triggered crash"
#define END "---[ end Kernel panic - not syncing: sysrq triggered crash ]---"

static void test_words(void)
{
    static const struct {
        const char *line;
        SpKernelWord word;
    } words[] = {
        {"[    3.141592] Kernel panic - not syncing: VFS: Unable to mount root fs", SP_WORD_PANIC},
        {"Kernel panic - not syncing: sysrq triggered crash", SP_WORD_MAYBE_PANIC},
        {"[   12.000001] BUG: kernel NULL pointer dereference, address: 0000000000000000",
            SP_WORD_FAULT},
        {"[   12.000001] general protection fault, probably for non-canonical address",
            SP_WORD_FAULT},
        {"[   12.000001] Oops: 0002 [#1] PREEMPT SMP", SP_WORD_FAULT},
        {"[   12.000001] kernel BUG at fs/inode.c:12!", SP_WORD_FAULT},
        {"[   12.000001] general protection fault: 0000 [#1] SMP", SP_WORD_FAULT},
        {"general protection fault: 0000 [#1] SMP", SP_WORD_FAULT},
        {"[   12.000001] Internal error: Oops: 96000004 [#1] SMP", SP_WORD_FAULT},
        {"[   12.000001] Internal error: synchronous external abort: 96000010 [#1] SMP",
            SP_WORD_FAULT},
        {"[   12.000001] Unable to handle kernel NULL pointer dereference at virtual address 0",
            SP_WORD_FAULT},
        {"[    3.141592][    T1] Kernel panic - not syncing: Attempted to kill init!",
            SP_WORD_PANIC},
        {"[    3.141592][    C0] Kernel panic - not syncing: Fatal exception in interrupt",
            SP_WORD_PANIC},
        /* its beginning stands behind a prompt */
        {"[    3.141592] ---[ end Kernel panic - not syncing: sysrq triggered crash ]---",
            SP_WORD_PANIC},
        {"---[ end Kernel panic - not syncing: sysrq triggered crash ]---", SP_WORD_PANIC},
        {"BUG: kernel NULL pointer dereference, address: 0 [#1]", SP_WORD_FAULT},
    };
    static const char *const harmless[] = {
        "[    0.000000] Command line: console=ttyS0 panic=1",
        "[    0.000000] Kernel command line: BUG: unable to handle",
        "Started kernel-panic-collector.service - Kernel panic - not syncing",
        "[   12.000001] traps: x[12] trap invalid opcode ip:1 sp:2 error:0",
        "[   12.000001] audit: type=1400 msg=Kernel panic - not syncing",
        "[  OK  ] Kernel panic - not syncing",
        /* a program's words */
        "Oops: this did not work",
        "Internal error: no such table",
        "general protection fault",
        "BUG: unable to handle the request",
        "kernel BUG at the bottom of this list",
        "Unable to handle kernel modules without an initramfs",
        "<0>[   12.000001] Kernel panic - not syncing: as pstore keeps it",
        "[   12.000001] INFO: task mount:200 blocked for more than 120 seconds.",
        "[   12.000001] ---[ end trace 0000000000000000 ]---",
        "[   12.000001] BUG: scheduling while atomic: swapper/0/1/0x00000002",
        "[    3.141592][    T1 Kernel panic - not syncing",
        "[    3.141592][  OK  ] Kernel panic - not syncing",
        "[   12.000001] watchdog: BUG: soft lockup - CPU#0 stuck for 22s!",
        "",
        "[",
    };

    for (gsize i = 0; i < G_N_ELEMENTS(words); i++)
        g_assert_cmpint(sp_kernel_word(words[i].line), ==, words[i].word);
    for (gsize i = 0; i < G_N_ELEMENTS(harmless); i++)
        g_assert_cmpint(sp_kernel_word(harmless[i]), ==, SP_WORD_NONE);
}

typedef struct {
    FakeAgent fake;
    SpAccel accel;
    SpMachine machine;
} Fixture;

static void set_up(Fixture *f, bool has_agent)
{
    memset(f, 0, sizeof *f);
    f->accel.time_factor = 1;
    f->machine.config.name = "m";
    f->machine.config.accel = &f->accel;
    if (!has_agent)
        return;
    fake_connect(&f->fake);
    f->machine.agent = f->fake.agent;
}

static void tear_down(Fixture *f)
{
    sp_machine_forget_panic(&f->machine);
    if (f->machine.agent)
        fake_tear_down(&f->fake);
}

/* The question that it puts to the agent. */
static guint32 hear_probe(Fixture *f)
{
    struct sp_agent_frame frame = fake_hear(&f->fake);

    while (frame.type == SP_AGENT_FRAME_CANCEL)
        frame = fake_hear(&f->fake);
    g_assert_cmpint(frame.type, ==, SP_AGENT_FRAME_WATCH);
    return frame.channel;
}

static void turn_until_decided(Fixture *f)
{
    while (!f->machine.fatal && f->machine.suspected)
        g_main_context_iteration(NULL, TRUE);
}

/* Nobody can be asked: the kernel's own format decides. */
static void test_without_agent(void)
{
    Fixture f;

    set_up(&f, false);
    sp_machine_look_for_panic(&f.machine, PLAIN);
    g_assert_null(f.machine.fatal);
    sp_machine_look_for_panic(&f.machine, END);
    g_assert_cmpstr(f.machine.fatal, ==, END);
    sp_machine_forget_panic(&f.machine);
    g_assert_null(f.machine.fatal);
    sp_machine_look_for_panic(&f.machine, STAMPED);
    g_assert_cmpstr(f.machine.fatal, ==, STAMPED);
    tear_down(&f);
}

/* Whatever a program writes, userspace lives. */
static void test_refuted(void)
{
    static const char *const lines[] = {PLAIN, STAMPED, END};
    Fixture f;

    set_up(&f, true);
    for (gsize i = 0; i < G_N_ELEMENTS(lines); i++) {
        guint32 channel;

        sp_machine_look_for_panic(&f.machine, lines[i]);
        g_assert_null(f.machine.fatal);
        channel = hear_probe(&f);
        fake_say(&f.fake, SP_AGENT_FRAME_STATE, channel, 0, "1", 2);
        turn_until_decided(&f);
        g_assert_null(f.machine.fatal);
        g_assert_null(f.machine.probe);
    }
    tear_down(&f);
}

/* What was answered before the line came proves nothing, and silence is a panic. */
static void test_confirmed(void)
{
    static const char *const lines[] = {PLAIN, STAMPED};
    Fixture f;

    for (gsize i = 0; i < G_N_ELEMENTS(lines); i++) {
        g_autoptr(SpChannel) earlier = NULL;

        set_up(&f, true);
        earlier = sp_agent_watch(f.machine.agent, SP_WATCH_FILE, "/x");
        sp_machine_look_for_panic(&f.machine, lines[i]);
        fake_say(&f.fake, SP_AGENT_FRAME_STATE, hear_probe(&f), 0, "1", 2);
        turn_until_decided(&f);
        g_assert_cmpstr(f.machine.fatal, ==, lines[i]);
        g_clear_pointer(&earlier, sp_channel_free);
        tear_down(&f);
    }
}

/* The agent on another processor may answer before that is stopped: the panic's last line asks
 * again. A reset drops the question. */
static void test_asked_again(void)
{
    Fixture f;

    set_up(&f, true);
    sp_machine_look_for_panic(&f.machine, STAMPED);
    fake_say(&f.fake, SP_AGENT_FRAME_STATE, hear_probe(&f), 0, "1", 2);
    turn_until_decided(&f);
    g_assert_null(f.machine.fatal);
    sp_machine_look_for_panic(&f.machine, END);
    turn_until_decided(&f);
    g_assert_cmpstr(f.machine.fatal, ==, END);
    sp_machine_forget_panic(&f.machine);
    sp_machine_look_for_panic(&f.machine, END);
    sp_agent_reset(f.machine.agent, "the guest was reset");
    sp_machine_forget_panic(&f.machine);
    g_assert_null(f.machine.suspected);
    tear_down(&f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/panic/words", test_words);
    g_test_add_func("/panic/without-agent", test_without_agent);
    g_test_add_func("/panic/refuted", test_refuted);
    g_test_add_func("/panic/confirmed", test_confirmed);
    g_test_add_func("/panic/asked-again", test_asked_again);
    return g_test_run();
}
