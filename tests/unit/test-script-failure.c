/* SPDX-License-Identifier: MIT */

/* What a report says of failures that are more than one exception, too long, or not plain text. */

#include "script-fixture.h"

#include <glib/gstdio.h>
#include <string.h>

/* What the log's @name holds; @f has the log in its directory. */
static char *log_contents(ScriptFixture *f, const char *name)
{
    g_autofree char *path = g_build_filename(f->dir, name, NULL);
    char *text = NULL;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    return text;
}

static void open_log(ScriptFixture *f)
{
    const SpLogConfig config = {.dir = f->dir, .stream_fd = -1};

    f->log = sp_log_new(&config, NULL);
    g_assert_nonnull(f->log);
}

static void close_log(ScriptFixture *f)
{
    g_autofree char *text = g_build_filename(f->dir, "log.txt", NULL);
    g_autofree char *events = g_build_filename(f->dir, "events.jsonl", NULL);

    g_clear_pointer(&f->log, sp_log_free);
    g_unlink(text);
    g_unlink(events);
}

static void test_context(ScriptFixture *f, gconstpointer data)
{
    g_autofree char *log = NULL, *events = NULL;

    open_log(f);
    SCRIPT_EXPECT_FAILED(f,
        "def cleanup():\n    raise ValueError('cleanup broke')\n\n\n"
        "try:\n    t.assertEqual('slot A', 'slot B')\nfinally:\n    cleanup()\n",
        "assertion failed: t.assertEqual('slot A', 'slot B')\n  at ", "script.py:6\n",
        "RequestedAssertionFailed: 'slot A' != 'slot B'\n",
        "\nDuring handling of the above exception, another exception occurred:\n\n",
        "failed: raise ValueError('cleanup broke')\n  at ", "script.py:2, in cleanup()\n",
        "ValueError: cleanup broke\nMore is");
    log = log_contents(f, "log.txt");
    g_assert_nonnull(strstr(log, "RequestedAssertionFailed: 'slot A' != 'slot B'"));
    g_assert_nonnull(strstr(log, "ValueError: cleanup broke"));
    /* reports are about the assertion */
    events = log_contents(f, "events.jsonl");
    g_assert_nonnull(strstr(events, "\"text\":\"RequestedAssertionFailed: 'slot A' != 'slot B'"));
    g_assert_nonnull(strstr(events, "\"line\":6"));
    close_log(f);
    /* also where what failed after it is one too */
    open_log(f);
    SCRIPT_EXPECT_FAILED(f,
        "try:\n    t.assertEqual('slot A', 'slot B')\nfinally:\n    machine.succeed('exit 1')\n",
        "'slot A' != 'slot B'", "command `exit 1`");
    g_free(events);
    events = log_contents(f, "events.jsonl");
    g_assert_nonnull(strstr(events, "\"text\":\"RequestedAssertionFailed: 'slot A' != 'slot B'"));
    close_log(f);
}

static void test_cause(ScriptFixture *f, gconstpointer data)
{
    g_autofree char *events = NULL;

    open_log(f);
    SCRIPT_EXPECT_FAILED(f,
        "try:\n    {}['k']\nexcept KeyError as e:\n"
        "    raise RuntimeError('loading failed') from e\n",
        "failed: {}['k']\n  at ", "KeyError: 'k'\n",
        "\nThe above exception was the direct cause of the following exception:\n\n",
        "RuntimeError: loading failed\n");
    events = log_contents(f, "events.jsonl");
    g_assert_nonnull(strstr(events, "\"text\":\"RuntimeError: loading failed"));
    close_log(f);
    g_assert_cmpint(script_run(f, "try:\n    {}['k']\nexcept KeyError:\n"
                                  "    raise RuntimeError('alone') from None\n"),
        ==, SP_SCRIPT_FAILED);
    g_assert_null(strstr(f->report, "KeyError"));
    g_assert_null(strstr(f->report, "above exception"));
}

static void test_notes(ScriptFixture *f, gconstpointer data)
{
    SCRIPT_EXPECT_FAILED(f,
        "e = ValueError('x')\ne.add_note('slot was B')\ne.add_note('two\\nlines')\nraise e\n",
        "ValueError: x\nslot was B\ntwo\nlines\nMore is");
    /* what is no list, or holds no str, is shown as Python does */
    SCRIPT_EXPECT_FAILED(
        f, "e = ValueError('x')\ne.__notes__ = 5\nraise e\n", "ValueError: x\n5\nMore is");
    SCRIPT_EXPECT_FAILED(
        f, "e = ValueError('x')\ne.__notes__ = [7]\nraise e\n", "ValueError: x\n7\nMore is");
}

