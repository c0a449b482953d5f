/* SPDX-License-Identifier: MIT */
#include "base/unit-words.h"

#include <string.h>

/* As systemctl of systemd 252 prints them. */
#define BEFORE "Type=oneshot\nSubState=dead\n"
#define NEVER "ConditionTimestampMonotonic=0\nAssertTimestampMonotonic=0\n"

static const struct {
    const char *properties, *why;
} cases[] = {
    {"Type=oneshot\nResult=success\nExecMainStartTimestampMonotonic=12\nLoadState=loaded\n"
     "SubState=dead\nConditionResult=yes\nConditionTimestampMonotonic=11\n",
        "it ran to its end, and a oneshot without RemainAfterExit=yes is not active after that "
        "(LoadState=loaded, SubState=dead, Result=success, ConditionResult=yes)"},
    {"Type=simple\nResult=success\nExecMainStartTimestampMonotonic=12\nLoadState=loaded\n"
     "SubState=dead\nConditionResult=yes\nConditionTimestampMonotonic=11\n",
        "it ran and has ended (LoadState=loaded, SubState=dead, Result=success, "
        "ConditionResult=yes)"},
    {"LoadState=masked\nSubState=dead\nLoadError=org.freedesktop.systemd1.UnitMasked \"Unit x is "
     "masked.\"\n",
        "it is masked: nothing can start it (LoadState=masked, SubState=dead, "
        "LoadError=org.freedesktop.systemd1.UnitMasked \"Unit x is masked.\")"},
    {BEFORE "LoadState=loaded\nConditionResult=no\nConditionTimestampMonotonic=5\n"
            "ExecMainStartTimestampMonotonic=0\n",
        "one of its conditions was not met (Condition...= in its file) (LoadState=loaded, "
        "SubState=dead, ConditionResult=no)"},
    {BEFORE "LoadState=loaded\nAssertResult=no\nAssertTimestampMonotonic=5\n",
        "one of its assertions does not hold (Assert...= in its file) (LoadState=loaded, "
        "SubState=dead)"},
    {BEFORE NEVER "LoadState=loaded\nConditionResult=no\nAssertResult=no\n",
        "it was not started, or has ended: a oneshot without RemainAfterExit=yes is not active "
        "after "
        "that (LoadState=loaded, SubState=dead)"},
    {"LoadState=bad-setting\nLoadError=org.freedesktop.systemd1.BadUnitSetting \"Unit x has a bad "
     "unit file setting.\"\n",
        "a setting in its file is wrong ('systemd-analyze verify' says which) "
        "(LoadState=bad-setting, LoadError=org.freedesktop.systemd1.BadUnitSetting \"Unit x has a "
        "bad unit file setting.\")"},
    {"LoadState=not-found\n", "there is no such unit (LoadState=not-found)"},
    {"LoadState=error\n", "its file can't be loaded (LoadState=error)"},
    /* nothing that one would expect */
    {"", "it was not started, or has ended ('journalctl -u' may say)"},
    {"\n\n=\nLoadState=\nXLoadState=masked\nLoadState",
        "it was not started, or has ended ('journalctl -u' may say)"},
    {"Result=timeout",
        "it was not started, or has ended ('journalctl -u' may say) (Result=timeout)"},
};

static void test_why_inactive(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *why = sp_unit_why_inactive(cases[i].properties);

        g_assert_cmpstr(why, ==, cases[i].why);
    }
}

static void test_name_fault(void)
{
    static const struct {
        const char *name, *word;
    } names[] = {{"", "empty"}, {".service", "empty"}, {"foo bar", "spaces"},
        {"foo bar.service", "spaces"}, {"inst@", "template"}, {"inst@.service", "template"},
        {"ssh*", "pattern"}, {"ssh?.socket", "pattern"}, {"x.unheard-of", "not a unit's name"}};

    for (gsize i = 0; i < G_N_ELEMENTS(names); i++)
        g_assert_nonnull(strstr(sp_unit_name_fault(names[i].name), names[i].word));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/unit-words/why-inactive", test_why_inactive);
    g_test_add_func("/unit-words/name-fault", test_name_fault);
    return g_test_run();
}
