/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "suite/discover.h"
#include "suite/test-conf.h"

#include <glib/gstdio.h>
#include <string.h>

typedef struct {
    char *dir;
    char *test;
    char *conf;
    char *script;
} Fixture;

static void set_up(Fixture *f, gconstpointer data)
{
    f->dir = g_dir_make_tmp("slotproof-test-XXXXXX", NULL);
    g_assert_nonnull(f->dir);
    f->test = g_build_filename(f->dir, "one", NULL);
    f->conf = g_build_filename(f->test, "test.conf", NULL);
    f->script = g_build_filename(f->test, "script.py", NULL);
    g_assert_cmpint(g_mkdir(f->test, 0700), ==, 0);
    g_assert_true(g_file_set_contents(f->script, "", 0, NULL));
}

static void tear_down(Fixture *f, gconstpointer data)
{
    g_unlink(f->conf);
    g_unlink(f->script);
    g_rmdir(f->test);
    g_rmdir(f->dir);
    g_free(f->dir);
    g_free(f->test);
    g_free(f->conf);
    g_free(f->script);
}

static SpTestConf *load(Fixture *f, const char *text, GError **error)
{
    g_assert_true(g_file_set_contents(f->conf, text, -1, NULL));
    return sp_test_conf_load(f->test, error);
}

static void test_all_keys(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(SpTestConf) conf = load(f,
        "[Test]\nDescription=what it shows\nTimeout=60\nClock=real\nCapture=yes\n"
        "[Machine b]\nImage=gateway\nMemory=1G\nCPUs=2\nNetworks=1 255  7\n[Machine a]\n",
        &error);
    const SpTestMachine *machine;

    g_assert_no_error(error);
    g_assert_cmpstr(conf->name, ==, "one");
    g_assert_cmpstr(conf->description, ==, "what it shows");
    g_assert_cmpuint(conf->timeout_s, ==, 60);
    g_assert_true(conf->has_capture);
    g_assert_cmpuint(conf->machines->len, ==, 2);
    machine = g_ptr_array_index(conf->machines, 0);
    g_assert_cmpstr(machine->name, ==, "b");
    g_assert_cmpstr(machine->image, ==, "gateway");
    g_assert_cmpuint(machine->memory_mib, ==, 1024);
    g_assert_cmpuint(machine->cpus, ==, 2);
    g_assert_cmpuint(machine->nics, ==, 3);
    g_assert_cmpuint(machine->networks[0], ==, 1);
    g_assert_cmpuint(machine->networks[1], ==, 255);
    g_assert_cmpuint(machine->networks[2], ==, 7);
    machine = g_ptr_array_index(conf->machines, 1);
    g_assert_cmpstr(machine->name, ==, "a");
    g_assert_cmpstr(machine->image, ==, NULL);
    g_assert_cmpuint(machine->nics, ==, 0);
}

/* To the key file, these are two groups. */
static void test_double_machines(Fixture *f, gconstpointer data)
{
    static const char *const texts[] = {
        "[Machine m]\n[Machine  m]\n", "[Machine m ]\n[Machine m]\n"};

    for (gsize i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(load(f, texts[i], &error));
        g_assert_error(error, SP_ERROR, SP_ERROR_USAGE);
        if (!strstr(error->message, "test.conf:2: ") || !strstr(error->message, "already"))
            g_error("%s", error->message);
    }
}

static void test_defaults(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(SpTestConf) conf = load(f, "[Machine gateway]\n", &error);

    g_assert_no_error(error);
    g_assert_cmpstr(conf->description, ==, "");
    g_assert_cmpuint(conf->timeout_s, ==, 3600);
    g_assert_false(conf->has_virtual_time);
    g_assert_false(conf->has_capture);
    g_assert_null(conf->tags[0]);
}

static void test_tags(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(SpTestConf) conf = load(f, "[Test]\nTags= nine \t a-2  b\n[Machine a]\n", &error);
    const char *const some[] = {"two", "b", NULL}, *const none[] = {"bb", "nine2", NULL};
    g_autofree char *tags = NULL;

    g_assert_no_error(error);
    tags = g_strjoinv("|", conf->tags);
    g_assert_cmpstr(tags, ==, "nine|a-2|b");
    g_assert_true(sp_test_conf_has_tag(conf, some));
    g_assert_false(sp_test_conf_has_tag(conf, none));
}

