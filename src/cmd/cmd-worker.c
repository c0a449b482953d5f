/* SPDX-License-Identifier: MIT */

/* The process of one test, which the others start. */

#include "cmd/cmd-options.h"
#include "cmd/commands.h"
#include "worker/worker.h"

int sp_cmd_worker(int argc, char **argv)
{
    SpWorkerOptions options;
    g_autoptr(GError) error = NULL;

    if (!sp_worker_options_parse((const char *const *)argv + 1, &options, &error))
        return sp_usage_error(
            "'_worker' is for slotproof itself (see 'slotproof run --help'): %s", error->message);
    return sp_worker_main(&options);
}
