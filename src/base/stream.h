/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>

/**
 * A stream socket on the default main context that never blocks: its input is buffered until the
 * handler has taken it, its output is queued until the peer has taken it.
 *
 *   static gsize on_input(const guint8 *bytes, gsize length, void *data)
 *   {
 *       return take_lines(data, bytes, length);
 *   }
 *   static const SpStreamFuncs funcs = {.input = on_input, .disconnected = on_disconnected};
 *   stream = sp_stream_new(fd, &(SpStreamConfig){.funcs = &funcs, .data = self, ...});
 *   sp_stream_write(stream, "hello\n", 6);
 *
 * # Handlers
 *
 * They are called from the main context only, or from within sp_stream_read_rest(); never from a
 * function that writes. Each may free the stream: @bytes stay valid until the handler returns, and
 * nothing is called afterwards. While a handler turns the main context, the handlers for the same
 * direction are not called again.
 *
 * # Limits
 *
 * One read takes at most read_size bytes, and one turn of the main context at most
 * SP_STREAM_READS_PER_TURN reads, so that a peer that never pauses does not starve the others. A
 * handler that leaves more than input_max bytes ends the connection (EMSGSIZE). What would make
 * more than output_max bytes wait is not queued.
 *
 * # The end
 *
 * All input that came before the end is passed on before disconnected() is called, even if writing
 * failed first. A write never raises SIGPIPE. Queued output is discarded by the end, and by
 * sp_stream_free().
 *
 * The caller holds the loop (base/loop.h).
 */
typedef struct SpStream SpStream;

#define SP_STREAM_READS_PER_TURN 8
#define SP_STREAM_UNLIMITED G_MAXSIZE

typedef struct {
    /**
     * @bytes is all input that was not taken yet. Returns how many bytes of it are dealt with; the
     * rest is passed again, with more behind it. NULL: the stream is not read, and an error while
     * writing ends it at once.
     */
    gsize (*input)(const guint8 *bytes, gsize length, void *data);
    /** The peer is gone. @error_number is 0 at the end of its output, or an errno. */
    void (*disconnected)(int error_number, void *data);
    /** The socket took some of the output that had to wait. May be NULL. */
    void (*written)(void *data);
} SpStreamFuncs;

typedef struct {
    const SpStreamFuncs *funcs; /* lives as long as the stream */
    void *data;
    gsize read_size; /* ignored, like input_max, without an input function */
    gsize input_max;
    gsize output_max;
} SpStreamConfig;

/** @fd is taken and made non-blocking. */
SpStream *sp_stream_new(int fd, const SpStreamConfig *config);
/** Closes the socket. NULL is accepted. */
void sp_stream_free(SpStream *stream);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpStream, sp_stream_free)

/** The socket, for its options; still the stream's. */
int sp_stream_fd(const SpStream *stream);
/** False from just before disconnected() is called. */
bool sp_stream_is_connected(const SpStream *stream);

/**
 * Queue @length bytes, to be sent when the main context turns next. Returns false and queues
 * nothing if too much is waiting or the peer is gone.
 */
bool sp_stream_write(SpStream *stream, const void *bytes, gsize length) G_GNUC_WARN_UNUSED_RESULT;
/**
 * The same without a copy: space for @length bytes at the end of the queue, NULL in the same two
 * cases. It is valid until the next call for this stream; sp_stream_commit() queues the first
 * @length bytes of it. Follow up with sp_stream_flush() or sp_stream_flush_later().
 */
guint8 *sp_stream_reserve(SpStream *stream, gsize length) G_GNUC_WARN_UNUSED_RESULT;
void sp_stream_commit(SpStream *stream, gsize length);
/** Send what the socket takes now, unless it is full; the rest follows as the main context turns.
 */
void sp_stream_flush(SpStream *stream);
/** Send what is queued when the main context turns next. */
void sp_stream_flush_later(SpStream *stream);
/** How many bytes wait to be sent. */
gsize sp_stream_pending(const SpStream *stream);
/** Discard the bytes that wait to be sent. */
void sp_stream_discard_output(SpStream *stream);
/** Discard the input that the handler left. */
void sp_stream_discard_input(SpStream *stream);

/**
 * Send a copy of @fd, which stays the caller's, along with the next bytes that go out (unix(7),
 * SCM_RIGHTS). -1 takes that back if it has not happened yet.
 */
void sp_stream_pass_fd(SpStream *stream, int fd);

/**
 * Read all that is there now, as if the main context turned: for a stream that is about to be
 * freed, so that nothing the peer sent is lost. Does nothing within the stream's input handler.
 */
void sp_stream_read_rest(SpStream *stream);