static void test_virtual_time(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(SpTestConf) conf = load(f, "[Test]\nClock=virtual\n[Machine gateway]\n", &error);

    g_assert_no_error(error);
    g_assert_true(conf->has_virtual_time);
}

/* Each error names the line and what was expected. */
static void test_refused(Fixture *f, gconstpointer data)
{
    static const struct {
        const char *text;
        const char *place;
        const char *words;
    } cases[] = {
        {"[Test]\nTimeout=1\n", "test.conf:1:", "at least one machine"},
        {"[Machine a-b]\n[Machine a_b]\n", "test.conf:2:", "another name"},
        {"[Machine a]\n[Machine  a]\n", "test.conf:2:", "each machine once"},
        {"[Machine run-tests]\n", "test.conf:1:", "another name"},
        {"[Test]\nTimeot=1\n[Machine a]\n", "test.conf:2:", "unknown key 'Timeot'"},
        {"[Tset]\n[Machine a]\n", "test.conf:1:", "unknown group [Tset]"},
        {"[Machine a]\n\nNetworks=0\n", "test.conf:3:", "from 1 to 255"},
        {"[Machine a]\nNetworks=256\n", "test.conf:2:", "from 1 to 255"},
        {"[Machine a]\nNetworks=4096\n", "test.conf:2:", "from 1 to 255"},
        {"[Machine a]\nNetworks=99999999999999999999\n", "test.conf:2:", "from 1 to 255"},
        {"[Machine a]\nNetworks=-1\n", "test.conf:2:", "from 1 to 255"},
        {"[Machine a]\nNetworks=1.5\n", "test.conf:2:", "from 1 to 255"},
        {"[Machine a]\nNetworks=2 1 2\n", "test.conf:2:", "each once"},
        {"[Machine a]\nNetworks=1,2\n", "test.conf:2:", "separated by spaces"},
        {"[Machine a]\nNetworks=wan\n", "test.conf:2:", "from 1 to 255"},
        {"[Machine a]\nNetworks=1 2 3 4 5 6 7 8 9\n", "test.conf:2:", "at most 8"},
        {"[Machine a]\nCPUs=0\n", "test.conf:2:", "whole number from 1"},
        {"[Machine a]\nMemory=512\n", "test.conf:2:", "a size in whole M or G"},
        {"[Test]\nTimeout=0\n[Machine a]\n", "test.conf:2:", "whole number from 1"},
        {"[Test]\nTimeout=1h\n[Machine a]\n", "test.conf:2:", "whole number"},
        {"[Test]\nClock=virtual\n[Machine a]\n[Machine b]\n", "test.conf:2:", "a clock of its own"},
        {"[Test]\nCapture=maybe\n[Machine a]\n", "test.conf:2:", "expected 'yes' or 'no'"},
        {"[Test]\nTags=nine Nine\n[Machine a]\n", "test.conf:2:", "lower-case letters"},
        {"[Test]\nTags=nine,two\n[Machine a]\n", "test.conf:2:", "lower-case letters"},
        {"[Test]\nTags=9\n[Machine a]\n", "test.conf:2:", "begin with a letter"},
        {"[Test]\nTags=-a\n[Machine a]\n", "test.conf:2:", "begin with a letter"},
        {"[Test]\nTags=nine two nine\n[Machine a]\n", "test.conf:2:", "each once"},
        {"[Checkpoint]\nTags=nine\n[Machine a]\n", "test.conf:2:", "unknown key 'Tags'"},
        {"[Test]\nClock=fast\n[Machine a]\n", "test.conf:2:", "expected 'real'"},
        {"[Test]\n[Machine 2nd]\n", "test.conf:2:", "a name for Python"},
        {"[Test]\n[Machine a/b]\n", "test.conf:2:", "a name for Python"},
        {"[Test]\n[Machine driver]\n", "test.conf:2:", "means something else"},
        {"[Test]\n[Machine class]\n", "test.conf:2:", "means something else"},
        {"[Machine a]\n[Machine a]\n", "test.conf:2:", "twice"},
        {"hello\n", "test.conf:1:", "expected '[Group]'"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(SpTestConf) conf = load(f, cases[i].text, &error);
        g_assert_null(conf);
        g_assert_error(error, SP_ERROR, SP_ERROR_USAGE);
        if (!strstr(error->message, cases[i].place) || !strstr(error->message, cases[i].words))
            g_error("case %zu: %s", i, error->message);
    }
}

static void test_no_script(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    g_unlink(f->script);
    g_assert_null(load(f, "[Machine a]\n", &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_USAGE);
    g_assert_nonnull(strstr(error->message, "script.py is missing"));
}

static void test_discover(Fixture *f, gconstpointer data)
{
    const char *const known[] = {"one", "one", NULL};
    const char *const unknown[] = {"two", NULL};
    const char *const above[] = {"../one", NULL};
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) all = NULL;
    g_autoptr(GPtrArray) some = NULL;

    g_assert_true(g_file_set_contents(f->conf, "[Machine a]\n", -1, NULL));
    all = sp_tests_load(f->dir, NULL, NULL, &error);
    g_assert_no_error(error);
    some = sp_tests_load(f->dir, known, NULL, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(all->len, ==, 1);
    g_assert_cmpuint(some->len, ==, 1);
    g_assert_null(sp_tests_load(f->dir, unknown, NULL, &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_USAGE);
    g_assert_nonnull(strstr(error->message, "there is no test 'two'"));
    g_assert_nonnull(strstr(error->message, "expected one of one"));
    g_clear_error(&error);
    g_assert_null(sp_tests_load(f->dir, above, NULL, &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_USAGE);
    g_clear_error(&error);
    g_assert_null(sp_tests_load("/nowhere/at/all", NULL, NULL, &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_USAGE);
    g_clear_error(&error);
    g_assert_null(sp_tests_load(f->test, NULL, NULL, &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_USAGE);
}

static void add_test(Fixture *f, const char *name, const char *conf)
{
    g_autofree char *dir = g_build_filename(f->dir, name, NULL);
    g_autofree char *path = g_build_filename(dir, "test.conf", NULL);
    g_autofree char *script = g_build_filename(dir, "script.py", NULL);

    g_assert_cmpint(g_mkdir_with_parents(dir, 0700), ==, 0);
    g_assert_true(g_file_set_contents(path, conf, -1, NULL));
    g_assert_true(g_file_set_contents(script, "", -1, NULL));
}

static void remove_test(Fixture *f, const char *name)
{
    static const char *const files[] = {"test.conf", "script.py", ""};

    for (gsize i = 0; i < G_N_ELEMENTS(files); i++) {
        g_autofree char *path = g_build_filename(f->dir, name, files[i], NULL);
        g_assert_cmpint(g_remove(path), ==, 0);
    }
}

/* Which tests are chosen, or the error. */
static void test_choose(Fixture *f, gconstpointer data)
{
    static const struct {
        const char *names, *tags, *chosen, *said;
    } cases[] = {
        {"", "", "one slots slots-b update", NULL},
        {"slots*", "", "slots slots-b", NULL},
        {"update slots*", "", "update slots slots-b", NULL},
        {"slots-b slot* *", "", "slots-b slots one update", NULL},
        {"slots-?", "", "slots-b", NULL},
        {"[su]*", "", "slots slots-b update", NULL},
        {"", "nine", "slots update", NULL},
        {"", "nine boot", "slots slots-b update", NULL},
        {"slots*", "nine", "slots", NULL},
        {"slots", "nine boot", "slots", NULL},
        {"slits*", "", NULL, "matches 'slits*': did you mean slots?"},
        {"bo*", "", NULL, "'bo*' matches only checkpoints such as 'booted'"},
        {"slots x*", "", NULL, "matches 'x*': expected one of one, slots"},
        {"bootex", "", NULL, "no test 'bootex' in"},
        {"bootex*", "", NULL, "matches 'bootex*': expected one of one, slots"},
        {"bootex", "", NULL, "': expected one of one, slots"},
        {"update2", "", NULL, "no test 'update2'"},
        {"update2", "", NULL, "did you mean update?"},
        {"", "nine2", NULL, "has the tag 'nine2': did you mean nine?"},
        {"", "nine frob", NULL, "has the tag 'frob': expected one of boot, nine"},
        {"", "*", NULL, "has the tag '*'"},
        {"one", "nine", NULL, "none of the named tests has the tag nine"},
        {"one", "nine boot", NULL, "has the tag nine, boot"},
        {"[", "", NULL, "matches '[': expected one of"},
    };

    add_test(f, "one", "[Machine a]\n");
    add_test(f, "booted", "[Checkpoint]\n[Machine a]\n");
    add_test(f, "slots", "[Test]\nTags=nine boot\n[Machine a]\n");
    add_test(f, "slots-b", "[Test]\nTags=boot\n[Machine a]\n");
    add_test(f, "update", "[Test]\nTags=nine\nFrom=booted\n");
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(GStrv) names = g_strsplit(cases[i].names, " ", -1);
        g_auto(GStrv) tags = g_strsplit(cases[i].tags, " ", -1);
        g_autoptr(GString) chosen = g_string_new(NULL);
        g_autoptr(GError) error = NULL;
        g_autoptr(GPtrArray) list =
            sp_tests_load(f->dir, (const char *const *)names, (const char *const *)tags, &error);

        for (guint j = 0; list && j < list->len; j++)
            g_string_append_printf(
                chosen, "%s%s", j > 0 ? " " : "", ((const SpTestConf *)list->pdata[j])->name);
        if (cases[i].said) {
            g_assert_error(error, SP_ERROR, SP_ERROR_USAGE);
            if (!strstr(error->message, cases[i].said))
                g_error("case %zu: %s", i, error->message);
        } else {
            g_assert_no_error(error);
            g_assert_cmpstr(chosen->str, ==, cases[i].chosen);
        }
    }
    remove_test(f, "booted");
    remove_test(f, "slots");
    remove_test(f, "slots-b");
    remove_test(f, "update");
}

static void expect_valid(Fixture *f, const char *tag, const char *names, const char *fault)
{
    const char *const tags[] = {tag, NULL};
    g_autoptr(GString) found = g_string_new(NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) list = sp_tests_load_valid(f->dir, tag ? tags : NULL, &error);

    if (fault) {
        g_assert_null(list);
        g_assert_error(error, SP_ERROR, SP_ERROR_USAGE);
        g_assert_nonnull(strstr(error->message, fault));
        return;
    }
    g_assert_no_error(error);
    for (guint i = 0; i < list->len; i++)
        g_string_append_printf(found, "%s ", ((const SpTestConf *)list->pdata[i])->name);
    g_assert_cmpstr(found->str, ==, names);
}

/* An invalid test is in nobody's way, unless it is one of those that are wanted. */
static void test_valid(Fixture *f, gconstpointer data)
{
    add_test(f, "booted", "[Checkpoint]\n[Machine a]\n");
    add_test(f, "broken", "no key file\n");
    add_test(f, "later", "[Test]\nTags=debug powercut\n[Machine a]\n");
    add_test(f, "plain", "[Machine a]\n");
    add_test(f, "unclear", "[Test]\nTags=nine slow\nTimeout=x\n[Machine a]\n");
    expect_valid(f, NULL, "later plain ", NULL);
    expect_valid(f, "debug", "later ", NULL);
    expect_valid(f, "none", "", NULL);
    expect_valid(f, "slow", NULL, "Timeout");
    remove_test(f, "booted");
    remove_test(f, "broken");
    remove_test(f, "later");
    remove_test(f, "plain");
    remove_test(f, "unclear");
}

/* The beginnings of some words of a name stand for the shortest such name. */
static void test_shortened(Fixture *f, gconstpointer data)
{
    static const struct {
        const char *given, *expected;
    } cases[] = {
        {"rauc-slots", "rauc-slots"}, {"slots", "rauc-slots"},
        {"slots-second", "rauc-slots-second-boot"}, {"s-b", "rauc-slots-second-boot"},
        {"net-iso", "network-isolation"}, {"iso-net", "iso-net"}, {"lots", "lots"}, {"-", "-"},
        {"", ""}, {"./rauc-slots", "./rauc-slots"}, {"rauc-*", "rauc-*"},
        {"updated", "updated"}, /* it is never a checkpoint */
    };

    add_test(f, "rauc-slots-second-boot", "[Machine a]\n");
    add_test(f, "rauc-slots", "[Machine a]\n");
    add_test(f, "network-isolation", "[Machine a]\n");
    add_test(f, "updated-to-b", "[Checkpoint]\n[Machine a]\n");
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *name = sp_test_name_complete(f->dir, cases[i].given);
        g_assert_cmpstr(name, ==, cases[i].expected);
    }
}

/* In a directory of their own: not among the tests, and found by those and by each other. */
static void test_checkpoints_dir(Fixture *f, gconstpointer data)
{
    const char *const names[] = {"booted", NULL};
    g_autofree char *beside = g_build_filename(f->dir, "booted", NULL);
    g_autofree char *own = g_build_filename(f->dir, SP_CHECKPOINTS_DIR, NULL);
    g_autofree char *own_booted = g_build_filename(own, "booted", NULL);
    g_autoptr(GPtrArray) all = NULL;
    g_autoptr(SpTestConf) conf = NULL;
    g_autoptr(GError) error = NULL;

    add_test(f, "checkpoints/booted", "[Checkpoint]\n[Machine a]\n");
    add_test(f, "checkpoints/updated", "[Checkpoint]\nFrom=booted\n");
    conf = load(f, "[Test]\nFrom=updated\n", &error);
    g_assert_no_error(error);
    g_assert_cmpstr(conf->tests_dir, ==, f->dir);
    g_assert_cmpstr(conf->from->tests_dir, ==, f->dir);
    g_assert_cmpstr(conf->from->name, ==, "updated");
    g_assert_cmpstr(conf->from->from->dir, ==, own_booted);
    all = sp_tests_load(f->dir, NULL, NULL, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(all->len, ==, 1);
    g_assert_null(sp_tests_load(f->dir, names, NULL, &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_USAGE);
    g_assert_nonnull(strstr(error->message, "'booted' is a checkpoint"));
    g_clear_error(&error);

    /* an empty directory beside the test is none */
    g_assert_cmpint(g_mkdir(beside, 0700), ==, 0);
    g_clear_pointer(&conf, sp_test_conf_free);
    conf = load(f, "[Test]\nFrom=booted\n", &error);
    g_assert_no_error(error);
    g_assert_cmpstr(conf->from->dir, ==, own_booted);
    g_assert_cmpint(g_rmdir(beside), ==, 0);

    /* one beside the test comes first */
    add_test(f, "booted", "[Checkpoint]\n[Machine a]\n");
    g_clear_pointer(&conf, sp_test_conf_free);
    conf = load(f, "[Test]\nFrom=booted\n", &error);
    g_assert_no_error(error);
    g_assert_cmpstr(conf->from->dir, ==, beside);
    remove_test(f, "booted");
    remove_test(f, "checkpoints/booted");
    remove_test(f, "checkpoints/updated");
    g_assert_cmpint(g_rmdir(own), ==, 0);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*test)(Fixture *f, gconstpointer data);
    } tests[] = {
        {"/test-conf/all-keys", test_all_keys},
        {"/test-conf/defaults", test_defaults},
        {"/test-conf/double-machines", test_double_machines},
        {"/test-conf/virtual-time", test_virtual_time},
        {"/test-conf/refused", test_refused},
        {"/test-conf/no-script", test_no_script},
        {"/test-conf/shortened", test_shortened},
        {"/test-conf/discover", test_discover},
        {"/test-conf/tags", test_tags},
        {"/test-conf/choose", test_choose},
        {"/test-conf/valid", test_valid},
        {"/test-conf/checkpoints-dir", test_checkpoints_dir},
    };

    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].path, Fixture, NULL, set_up, tests[i].test, tear_down);
    return g_test_run();
}
