/* SPDX-License-Identifier: MIT */

/* Which file a machine's memory is at each start, without QEMU. */

#include "base/error.h"
#include "machine/machine-checkpoint.h"
#include "machine/machine-private.h"
#include "qemu/command.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIB ((off_t)1 << 20)

typedef struct {
    SpMachine machine;
    char *from, *dir; /* of a checkpoint that there is, and of one that is being made */
} Fixture;

static char *make_dir(void)
{
    g_autofree char *template = g_build_filename("/var/tmp", "slotproof-test-XXXXXX", NULL);
    char *dir = g_mkdtemp(g_steal_pointer(&template));

    g_assert_nonnull(dir);
    return dir;
}

static void set_up(Fixture *f, gconstpointer data)
{
    f->from = make_dir();
    f->dir = make_dir();
    f->machine.config.name = "m";
    f->machine.config.memory_mib = 4;
    f->machine.memory_fd = -1;
}

static void remove_dir(char *dir)
{
    g_autofree char *ram = g_build_filename(dir, "m.ram", NULL);

    g_unlink(ram);
    g_assert_cmpint(g_rmdir(dir), ==, 0);
    g_free(dir);
}

static void tear_down(Fixture *f, gconstpointer data)
{
    sp_machine_clear_memory(&f->machine);
    remove_dir(f->from);
    remove_dir(f->dir);
}

static void put_template(Fixture *f, off_t size)
{
    g_autofree char *path = sp_machine_memory_path(&f->machine, f->from);

    g_assert_true(g_file_set_contents(path, "was there", -1, NULL));
    g_assert_cmpint(truncate(path, size), ==, 0);
}

static guint flag_of(Fixture *f, bool is_incoming)
{
    g_autoptr(GError) error = NULL;
    guint flag = 99;

    f->machine.is_incoming = is_incoming;
    g_assert_true(sp_machine_prepare_memory(&f->machine, &flag, &error));
    g_assert_no_error(error);
    return flag;
}

static char *begin_of_memory(Fixture *f)
{
    char *text = g_malloc0(10);

    g_assert_cmpint(pread(f->machine.memory_fd, text, 9, 0), ==, 9);
    return text;
}

/* A machine that goes on from a checkpoint has its memory once: a later start begins with none. */
static void test_template(Fixture *f, gconstpointer data)
{
    g_assert_cmpuint(flag_of(f, false), ==, 0);
    put_template(f, 4 * MIB);
    g_assert_true(sp_machine_use_template(&f->machine, f->from, NULL));
    g_assert_true(f->machine.has_template);
    g_assert_cmpuint(flag_of(f, true), ==, SP_QEMU_PRIVATE_MEMORY);
    sp_machine_let_go_of_template(&f->machine);
    g_assert_cmpuint(flag_of(f, false), ==, 0);
}

/* Where the memory is with the devices there is no file. */
static void test_no_template(Fixture *f, gconstpointer data)
{
    g_assert_true(sp_machine_use_template(&f->machine, f->from, NULL));
    g_assert_false(f->machine.has_template);
    g_assert_cmpuint(flag_of(f, true), ==, 0);
}

/* QEMU would make it longer. */
static void test_short_template(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    put_template(f, 3 * MIB);
    g_assert_false(sp_machine_use_template(&f->machine, f->from, &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_HOST);
    g_assert_nonnull(strstr(error->message, "m.ram"));
}

/* One that is saved has its own file, empty at each start, and after a power cut too. */
static void test_own(Fixture *f, gconstpointer data)
{
    g_autofree char *path = sp_machine_memory_path(&f->machine, f->dir);
    g_autofree char *text = NULL;
    struct stat st;

    sp_machine_keep_memory(&f->machine, f->dir);
    g_assert_cmpint(stat(path, &st), ==, 0);
    g_assert_cmpint(st.st_size, ==, 4 * MIB);
    g_assert_cmpuint(flag_of(f, false), ==, SP_QEMU_SHARED_MEMORY);
    sp_machine_let_go_of_template(&f->machine);
    g_assert_cmpint(pwrite(f->machine.memory_fd, "left over", 9, 0), ==, 9);
    g_assert_cmpuint(flag_of(f, false), ==, SP_QEMU_SHARED_MEMORY);
    text = begin_of_memory(f);
    g_assert_cmpstr(text, ==, "");
}

/* One that is saved and goes on from another has a copy. */
static void test_own_copy(Fixture *f, gconstpointer data)
{
    g_autofree char *text = NULL, *kept = NULL;
    g_autofree char *path = sp_machine_memory_path(&f->machine, f->from);

    put_template(f, 4 * MIB);
    sp_machine_keep_memory(&f->machine, f->dir);
    g_assert_true(sp_machine_use_template(&f->machine, f->from, NULL));
    g_assert_cmpuint(flag_of(f, true), ==, SP_QEMU_SHARED_MEMORY);
    text = begin_of_memory(f);
    g_assert_cmpstr(text, ==, "was there");
    g_assert_cmpint(pwrite(f->machine.memory_fd, "something", 9, 0), ==, 9);
    g_assert_true(g_file_get_contents(path, &kept, NULL, NULL));
    g_assert_cmpstr(kept, ==, "was there");
}

/* QEMU is killed where its memory can't grow, and by that signal only is it that. */
static void test_fault(Fixture *f, gconstpointer data)
{
    static const struct {
        const char *command;
        bool is_memory;
    } ends[] = {{"kill -BUS $$", true}, {"kill -SEGV $$", false}, {"exit 7", false}};

    sp_machine_keep_memory(&f->machine, f->dir);
    for (gsize i = 0; i < G_N_ELEMENTS(ends); i++) {
        const char *const argv[] = {"sh", "-c", ends[i].command, NULL};
        g_autofree char *fault = NULL;

        f->machine.qemu = sp_process_start(argv, NULL, 0, NULL);
        g_assert_true(sp_process_wait(f->machine.qemu, sp_deadline(30000), NULL, NULL));
        fault = sp_machine_memory_fault(&f->machine);
        g_assert_cmpint(fault != NULL, ==, ends[i].is_memory);
        g_assert_true(!fault || strstr(fault, "m.ram"));
        g_clear_pointer(&f->machine.qemu, sp_process_free);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, func) g_test_add("/machine-memory/" name, Fixture, NULL, set_up, func, tear_down)
    ADD("template", test_template);
    ADD("no-template", test_no_template);
    ADD("short-template", test_short_template);
    ADD("own", test_own);
    ADD("own-copy", test_own_copy);
    ADD("fault", test_fault);
    return g_test_run();
}
