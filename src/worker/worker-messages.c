/* SPDX-License-Identifier: MIT */

/* What a worker sends to the process that started it. */

#include "base/text.h"
#include "lib/write-all.h"
#include "worker/worker-private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

G_LOCK_DEFINE_STATIC(messages);

void sp_worker_send(
    const SpWorker *worker, SpMessageKind kind, SpOutcome outcome, const char *text, double number)
{
    g_autofree char *line = sp_message_format(kind, outcome, text, number);

    if (worker->options.is_prompt)
        return;
    G_LOCK(messages);
    (void)sp_write_all(SP_MESSAGE_FD, line, strlen(line)); /* the reader may be gone */
    G_UNLOCK(messages);
}

void sp_worker_on_subtest(const SpSubtest *subtest, void *data)
{
    sp_worker_send(data, SP_MESSAGE_SUBTEST,
        subtest->passed ? SP_OUTCOME_PASSED : SP_OUTCOME_FAILED, subtest->name, subtest->seconds);
}

/* What the script prints is for the user, even if the log is not shown. */
void sp_worker_on_print(const char *line, void *data)
{
    SpWorker *worker = data;
    gsize length = strlen(line) + 1;
    bool fits = length <= worker->print_space;
    g_autofree char *text = NULL;

    if (worker->print_space == 0)
        return;
    worker->print_space -= fits ? length : worker->print_space;
    text = sp_text_printable(fits ? line : "[what it prints from here on is in its log.txt only]");
    if (worker->options.prompts_on_failure || worker->options.is_prompt)
        printf("%s\n", text);
    else
        sp_worker_send(worker, SP_MESSAGE_PRINT, SP_OUTCOME_NONE, text, 0);
    fflush(stdout);
}

void sp_worker_on_step(const char *machine, const char *text, void *data)
{
    g_autofree char *step =
        machine ? g_strdup_printf("%s: %s", machine, text ? text : "") : g_strdup(text);

    sp_worker_send(data, SP_MESSAGE_STEP, SP_OUTCOME_NONE, step, 0);
}
