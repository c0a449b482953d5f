/* SPDX-License-Identifier: MIT */
#pragma once

#include "worker/options.h"

/**
 * Run the one test of @options in this process. Its messages go to SP_MESSAGE_FD unless
 * options->is_prompt; the lines of its log go to stdout.
 *
 * Returns the process's exit status.
 */
int sp_worker_main(const SpWorkerOptions *options);
