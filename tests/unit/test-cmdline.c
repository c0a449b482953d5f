/* SPDX-License-Identifier: MIT */
#include "appliance/src/cmdline.h"
#include "appliance/src/partition.h"

#include <errno.h>
#include <glib.h>
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
    g_test_add_func("/cmdline/build", test_build);
    g_test_add_func("/cmdline/build-refuses", test_build_refuses);
    g_test_add_func("/cmdline/build-limit", test_build_limit);
    g_test_add_func("/partition/uevent", test_uevent);
    return g_test_run();
}
