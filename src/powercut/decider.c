/* SPDX-License-Identifier: MIT */

/* Talks to a device's decider through a socket that is both its stdin and its stdout. */

#include "powercut/decider.h"

#include "base/error.h"
#include "base/process.h"

#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Of an answer that is shown. */
#define SHOWN_MAX 200

struct SpDecider {
    char *program;
    gint64 timeout_ms;
    SpProcess *process; /* NULL: not started */
    int fd;
    GSource *source;
    GString *answer; /* that arrives */
    bool is_closed;  /* it has closed its stdout */
};

SpDecider *sp_decider_new(const char *program, gint64 timeout_ms)
{
    SpDecider *decider = g_new0(SpDecider, 1);

    decider->program = g_strdup(program);
    decider->timeout_ms = timeout_ms;
    decider->answer = g_string_new(NULL);
    decider->fd = -1;
    return decider;
}

void sp_decider_free(SpDecider *decider)
{
    if (!decider)
        return;
    if (decider->source) {
        g_source_destroy(decider->source);
        g_source_unref(decider->source);
    }
    sp_process_free(decider->process);
    if (decider->fd >= 0)
        close(decider->fd);
    g_string_free(decider->answer, TRUE);
    g_free(decider->program);
    g_free(decider);
}

/* --- answers ---------------------------------------------------------------------------------- */

void sp_decision_clear(SpDecision *decision)
{
    g_clear_pointer(&decision->boots, g_free);
    g_clear_pointer(&decision->facts, g_free);
    g_clear_pointer(&decision->failure, g_free);
}

/* Length of the KEY of a word KEY=VALUE; 0 if it is not such a word. */
static gsize measure_key(const char *word)
{
    gsize length = strcspn(word, "=");

    if (word[length] != '=' || word[length + 1] == '\0')
        return 0;
    for (const char *c = word; *c; c++) {
        if (!g_ascii_isgraph(*c))
            return 0;
    }
    return length;
}

static bool has_key(char **words, const char *word, gsize key_length)
{
    for (; *words != word; words++) {
        if (strncmp(*words, word, key_length + 1) == 0)
            return true;
    }
    return false;
}

/* False with what was expected if a word is not a fact, or a key stands twice. */
static bool take_facts(char **words, SpDecision *decision, const char **ret_expected)
{
    g_autoptr(GString) facts = g_string_new(NULL);

    for (char **word = words; *word; word++) {
        gsize key_length = measure_key(*word);

        *ret_expected = "words KEY=VALUE, with one space between them";
        if (key_length == 0)
            return false;
        *ret_expected = "each key once";
        if (has_key(words, *word, key_length))
            return false;
        if (g_str_has_prefix(*word, "boots="))
            decision->boots = g_strdup(strchr(*word, '=') + 1);
        else
            g_string_append_printf(facts, " %s", *word);
    }
    if (decision->boots)
        decision->facts = g_strdup_printf("boots=%s%s", decision->boots, facts->str);
    else
        decision->facts = g_strdup(*facts->str ? facts->str + 1 : "");
    return true;
}

bool sp_decision_parse(
    const char *line, gsize length, SpDecision *ret_decision, const char **ret_expected)
{
    g_auto(SpDecision) decision = {0};
    g_autofree char *text = g_strndup(line, length);
    g_auto(GStrv) words = NULL;
    char *failure = NULL;

    *ret_expected = "UTF-8";
    if (memchr(line, 0, length) || !g_utf8_validate(line, (gssize)length, NULL))
        return false;
    if (g_str_has_prefix(text, "error="))
        failure = text;
    else if ((failure = strstr(text, " error=")))
        *failure++ = '\0';
    if (failure) {
        decision.failure = g_strdup(failure + strlen("error="));
        if (failure == text)
            *text = '\0';
    }
    words = *text ? g_strsplit(text, " ", -1) : g_new0(char *, 1);
    if (!take_facts(words, &decision, ret_expected))
        return false;
    *ret_expected = "boots=NAME or error=REASON";
    if (!decision.boots && !(decision.failure && *decision.failure))
        return false;
    *ret_decision = decision;
    decision = (SpDecision){0};
    return true;
}

bool sp_facts_have_key(const char *facts, const char *word)
{
    g_auto(GStrv) words = g_strsplit(facts, " ", -1);
    gsize length = strcspn(word, "=");

    for (char **fact = words; *fact; fact++) {
        if (strcspn(*fact, "=") == length && strncmp(*fact, word, length) == 0)
            return true;
    }
    return false;
}

bool sp_facts_contain(const char *facts, char *const *wanted)
{
    g_auto(GStrv) words = g_strsplit(facts, " ", -1);

    for (; *wanted; wanted++) {
        if (!g_strv_contains((const char *const *)words, *wanted))
            return false;
    }
    return true;
}

/* --- the program ------------------------------------------------------------------------------ */

static gboolean on_answer_readable(int fd, GIOCondition condition, void *data)
{
    SpDecider *decider = data;
    char buffer[SP_DECIDER_LINE_MAX];
    ssize_t n = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);

    if (n > 0 && decider->answer->len <= SP_DECIDER_LINE_MAX) {
        g_string_append_len(decider->answer, buffer, n);
        return G_SOURCE_CONTINUE;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return G_SOURCE_CONTINUE;
    decider->is_closed = true;
    g_clear_pointer(&decider->source, g_source_unref);
    return G_SOURCE_REMOVE;
}

