/* SPDX-License-Identifier: MIT */

/* Scripts with threads, and what goes on while a script computes. */

#include "script-fixture.h"

#include <fcntl.h>
#include <unistd.h>

/* A byte a tick. */
static gboolean on_tick(void *data)
{
    g_assert_cmpint(write(*(int *)data, ".", 1), ==, 1);
    return G_SOURCE_CONTINUE;
}

/* Sources of the main context are dispatched while Python computes, sleeps and runs programs. */
static void test_served(ScriptFixture *f, gconstpointer data)
{
    static const char *const ways[] = {
        "    pass\n",
        "    time.sleep(0.01)\n",
        "    subprocess.run(['true'])\n",
        "    sum(range(100000))\n",
    };
    g_autofree char *path = g_build_filename(f->dir, "ticks", NULL);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    for (gsize i = 0; i < G_N_ELEMENTS(ways); i++) {
        g_autofree char *text =
            g_strconcat("import os, subprocess, time\n"
                        "ticks = lambda: os.path.getsize(os.path.dirname(__file__) + '/ticks')\n"
                        "enough, end = ticks() + 5, time.monotonic() + 20\n"
                        "while ticks() < enough:\n"
                        "    assert time.monotonic() < end, 'nothing moved'\n",
                ways[i], NULL);
        guint source = g_timeout_add(1, on_tick, &fd);

        script_expect_passed(f, text);
        g_source_remove(source);
    }
    close(fd);
    unlink(path);
}

/* Also while a condition is asked within a wait: it may need what is served. */
static void test_served_in_condition(ScriptFixture *f, gconstpointer data)
{
    g_autofree char *path = g_build_filename(f->dir, "ticks", NULL);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    guint source = g_timeout_add(1, on_tick, &fd);

    script_expect_passed(f,
        "import os, time\nseen = []\n"
        "ticks = lambda: os.path.getsize(os.path.dirname(__file__) + '/ticks')\n"
        "@polling_condition(seconds_interval=0.2)\n"
        "def served():\n"
        "    enough, end = ticks() + 5, time.monotonic() + 20\n"
        "    while ticks() < enough:\n"
        "        if time.monotonic() > end:\n            return False\n"
        "        time.sleep(0.001)\n"
        "    seen.append(1)\n"
        "with served:\n    gateway.wait_for_file('/slow', timeout=1)\n"
        "t.assertGreater(len(seen), 1)\n");
    g_source_remove(source);
    close(fd);
    unlink(path);
}

static gboolean on_busy_tick(void *data)
{
    gint64 end = g_get_monotonic_time() + 2000;

    while (g_get_monotonic_time() < end)
        ;
    return G_SOURCE_CONTINUE;
}

/* A child has one thread, and does not wait for what its parent's others held. */
static void test_fork(ScriptFixture *f, gconstpointer data)
{
    guint source = g_timeout_add(1, on_busy_tick, NULL);

    script_expect_passed(f,
        "import os\nchildren = []\n"
        "for i in range(30):\n"
        "    pid = os.fork()\n"
        "    if pid == 0:\n        print('child', i)\n        os._exit(7)\n"
        "    children.append(pid)\n"
        "for pid in children:\n"
        "    t.assertEqual(7, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n");
    g_source_remove(source);
}

/* Each thread has a machine of its own; the loop turns for both. */
static void test_threads(ScriptFixture *f, gconstpointer data)
{
    script_expect_passed(f,
        "import threading\nseen = []\n"
        "def work():\n    seen.append(client.succeed('echo there'))\n"
        "    retry(lambda last: len(seen) > 1)\n"
        "x = threading.Thread(target=work)\nx.start()\n"
        "retry(lambda last: seen)\nseen.append(gateway.execute('hang', timeout=0.05)[0])\n"
        "x.join()\nt.assertEqual(124, seen[1])\n");
    script_expect_passed(f,
        "import threading\nentered = threading.Event()\nerrors = []\n"
        "@polling_condition(seconds_interval=0)\n"
        "def condition():\n    entered.set()\n    done.wait(20)\n"
        "done = threading.Event()\n"
        "def work():\n    entered.wait(20)\n    try:\n        gateway.succeed('echo')\n"
        "    except RuntimeError as e:\n        errors.append(str(e))\n    done.set()\n"
        "x = threading.Thread(target=work)\nx.start()\n"
        "with condition:\n    gateway.succeed('echo')\nx.join()\n"
        "t.assertIn(\"machine 'gateway' is in use\", errors[0])\n");
}

