/* SPDX-License-Identifier: MIT */
#include "appliance/boot/cmdline.h"
#include "appliance/boot/partition.h"

#include <errno.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>

static void test_slot(void)
{
    static const struct {
        const char *cmdline;
        enum sp_slot expected;
    } cases[] = {
        {"", SP_SLOT_NONE},
        {"quiet", SP_SLOT_NONE},
        {"rauc.slot=A", SP_SLOT_A},
        {"quiet rauc.slot=B\n", SP_SLOT_B},
        {"  quiet\trauc.slot=B  x", SP_SLOT_B},
        {"rauc.slot=A rauc.slot=B", SP_SLOT_B},
        {"rauc.slot=A rauc.slot=C", SP_SLOT_NONE},
        {"rauc.slot=A rauc.slot=AAAAAAAAAAAAAAAA", SP_SLOT_NONE},
        {"rauc.slot=", SP_SLOT_NONE},
        {"xrauc.slot=A", SP_SLOT_NONE},
        {"rauc.slotA", SP_SLOT_NONE},
        {"rauc.slot=AB", SP_SLOT_NONE},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        g_assert_cmpint(cmdline_slot(cases[i].cmdline), ==, cases[i].expected);
}

/* From a file: as long as fits, and none if it cannot be read. */
static void test_read(void)
{
    char cmdline[CMDLINE_FILE_MAX], text[CMDLINE_FILE_MAX];
    g_autofree char *path = NULL;
    int fd = g_file_open_tmp("cmdline-XXXXXX", &path, NULL);

    g_assert_cmpint(fd, >=, 0);
    g_assert_true(g_close(fd, NULL));
    memset(text, 'x', sizeof text);
    memcpy(text, "rauc.slot=B ", strlen("rauc.slot=B "));

    g_assert_true(g_file_set_contents(path, text, sizeof text - 1, NULL));
    g_assert_cmpint(cmdline_read(path, cmdline), ==, 0);
    g_assert_cmpuint(strlen(cmdline), ==, sizeof text - 1);
    g_assert_cmpint(cmdline_read_slot(path), ==, SP_SLOT_B);

    g_assert_true(g_file_set_contents(path, text, sizeof text, NULL));
    g_assert_cmpint(cmdline_read(path, cmdline), ==, -EFBIG);
    g_assert_cmpint(cmdline_read_slot(path), ==, SP_SLOT_NONE);

    g_assert_cmpint(g_unlink(path), ==, 0);
    g_assert_cmpint(cmdline_read(path, cmdline), ==, -ENOENT);
    g_assert_cmpint(cmdline_read_slot(path), ==, SP_SLOT_NONE);
}

static void test_build(void)
{
    static const struct {
        const char *own, *extra, *note, *expected;
    } cases[] = {
        {"", "", "", "rauc.slot=B"},
        {"console=tty0 quiet", "", "", "rauc.slot=B"},
        {"console=tty0 slot.arg=console=ttyS0 x slot.arg=quiet\n", "", "",
            "console=ttyS0 quiet rauc.slot=B"},
        {"slot.arg= slot.argx=y slot.arg=z", "", "", "z rauc.slot=B"},
        {"slot.arg=a", "b c=d\n", "", "a b c=d rauc.slot=B"},
        {"slot.arg=a", "\n", "why", "a rauc.slot=B slot_selector.note=why"},
        {"", "b", "why", "b rauc.slot=B slot_selector.note=why"},
    };
    char cmdline[CMDLINE_MAX];

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        int r = cmdline_build(cases[i].own, cases[i].extra, strlen(cases[i].extra), SP_SLOT_B,
            cases[i].note, cmdline);

        g_assert_cmpint(r, ==, 0);
        g_assert_cmpstr(cmdline, ==, cases[i].expected);
    }
}

static void test_build_refuses(void)
{
    char cmdline[CMDLINE_MAX] = "untouched";

    g_assert_cmpint(cmdline_build("", "a\nb", 3, SP_SLOT_A, "", cmdline), ==, -EBADMSG);
    g_assert_cmpint(cmdline_build("", "a\n\n", 3, SP_SLOT_A, "", cmdline), ==, -EBADMSG);
    g_assert_cmpint(cmdline_build("", "a\0b", 3, SP_SLOT_A, "", cmdline), ==, -EBADMSG);
    g_assert_cmpint(cmdline_build("", "a\x1b", 2, SP_SLOT_A, "", cmdline), ==, -EBADMSG);
    g_assert_cmpstr(cmdline, ==, "untouched");
}

/* At each length around the limit the result is whole or refused. */
static void test_build_limit(void)
{
    const size_t most = CMDLINE_MAX - 1 - strlen(" rauc.slot=A");

    for (size_t length = most - 5; length < most + 2000; length++) {
        g_autofree char *value = g_strnfill(length, 'x');
        g_autofree char *own = g_strconcat("slot.arg=", value, NULL);
        char cmdline[CMDLINE_MAX] = "";
        int r = cmdline_build(own, "", 0, SP_SLOT_A, "", cmdline);

        g_assert_cmpint(r, ==, length <= most ? 0 : -E2BIG);
        g_assert_cmpuint(strlen(cmdline), ==, r == 0 ? length + strlen(" rauc.slot=A") : 0);
    }
}