static void test_groups(ScriptFixture *f, gconstpointer data)
{
    SCRIPT_EXPECT_FAILED(f,
        "def oops(text):\n    try:\n        t.assertEqual(text, 'seen')\n"
        "    except AssertionError as e:\n        return e\n\n\n"
        "inner = ExceptionGroup('inner', [KeyError('deep')])\ninner.add_note('a note')\n"
        "raise ExceptionGroup('several', [oops('one'), inner])\n",
        "ExceptionGroup: several (2 sub-exceptions)\n", "  1 of 2:\n",
        "  assertion failed: t.assertEqual(text, 'seen')\n",
        "  RequestedAssertionFailed: 'one' != 'seen'\n", "  2 of 2:\n",
        "  ExceptionGroup: inner (1 sub-exception)\n  a note\n", "    1 of 1:\n",
        "    KeyError: 'deep'\n", "More is");
}

/* However they hang together, a report ends. */
static void test_bounds(ScriptFixture *f, gconstpointer data)
{
    SCRIPT_EXPECT_FAILED(f,
        "a, b = ValueError('a'), ValueError('b')\na.__context__ = b\nb.__context__ = a\nraise a\n",
        "ValueError: b\n", "another exception occurred", "ValueError: a\nMore is");
    SCRIPT_EXPECT_FAILED(f,
        "a, b = ValueError('a'), ValueError('b')\nb.__cause__ = a\n"
        "a.__cause__ = ExceptionGroup('g', [b, a])\nraise a\n",
        "ExceptionGroup: g", "direct cause", "ValueError: a\nMore is");
    SCRIPT_EXPECT_FAILED(f,
        "def chain(n):\n    e = ValueError('first')\n    for i in range(n):\n"
        "        later = ValueError(f'number {i}')\n        later.__context__ = e\n"
        "        e = later\n    return e\n\n\nraise chain(5000)\n",
        "ValueError: first\n", "ValueError: number 0\n", "exceptions left out ...]",
        "ValueError: number 4999\nMore is");
    g_assert_cmpuint(strlen(f->report), <, 16384);
    /* nested so deep, and so wide, that all of it would be too much */
    SCRIPT_EXPECT_FAILED(f,
        "g = ExceptionGroup('g', [ValueError('deep')])\nfor i in range(500):\n"
        "    g = ExceptionGroup('g', [g])\nraise g\n",
        "ExceptionGroup: g (1 sub-exception)\n", "left out ...]", "More is");
    g_assert_cmpuint(strlen(f->report), <, 16384);
    SCRIPT_EXPECT_FAILED(f,
        "raise ExceptionGroup('g', [ExceptionGroup(str(i), [ValueError(f'{i}.{j}') "
        "for j in range(300)]) for i in range(300)])\n",
        "300 sub-exceptions", "left out ...]", "More is");
    g_assert_cmpuint(strlen(f->report), <, 65536);
}

static void test_huge(ScriptFixture *f, gconstpointer data)
{
    g_autofree char *log = NULL, *events = NULL;

    open_log(f);
    SCRIPT_EXPECT_FAILED(f,
        "try:\n    t.assertIn('needle', 'x' * 17000000)\nfinally:\n"
        "    raise ValueError('y' * 17000000)\n",
        "RequestedAssertionFailed: 'needle' not found in 'xxx", "bytes left out ...]", "xxx'\n",
        "ValueError: yyy", "bytes left out ...]", "yyy\nMore is");
    g_assert_cmpuint(strlen(f->report), <, 65536);
    log = log_contents(f, "log.txt");
    events = log_contents(f, "events.jsonl");
    g_assert_cmpuint(strlen(log), <, 200000);
    g_assert_cmpuint(strlen(events), <, 200000);
    g_assert_nonnull(strstr(log, "'needle' not found"));
    close_log(f);
    SCRIPT_EXPECT_FAILED(f,
        "e = ValueError('x')\nfor i in range(10000):\n    e.add_note('n' * 10000)\nraise e\n",
        "ValueError: x\nnnn", "left out ...]", "More is");
    g_assert_cmpuint(strlen(f->report), <, 65536);
    SCRIPT_EXPECT_FAILED(f,
        "class Odd(Exception):\n    def __str__(self):\n        raise KeyError\n\n\nraise Odd\n",
        "Odd: <its __str__() failed>\nMore is");
}