static bool has_decider_answered(void *data, GError **error)
{
    SpDecider *decider = data;

    return decider->is_closed || decider->answer->len > SP_DECIDER_LINE_MAX ||
           memchr(decider->answer->str, '\n', decider->answer->len);
}

static bool start_decider(SpDecider *decider, GError **error)
{
    const char *const argv[] = {decider->program, NULL};
    int fds[2];
    SpProcessFd child_fds[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0) {
        g_set_error(
            error, SP_ERROR, SP_ERROR_HOST, "no socket for the decider: %s", g_strerror(errno));
        return false;
    }
    child_fds[0] = (SpProcessFd){.from = fds[1], .to = 0};
    child_fds[1] = (SpProcessFd){.from = fds[1], .to = 1};
    decider->process = sp_process_start(argv, child_fds, G_N_ELEMENTS(child_fds), error);
    close(fds[1]);
    if (!decider->process) {
        close(fds[0]);
        g_prefix_error(error, "the decider ");
        return false;
    }
    decider->fd = fds[0];
    decider->source = g_unix_fd_source_new(decider->fd, G_IO_IN | G_IO_HUP);
    g_source_set_callback(decider->source, G_SOURCE_FUNC(on_answer_readable), decider, NULL);
    g_source_attach(decider->source, NULL);
    return true;
}

static bool write_question(const SpDecider *decider, const char *question)
{
    g_autofree char *line = g_strconcat(question, "\n", NULL);
    gsize length = strlen(line);

    /* the socket is empty: a line that does not fit at once is not read at all */
    return send(decider->fd, line, length, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)length;
}

/* A program that has closed its stdout is given a moment to end, so that its end can be told. */
static bool refuse_end(
    SpDecider *decider, const char *question, const SpInterrupt *interrupt, GError **error)
{
    g_autoptr(GError) local = NULL;
    g_autofree char *end = NULL, *output = NULL;

    if (sp_process_wait(decider->process, sp_deadline(1000), interrupt, &local))
        end = sp_process_describe_end(decider->process);
    else if (g_error_matches(local, SP_ERROR, SP_ERROR_INTERRUPTED)) {
        g_propagate_error(error, g_steal_pointer(&local));
        return false;
    }
    output = sp_process_output(decider->process);
    g_strstrip(output);
    g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
        "the decider '%s' %s instead of an answer to '%s'%s%s", decider->program,
        end ? end : "closed its stdout", question, *output ? ": " : "", output);
    return false;
}

static bool refuse_answer(const SpDecider *decider, const char *expected, GError **error)
{
    gsize length = strcspn(decider->answer->str, "\n");
    g_autofree char *shown =
        g_utf8_make_valid(decider->answer->str, (gssize)MIN(length, SHOWN_MAX));

    g_set_error(error, SP_ERROR, SP_ERROR_USAGE, "the decider '%s' answered '%s%s': expected %s",
        decider->program, shown, length > SHOWN_MAX ? "..." : "", expected);
    return false;
}

static bool refuse_silence(
    const SpDecider *decider, const char *question, GError *cause, GError **error)
{
    if (g_error_matches(cause, SP_ERROR, SP_ERROR_TIMEOUT)) {
        g_set_error(error, SP_ERROR, SP_ERROR_TIMEOUT,
            "the decider '%s' did not answer '%s' within %" G_GINT64_FORMAT
            " s: does it write out each line (fflush)?",
            decider->program, question, decider->timeout_ms / 1000);
        g_error_free(cause);
    } else {
        g_propagate_error(error, cause);
    }
    return false;
}

static bool take_decision(SpDecider *decider, SpDecision *ret_decision, GError **error)
{
    GString *answer = decider->answer;
    const char *end = memchr(answer->str, '\n', answer->len), *expected;

    if (!end || answer->len > SP_DECIDER_LINE_MAX)
        return refuse_answer(decider, "a line of at most 4096 bytes", error);
    if (end + 1 != answer->str + answer->len)
        return refuse_answer(decider, "one line for each question", error);
    if (!sp_decision_parse(answer->str, answer->len - 1, ret_decision, &expected))
        return refuse_answer(decider, expected, error);
    g_string_truncate(answer, 0);
    return true;
}

bool sp_decider_ask(SpDecider *decider, const char *question, const SpInterrupt *interrupt,
    SpDecision *ret_decision, GError **error)
{
    GError *local = NULL;

    if (!decider->process && !start_decider(decider, error))
        return false;
    if (decider->answer->len > 0)
        return refuse_answer(decider, "no line that was not asked for", error);
    if (decider->is_closed || !write_question(decider, question))
        return refuse_end(decider, question, interrupt, error);
    if (!sp_wait(
            has_decider_answered, decider, sp_deadline(decider->timeout_ms), interrupt, &local))
        return refuse_silence(decider, question, local, error);
    if (decider->is_closed && !strchr(decider->answer->str, '\n'))
        return refuse_end(decider, question, interrupt, error);
    return take_decision(decider, ret_decision, error);
}
