/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/log.h"

#include <glib.h>

/**
 * The worker's end of program-pipe.h: a thread of its own logs each line, so that programs that
 * write never wait for the script.
 */
typedef struct SpProgramOutput SpProgramOutput;

/**
 * Make the pipe, given by its two descriptors in this process, the stdout and stderr of this
 * process and of those that it starts. @ret_stdout is the former stdout, to be closed after the
 * object is freed.
 */
SpProgramOutput *sp_program_output_new(
    int read_fd, int write_fd, int *ret_stdout, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** Start the thread. @log must outlive the object. */
void sp_program_output_start(SpProgramOutput *output, SpLog *log);
/** Log what has been written so far. An SpLogGatherFunc: @data is the object. */
void sp_program_output_gather(void *data);
/** Log what has been written, and restore stdout and stderr. Does not wait for processes that still
 * have the pipe open. NULL is accepted. */
void sp_program_output_free(SpProgramOutput *output);
