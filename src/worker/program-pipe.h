/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/process.h"

#include <glib.h>
#include <stdbool.h>

/**
 * The pipe for what programs of the host write to stdout and stderr during a test: those that its
 * script starts, C libraries, and the script itself with os.write(). The worker reads it
 * (program-output.h); the process that started the worker holds it as well, so that nothing in it
 * is lost if the worker dies.
 */
typedef struct {
    int read_fd; /* -1: closed, as below */
    int write_fd;
} SpProgramPipe;

/** The worker's numbers of the two ends. */
#define SP_PROGRAM_PIPE_READ_FD 4
#define SP_PROGRAM_PIPE_WRITE_FD 5
#define SP_PROGRAM_PIPE_FDS 2u
/** What a pipe holds. */
#define SP_PROGRAM_PIPE_SIZE 65536u
/** A longer line is split. */
#define SP_PROGRAM_LINE_MAX 16384u

bool sp_program_pipe_open(SpProgramPipe *pipe, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** The descriptors to give to the worker. */
void sp_program_pipe_fds(const SpProgramPipe *pipe, SpProcessFd *ret_fds);
/** To be called once the worker has been started. */
void sp_program_pipe_close_writer(SpProgramPipe *pipe);
/**
 * The worker has ended: append what it left in the pipe to the logs in @dir, which began at @begin,
 * and close the pipe. Returns those lines as UTF-8, "" if there are none. Does not wait for
 * programs that go on writing. Free with g_free().
 */
char *sp_program_pipe_end(SpProgramPipe *pipe, const char *dir, gint64 begin);

/** Read up to @length bytes. Returns 0 at the end, on errors, and if nothing is there yet. */
gsize sp_program_pipe_read(int fd, char *buffer, gsize length);

typedef void (*SpProgramLineFunc)(const char *line, void *data);
/**
 * Pass on the whole lines among @bytes, @max of them at most, and the beginning of one that is too
 * long; with @is_end what is left as well. A NUL is written as \x00. Returns the number of bytes
 * passed on.
 */
gsize sp_program_lines_split(
    const char *bytes, gsize length, bool is_end, guint max, SpProgramLineFunc func, void *data);
