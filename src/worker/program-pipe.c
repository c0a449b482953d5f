/* SPDX-License-Identifier: MIT */
#include "worker/program-pipe.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <string.h>
#include <unistd.h>

static void pass_program_line(const char *bytes, gsize length, SpProgramLineFunc func, void *data)
{
    g_autoptr(GString) line = g_string_sized_new(length);

    if (length > 0 && bytes[length - 1] == '\r')
        length--;
    for (gsize i = 0; i < length; i++) {
        if (bytes[i])
            g_string_append_c(line, bytes[i]);
        else
            g_string_append(line, "\\x00");
    }
    func(line->str, data);
}

gsize sp_program_lines_split(
    const char *bytes, gsize length, bool is_end, guint max, SpProgramLineFunc func, void *data)
{
    gsize done = 0;

    for (guint n_lines = 0; done < length && n_lines < max; n_lines++) {
        gsize left = MIN(length - done, SP_PROGRAM_LINE_MAX);
        const char *newline = memchr(bytes + done, '\n', left);
        gsize n = newline ? (gsize)(newline - bytes) - done : left;

        if (!newline && left < SP_PROGRAM_LINE_MAX && !is_end)
            break;
        pass_program_line(bytes + done, n, func, data);
        done += n + (newline != NULL);
    }
    return done;
}

gsize sp_program_pipe_read(int fd, char *buffer, gsize length)
{
    ssize_t n;

    do
        n = read(fd, buffer, length);
    while (n < 0 && errno == EINTR);
    return n > 0 ? (gsize)n : 0;
}

static void close_end(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

bool sp_program_pipe_open(SpProgramPipe *pipe, GError **error)
{
    int fds[2];

    *pipe = (SpProgramPipe){-1, -1};
    if (!g_unix_open_pipe(fds, FD_CLOEXEC, error))
        return false;
    *pipe = (SpProgramPipe){fds[0], fds[1]};
    return g_unix_set_fd_nonblocking(pipe->read_fd, TRUE, error);
}

void sp_program_pipe_fds(const SpProgramPipe *pipe, SpProcessFd *ret_fds)
{
    ret_fds[0] = (SpProcessFd){pipe->read_fd, SP_PROGRAM_PIPE_READ_FD};
    ret_fds[1] = (SpProcessFd){pipe->write_fd, SP_PROGRAM_PIPE_WRITE_FD};
}

void sp_program_pipe_close_writer(SpProgramPipe *pipe)
{
    close_end(&pipe->write_fd);
}

static void append_valid_line(const char *line, void *data)
{
    g_autofree char *valid = g_utf8_make_valid(line, -1);

    g_string_append_printf(data, "%s\n", valid);
}

char *sp_program_pipe_end(SpProgramPipe *pipe, const char *dir, gint64 begin)
{
    const SpLogConfig config = {.dir = dir, .stream_fd = -1, .begin = begin, .is_continued = true};
    g_autofree char *buffer = g_malloc(SP_PROGRAM_PIPE_SIZE);
    GString *all = g_string_new(NULL);
    g_autoptr(SpLog) log = NULL;
    gsize length;

    close_end(&pipe->write_fd);
    length =
        pipe->read_fd >= 0 ? sp_program_pipe_read(pipe->read_fd, buffer, SP_PROGRAM_PIPE_SIZE) : 0;
    close_end(&pipe->read_fd);
    sp_program_lines_split(buffer, length, true, G_MAXUINT, append_valid_line, all);
    if (all->len > 0)
        log = sp_log_new(&config, NULL); /* without it, it is in the report */
    if (log) {
        g_auto(GStrv) lines = g_strsplit(all->str, "\n", -1);

        for (char **l = lines; l[1]; l++)
            sp_log_program(log, *l);
    }
    return g_string_free(all, FALSE);
}