static void test_note(void)
{
    static const struct {
        const char *cmdline, *expected;
    } cases[] = {
        {"", ""},
        {"quiet rauc.slot=A\n", ""},
        {"slot_selector.note=", ""},
        {"slot_selector.note=why", "why"},
        {"quiet slot_selector.note=why\n", "why"},
        {"slot_selector.note=why rauc.slot=A", "why"},
        {"slot_selector.note=slot_B:_3_attempts_used,_falling_back_to_A",
            "slot B: 3 attempts used, falling back to A"},
        {"slot_selector.note=a_x;_b__y_", "a x; b  y "},
        {"slot_selector.note=a=b", "a=b"},
        {"slot_selector.note=first quiet slot_selector.note=last", "last"},
        {"slot_selector.note=first slot_selector.note=", ""},
        {"slot_selector.note=longer slot_selector.note=x", "x"},
        {"xslot_selector.note=why", ""},
        {"slot_selector.notes=why", ""},
        {"slot_selector.note", ""},
        {"slot_selector_note=why", ""},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        char note[CMDLINE_MAX];

        memset(note, 'x', sizeof note);
        cmdline_note(cases[i].cmdline, note);
        g_assert_cmpstr(note, ==, cases[i].expected);
    }
}

/* What does not fit is none; all that a kernel's command line can hold does. */
static void test_note_limit(void)
{
    for (size_t length = CMDLINE_MAX - 3; length < CMDLINE_MAX + 3; length++) {
        g_autofree char *value = g_strnfill(length, '_'), *expected = g_strnfill(length, ' ');
        g_autofree char *cmdline = g_strconcat("slot_selector.note=", value, " x", NULL);
        g_autofree char *note = g_malloc(CMDLINE_MAX);

        cmdline_note(cmdline, note);
        g_assert_cmpstr(note, ==, length < CMDLINE_MAX ? expected : "");
    }
}

/* What is built is found again, and is the last word, whatever the others say. */
static void test_build_and_note(void)
{
    char cmdline[CMDLINE_MAX], note[CMDLINE_MAX];

    g_assert_cmpint(cmdline_build("slot.arg=slot_selector.note=a slot.arg=rauc.slot=A",
                        "slot_selector.note=b rauc.slot=A\n", 33, SP_SLOT_B, "c_d", cmdline),
        ==, 0);
    cmdline_note(cmdline, note);
    g_assert_cmpstr(note, ==, "c d");
    g_assert_cmpint(cmdline_slot(cmdline), ==, SP_SLOT_B);
}

static void test_uevent(void)
{
    static const char text[] = "MAJOR=254\nMINOR=2\nDEVNAME=vda2\nDEVTYPE=partition\n"
                               "DISKSEQ=9\nPARTN=2\nPARTNAME=boot-a\n";
    static const struct {
        const char *text, *label, *expected;
    } cases[] = {
        {text, "boot-a", "/dev/vda2"},
        {text, "boot-b", NULL},
        {text, "boot", NULL},
        {text, "boot-ab", NULL},
        {text, "", NULL},
        {"DEVNAME=vda\nDEVTYPE=disk\n", "boot-a", NULL},
        {"PARTNAME=boot-a\n", "boot-a", NULL},
        {"PARTNAME=boot-a\nDEVNAME=\n", "boot-a", NULL},
        {"PARTNAME=boot-a\nDEVNAME=sda1", "boot-a", "/dev/sda1"},
        {"XPARTNAME=boot-a\nDEVNAME=sda1", "boot-a", NULL},
        {"PARTNAME=boot-a\nDEVNAME="
         "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            "boot-a", NULL},
        {"", "boot-a", NULL},
        {"\n\n=\n", "boot-a", NULL},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        size_t length = strlen(cases[i].text);
        g_autofree char *exact = g_memdup2(cases[i].text, length);
        char path[PARTITION_PATH_MAX] = "";
        bool found = partition_is_in_uevent(exact, length, cases[i].label, path);

        g_assert_cmpint(found, ==, cases[i].expected != NULL);
        g_assert_cmpstr(path, ==, cases[i].expected ? cases[i].expected : "");
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cmdline/slot", test_slot);
    g_test_add_func("/cmdline/read", test_read);
    g_test_add_func("/cmdline/build", test_build);
    g_test_add_func("/cmdline/build-refuses", test_build_refuses);
    g_test_add_func("/cmdline/build-limit", test_build_limit);
    g_test_add_func("/cmdline/note", test_note);
    g_test_add_func("/cmdline/note-limit", test_note_limit);
    g_test_add_func("/cmdline/build-and-note", test_build_and_note);
    g_test_add_func("/partition/uevent", test_uevent);
    return g_test_run();
}