/* A name, or a message, is never in the way of a result; nor of what comes after it in the log. */
static void test_huge_names(ScriptFixture *f, gconstpointer data)
{
    g_autofree char *log = NULL, *events = NULL;

    open_log(f);
    SCRIPT_EXPECT_FAILED(f,
        "log.info('m' * 20000000)\nprint('p' * 100)\nmachine.log('q\\n' * 3000000)\n"
        "with subtest('s' * 17000000):\n    with machine.nested('n' * 17000000):\n"
        "        assert False, 'this one'\n",
        "in subtest 'sss", "AssertionError: this one\n");
    g_assert_cmpuint(strlen(f->report), <, 65536);
    g_assert_cmpuint(f->subtests->len, <, 8192);
    log = log_contents(f, "log.txt");
    events = log_contents(f, "events.jsonl");
    g_assert_cmpuint(strlen(log), <, 8000000);
    g_assert_nonnull(strstr(log, "bytes left out ...]"));
    g_assert_nonnull(strstr(log, "pppppp"));
    g_assert_nonnull(strstr(log, "this one"));
    g_assert_nonnull(strstr(events, "\"event\":\"failure\""));
    close_log(f);
}

/* What a test says, so much of it that the log is full, is not in the way of its failure. */
static void test_full_log(ScriptFixture *f, gconstpointer data)
{
    g_autofree char *log = NULL, *events = NULL;

    open_log(f);
    SCRIPT_EXPECT_FAILED(
        f, "for i in range(1300):\n    print('x' * 16000)\nassert False, 'this one'\n", "this one");
    log = log_contents(f, "log.txt");
    events = log_contents(f, "events.jsonl");
    g_assert_nonnull(strstr(log, "AssertionError: this one"));
    g_assert_nonnull(strstr(events, "\"event\":\"failure\""));
    g_assert_cmpuint(strlen(log), <=, SP_LOG_FILE_MAX);
    g_assert_cmpuint(strlen(events), <=, SP_LOG_FILE_MAX);
    close_log(f);
}

static void test_odd_text(ScriptFixture *f, gconstpointer data)
{
    g_autofree char *log = NULL;

    open_log(f);
    SCRIPT_EXPECT_FAILED(f, "t.assertEqual('caf\\udce9', 'cafe')\n",
        "RequestedAssertionFailed: 'caf\\udce9'", "!= 'cafe'");
    SCRIPT_EXPECT_FAILED(
        f, "raise AssertionError('caf\\udce9 tail')\n", "AssertionError: caf\\udce9 tail\n");
    SCRIPT_EXPECT_FAILED(f, "raise AssertionError('head\\0 and the tail that matters')\n",
        "AssertionError: head\\x00 and the tail that matters\n");
    SCRIPT_EXPECT_FAILED(f,
        "class Odd:\n    def __repr__(self):\n        return 'repr\\udce9\\0tail'\n\n\n"
        "x = Odd()\nassert not x\n",
        "  x = repr\\udce9\\x00tail\n");
    SCRIPT_EXPECT_FAILED(f, "with subtest('sub\\udce9\\0test'):\n    assert False, 'x'\n",
        "in subtest 'sub\\udce9\\x00test'");
    script_expect_passed(f,
        "import sys\nprint('print\\udce9\\0it')\nprint('err\\udce9', file=sys.stderr)\n"
        "log('log\\udce9\\0it'); log.info('info\\udce9\\0it'); machine.log('machine\\udce9\\0it')\n"
        "with log.nested('nested\\udce9\\0it'):\n    pass\n"
        "with machine.nested('of m\\udce9\\0it'):\n    pass\n");
    log = log_contents(f, "log.txt");
    g_assert_nonnull(strstr(log, "print\\udce9\\x00it\n"));
    g_assert_nonnull(strstr(log, "err\\udce9\n"));
    g_assert_nonnull(strstr(log, "log\\udce9\\x00it\n"));
    g_assert_nonnull(strstr(log, "info\\udce9\\x00it\n"));
    g_assert_nonnull(strstr(log, "gateway: machine\\udce9\\x00it\n"));
    g_assert_nonnull(strstr(log, "nested\\udce9\\x00it\n"));
    g_assert_nonnull(strstr(log, "of m\\udce9\\x00it\n"));
    close_log(f);
}