/* A condition, like any of a script's code, does not stop the loop. */
static void test_waits_release(ScriptFixture *f, gconstpointer data)
{
    script_expect_passed(f,
        "import threading\nseen = []\n"
        "def work():\n    seen.append(1)\n"
        "x = threading.Timer(0.02, work)\nx.start()\n"
        "gateway.execute('hang', timeout=0.5)\nt.assertEqual([1], seen)\nx.join()\n");
}

static void test_failures(ScriptFixture *f, gconstpointer data)
{
    SCRIPT_EXPECT_FAILED(f,
        "import threading\n"
        "def work():\n    t.assertEqual('A', 'B')\n"
        "x = threading.Thread(target=work)\nx.start()\nx.join()\n",
        "assertion failed: t.assertEqual('A', 'B')", "script.py:3", "'A' != 'B'");
    SCRIPT_EXPECT_FAILED(f,
        "import sys, threading\n"
        "def work():\n    t.assertEqual('A', 'B')\n"
        "x = threading.Thread(target=work)\nx.start()\nx.join()\nsys.exit(0)\n",
        "assertion failed: t.assertEqual('A', 'B')");
    /* what it led to tells of it too */
    SCRIPT_EXPECT_FAILED(f,
        "import threading\nanswers = {}\n"
        "def work():\n    t.assertEqual('A', 'B')\n    answers['x'] = 1\n"
        "x = threading.Thread(target=work)\nx.start()\nx.join()\nprint(answers['x'])\n",
        "'A' != 'B'", "KeyError: 'x'");
    /* the script's own failure is there too */
    SCRIPT_EXPECT_FAILED(f,
        "import threading\n"
        "def work():\n    t.assertEqual('A', 'B')\n"
        "x = threading.Thread(target=work)\nx.start()\nx.join()\nt.assertEqual('C', 'D')\n",
        "'C' != 'D'");
    script_expect_passed(f, "import threading\nx = threading.Thread(target=exit)\nx.start()\n"
                            "x.join()\n");
    /* Python itself ends those that only wait for work */
    script_expect_passed(f, "import concurrent.futures\n"
                            "pool = concurrent.futures.ThreadPoolExecutor(2)\n"
                            "t.assertEqual(3, pool.submit(lambda: 3).result())\n");
}

/* One that may be left goes on until the interpreter is taken down, and ends where it is then. */
static void test_daemons(ScriptFixture *f, gconstpointer data)
{
    if (g_test_subprocess()) {
        script_expect_passed(f,
            "import threading, time\n"
            "threading.Thread(target=lambda: time.sleep(1000), daemon=True).start()\n"
            "threading.Thread(target=lambda: gateway.execute('hang', timeout=1000), "
            "daemon=True).start()\n");
        _exit(0); /* what their frames held is not free */
    }
    g_test_trap_subprocess(NULL, 20 * G_TIME_SPAN_SECOND, 0);
    g_test_trap_assert_passed();
}

/* The interpreter stays: nothing runs after it in this process. */
static void test_left(ScriptFixture *f, gconstpointer data)
{
    if (g_test_subprocess()) {
        SCRIPT_EXPECT_FAILED(f,
            "import threading, time\n"
            "threading.Thread(target=lambda: time.sleep(100000), name='sleepy').start()\n",
            "RuntimeError: the script has ended, but its thread 'sleepy' still runs: join() it");
        _exit(0); /* what the thread holds is not free */
    }
    g_test_trap_subprocess(NULL, 20 * G_TIME_SPAN_SECOND, 0);
    g_test_trap_assert_passed();
}

static void test_left_in_a_call(ScriptFixture *f, gconstpointer data)
{
    if (g_test_subprocess()) {
        SCRIPT_EXPECT_FAILED(f,
            "import threading\ndef work():\n    while True:\n        try:\n"
            "            gateway.execute('hang')\n"
            "        except BaseException:\n            pass\n"
            "threading.Thread(target=work, name='stubborn').start()\nretry(lambda last: True)\n",
            "its thread 'stubborn' still runs");
        _exit(0);
    }
    g_test_trap_subprocess(NULL, 20 * G_TIME_SPAN_SECOND, 0);
    g_test_trap_assert_passed();
}

#define ADD(path, func)                                                                            \
    g_test_add(path, ScriptFixture, "two", script_fixture_set_up, func, script_fixture_tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("/threads/served", test_served);
    ADD("/threads/served-in-condition", test_served_in_condition);
    ADD("/threads/fork", test_fork);
    ADD("/threads/threads", test_threads);
    ADD("/threads/waits-release", test_waits_release);
    ADD("/threads/failures", test_failures);
    ADD("/threads/daemons", test_daemons);
    ADD("/threads/left", test_left);
    ADD("/threads/left-in-a-call", test_left_in_a_call);
    return g_test_run();
}
