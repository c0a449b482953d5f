/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/log.h"
#include "base/process.h"

#include <glib.h>
#include <stdbool.h>

/**
 * What programs of the host write to stdout and stderr during a test: those that its script starts,
 * libraries in C, and the script with os.write(). Its lines go to the test's log.
 *
 * All of them write to one pipe, which a thread of the worker reads, so that none has to wait for
 * the script. Who has started the worker holds the pipe as well: what is in there when the worker
 * dies is not lost.
 */

/** The pipe, for who starts a worker. */
typedef struct {
    int read_fd; /* -1: closed, as below */
    int write_fd;
} SpProgramPipe;

bool sp_program_pipe_open(SpProgramPipe *pipe, GError **error);
/** The descriptors by which the worker gets it. */
#define SP_PROGRAM_PIPE_FDS 2u
void sp_program_pipe_fds(const SpProgramPipe *pipe, SpProcessFd *ret_fds);
/** To be called once the worker has been started. */
void sp_program_pipe_close_writer(SpProgramPipe *pipe);
/**
 * The worker has ended: log what it has left in the pipe to the logs in @dir, which began at
 * @begin, and close the pipe. Returns what it was, as UTF-8, "" for nothing. Does not wait for who
 * goes on writing. Free with g_free().
 */
char *sp_program_pipe_end(SpProgramPipe *pipe, const char *dir, gint64 begin);

/** The worker's end. */
typedef struct SpProgramOutput SpProgramOutput;

/**
 * Make the pipe, by its two numbers in this process, stdout and stderr of this process and of those
 * that it starts. @ret_stdout is what was stdout, which is to be closed after the object is freed.
 */
SpProgramOutput *sp_program_output_new(int read_fd, int write_fd, int *ret_stdout, GError **error);
/** Read from now on, in a thread. @log must outlive the object. */
void sp_program_output_start(SpProgramOutput *output, SpLog *log);
/** Log what is there now. An SpLogGatherFunc: @data is the object. */
void sp_program_output_gather(void *data);
/** Log what is there, and give stdout and stderr back. Does not wait for who still has the pipe.
 * NULL is fine. */
void sp_program_output_free(SpProgramOutput *output);