/* Whatever print() takes. */
static void test_any_object(ScriptFixture *f, gconstpointer data)
{
    g_autofree char *log = NULL;

    open_log(f);
    script_expect_passed(f, "log(5); log.info(None); log.warning(b'x'); log.log(message=[1])\n"
                            "machine.log(6); machine.log(msg={'a': 1})\n"
                            "with subtest(7):\n    pass\nwith log.nested(8):\n    pass\n");
    log = log_contents(f, "log.txt");
    g_assert_nonnull(strstr(log, "  5\n"));
    g_assert_nonnull(strstr(log, "  None\n"));
    g_assert_nonnull(strstr(log, "  b'x'\n"));
    g_assert_nonnull(strstr(log, "  [1]\n"));
    g_assert_nonnull(strstr(log, "  gateway: 6\n"));
    g_assert_nonnull(strstr(log, "  gateway: {'a': 1}\n"));
    g_assert_nonnull(strstr(log, "  subtest: 7\n"));
    g_assert_nonnull(strstr(log, "  8\n"));
    close_log(f);
    SCRIPT_EXPECT_FAILED(f,
        "class Odd:\n    def __str__(self):\n        raise KeyError('mine')\n\n\nlog(Odd())\n",
        "KeyError: 'mine'");
}

/* The script's own lines are there, however deep in a library it failed. */
static void test_deep_in_library(ScriptFixture *f, gconstpointer data)
{
    SCRIPT_EXPECT_FAILED(f,
        "import copy\n\n\ndef work():\n    x = []\n    for i in range(5000):\n        x = [x]\n"
        "    copy.deepcopy(x)\n\n\nwork()\n",
        "failed: copy.deepcopy(x)\n  at ", "script.py:8, in work()\n", "script.py:11: work()\n",
        "RecursionError: maximum recursion depth exceeded");
    /* of a recursion of its own, both ends */
    SCRIPT_EXPECT_FAILED(f,
        "def f(n):\n    return f(n + 1)\n\n\ndef begin():\n    f(0)\n\n\nbegin()\n",
        "failed: return f(n + 1)\n  at ", "script.py:2, in f()\n", "calls left out ...]\n",
        "in begin(): f(0)\n", "script.py:9: begin()\n", "RecursionError");
    g_assert_cmpuint(strlen(f->report), <, 4096);
}

/* A subtest is named with the failure that left it, and with no other. */
static void test_swallowed_subtest(ScriptFixture *f, gconstpointer data)
{
    g_assert_cmpint(script_run(f, "try:\n    with subtest('swallowed'):\n        assert 0, 'a'\n"
                                  "except AssertionError:\n    pass\nassert 0, 'b'\n"),
        ==, SP_SCRIPT_FAILED);
    g_assert_null(strstr(f->report, "in subtest"));
    SCRIPT_EXPECT_FAILED(f,
        "try:\n    with subtest('swallowed'):\n        assert 0, 'a'\n"
        "except AssertionError:\n    pass\nwith subtest('other'):\n    assert 0, 'b'\n",
        ", in subtest 'other'\n");
    SCRIPT_EXPECT_FAILED(f,
        "with subtest('outer'):\n    try:\n        with subtest('inner'):\n"
        "            assert 0, 'a'\n    finally:\n        raise ValueError('cleanup')\n",
        "assertion failed: assert 0, 'a'\n", ", in subtest 'inner'\n");
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*test)(ScriptFixture *f, gconstpointer data);
    } tests[] = {
        {"/script-failure/context", test_context},
        {"/script-failure/cause", test_cause},
        {"/script-failure/notes", test_notes},
        {"/script-failure/groups", test_groups},
        {"/script-failure/bounds", test_bounds},
        {"/script-failure/huge", test_huge},
        {"/script-failure/huge-names", test_huge_names},
        {"/script-failure/full-log", test_full_log},
        {"/script-failure/odd-text", test_odd_text},
        {"/script-failure/any-object", test_any_object},
        {"/script-failure/deep-in-library", test_deep_in_library},
        {"/script-failure/swallowed-subtest", test_swallowed_subtest},
    };

    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].path, ScriptFixture, NULL, script_fixture_set_up, tests[i].test,
            script_fixture_tear_down);
    return g_test_run();
}
