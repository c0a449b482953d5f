/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "powercut/decider.h"

#include <glib/gstdio.h>
#include <string.h>

#define TIMEOUT_MS 20000

static char *write_decider(const char *script)
{
    char *path = NULL;
    g_autofree char *text = g_strconcat("#!/bin/sh\n", script, NULL);
    int fd = g_file_open_tmp("test-decider-XXXXXX", &path, NULL);

    g_assert_cmpint(fd, >=, 0);
    g_close(fd, NULL);
    g_assert_true(g_file_set_contents(path, text, -1, NULL));
    g_assert_cmpint(g_chmod(path, 0700), ==, 0);
    return path;
}

static void test_answers(void)
{
    static const struct {
        const char *line, *boots, *facts, *failure;
    } cases[] = {
        {"boots=A", "A", "boots=A", NULL},
        {"left=3 boots=B", "B", "boots=B left=3", NULL},
        {"boots=A left=3 error=it is torn: x=y", "A", "boots=A left=3", "it is torn: x=y"},
        {"error=nothing to read", NULL, "", "nothing to read"},
        {"left=3 error=torn", NULL, "left=3", "torn"},
        {"boots=none", "none", "boots=none", NULL},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(SpDecision) decision = {NULL};
        const char *line = cases[i].line, *expected;

        g_assert_true(sp_decision_parse(line, strlen(line), &decision, &expected));
        g_assert_cmpstr(decision.boots, ==, cases[i].boots);
        g_assert_cmpstr(decision.facts, ==, cases[i].facts);
        g_assert_cmpstr(decision.failure, ==, cases[i].failure);
    }
}

static void test_invalid_answers(void)
{
    static const struct {
        const char *line, *expected;
    } cases[] = {
        {"", "boots=NAME"},
        {"left=3", "boots=NAME"},
        {"error=", "boots=NAME"},
        {"boots=", "words KEY=VALUE"},
        {"boots=A  left=3", "words KEY=VALUE"},
        {"boots=A left", "words KEY=VALUE"},
        {"boots=A =3", "words KEY=VALUE"},
        {"boots=A boots=A", "each key once"},
        {"boots=A x=1 x=2", "each key once"},
        {"boots=A x=\xff", "UTF-8"},
        {"boots=A x=\xc3\xa4", "words KEY=VALUE"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(SpDecision) decision = {NULL};
        const char *line = cases[i].line, *expected;

        g_assert_false(sp_decision_parse(line, strlen(line), &decision, &expected));
        g_assert_nonnull(strstr(expected, cases[i].expected));
    }
}

static void test_facts(void)
{
    char *one[] = {"left=3", NULL}, *two[] = {"left=3", "good=no", NULL}, *none[] = {NULL};

    g_assert_true(sp_facts_contain("boots=A left=3 good=yes", one));
    g_assert_false(sp_facts_contain("boots=A left=3 good=yes", two));
    g_assert_false(sp_facts_contain("boots=A left=33", one));
    g_assert_true(sp_facts_contain("", none));
    g_assert_true(sp_facts_have_key("boots=A left=0 good=yes", "left=3"));
    g_assert_false(sp_facts_have_key("boots=A lef=3 lefts=3", "left=3"));
    g_assert_false(sp_facts_have_key("", "left=3"));
}

/* One process answers all questions. */
static void test_questions(void)
{
    g_autofree char *path =
        write_decider("i=0\nwhile read -r line; do i=$((i + 1)); echo \"boots=A asked=$i "
                      "question=$line\"; done\n");
    g_autoptr(SpDecider) decider = sp_decider_new(path, TIMEOUT_MS);
    const SpInterrupt interrupt = {.func = NULL};

    for (guint i = 1; i <= 3; i++) {
        g_auto(SpDecision) decision = {NULL};
        g_autoptr(GError) error = NULL;
        g_autofree char *expected = g_strdup_printf("boots=A asked=%u question=state=/x", i);

        (void)!sp_decider_ask(decider, "state=/x", &interrupt, &decision, &error);
        g_assert_no_error(error);
        g_assert_cmpstr(decision.facts, ==, expected);
    }
    g_unlink(path);
}

static void test_faults(void)
{
    static const struct {
        const char *script, *reason;
        gint64 timeout_ms;
        SpErrorCode code;
    } cases[] = {
        {"sleep 1000\n", "did not answer 'state=/x' within 0 s", 300, SP_ERROR_TIMEOUT},
        {"read -r line; echo boots=A | tr -d '\\n'; sleep 1000\n", "did not answer", 300,
            SP_ERROR_TIMEOUT},
        {"exit 3\n", "ended with status 3 instead of an answer to 'state=/x'", 0, SP_ERROR_USAGE},
        {"read -r line; echo no such table >&2; exit 1\n",
            "ended with status 1 instead of an answer "
            "to 'state=/x': no such table",
            0, SP_ERROR_USAGE},
        {"read -r line; kill -SEGV $$\n", "was killed by signal 11", 0, SP_ERROR_USAGE},
        {"read -r line; kill -KILL $$\n", "was killed by signal 9", 0, SP_ERROR_USAGE},
        {"read -r line; exec >&- <&-; sleep 1000\n", "closed its stdout", 0, SP_ERROR_USAGE},
        {"read -r line; echo; cat\n", "answered '': expected boots=NAME", 0, SP_ERROR_USAGE},
        {"read -r line; echo it boots A; cat\n", "answered 'it boots A': expected words KEY=VALUE",
            0, SP_ERROR_USAGE},
        {"read -r line; printf 'boots=A\\nboots=B\\n'; cat\n",
            "expected one line for each question", 0, SP_ERROR_USAGE},
        {"read -r line; yes boots=A\n", "expected", 0, SP_ERROR_USAGE},
        {"read -r line; head -c 10000 /dev/zero | tr '\\0' x; cat\n", "at most 4096 bytes", 0,
            SP_ERROR_USAGE},
    };
    const SpInterrupt interrupt = {.func = NULL};

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = write_decider(cases[i].script);
        g_autoptr(SpDecider) decider =
            sp_decider_new(path, cases[i].timeout_ms ? cases[i].timeout_ms : TIMEOUT_MS);
        g_auto(SpDecision) decision = {NULL};
        g_autoptr(GError) error = NULL;

        g_assert_false(sp_decider_ask(decider, "state=/x", &interrupt, &decision, &error));
        g_test_message("%s", error->message);
        g_assert_error(error, SP_ERROR, (int)cases[i].code);
        g_assert_nonnull(strstr(error->message, cases[i].reason));
        g_assert_nonnull(strstr(error->message, path));
        g_unlink(path);
    }
}

static void test_missing(void)
{
    g_autoptr(SpDecider) decider = sp_decider_new("/nowhere/decider", TIMEOUT_MS);
    const SpInterrupt interrupt = {.func = NULL};

    for (guint i = 0; i < 2; i++) {
        g_auto(SpDecision) decision = {NULL};
        g_autoptr(GError) error = NULL;

        g_assert_false(sp_decider_ask(decider, "state=/x", &interrupt, &decision, &error));
        g_assert_error(error, SP_ERROR, SP_ERROR_USAGE);
        g_assert_nonnull(strstr(error->message, "the decider '/nowhere/decider' can't be started"));
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/decider/answers", test_answers);
    g_test_add_func("/decider/invalid-answers", test_invalid_answers);
    g_test_add_func("/decider/facts", test_facts);
    g_test_add_func("/decider/questions", test_questions);
    g_test_add_func("/decider/faults", test_faults);
    g_test_add_func("/decider/missing", test_missing);
    return g_test_run();
}
