/* SPDX-License-Identifier: MIT */
#pragma once

/* clang-format off */
/*
 * The wire format between the driver and the agent in a guest.
 *
 * A byte stream in each direction (a virtio-serial port), cut into frames: a header of 12 bytes and
 * a payload. All numbers are little-endian.
 *
 *   offset size
 *   0      1    SP_AGENT_FRAME_MAGIC
 *   1      1    type, enum sp_agent_frame_type
 *   2      2    stream (enum sp_stream) for DATA, END and CREDIT, otherwise 0
 *   4      4    channel: chosen by the driver with the frame that opens it; 0 is the connection
 *   8      4    length of the payload, at most SP_AGENT_FRAME_PAYLOAD_MAX
 *
 * A connection begins with HELLO from the driver, answered by HELLO. Either side may have died in
 * the middle of a frame before, so both look for the HELLO's magic string in whatever comes first
 * and drop what stands before it; the driver takes only the HELLO that carries its own nonce. A
 * HELLO in mid-connection starts the connection anew: the agent ends all channels without a word.
 *
 * A channel lives from its opening frame to EXIT or ERROR, one of which the agent always sends, and
 * which is the last frame of the channel. Frames for a channel that is not there (any more) are
 * dropped by both sides. Opening a channel number that is in use is answered by ERROR EBUSY,
 * without ending the older one.
 *
 * Payloads:
 *   HELLO   driver -> agent: SP_HELLO_MAGIC (16 bytes), u32 SP_PROTOCOL_VERSION, nonce (16 bytes)
 *           agent -> driver: the same, then the guest's boot id (16 bytes, of
 *           /proc/sys/kernel/random/boot_id)
 *   EXEC    u32 flags (enum sp_exec_flags), u16 rows, u16 columns, u32 argc (at least 1), then argc
 *           strings, then environment strings NAME=VALUE to the end; each string ends in NUL.
 *           The agent runs it as root in a session and process group of its own, in "/", with
 *           stdin, stdout and stderr as streams (with SP_EXEC_PTY a pty, all output on STDOUT).
 *           The agent sends END for an output that is at its end before the command is.
 *           When the command ends while other processes hold its output open, that is read on for
 *           as long as they run rather than sleep, but no longer than five seconds and no more than
 *           1 MiB: what `> >(cat)` writes is there, and a daemon left behind does not keep the
 *           channel. EXIT tells who holds it then.
 *   PUT     u32 mode (permission bits), path NUL. Then DATA on STDIN and END. The agent writes
 *           to a temporary name beside the path and renames it at END, then EXIT 0.
 *   GET     path NUL. The agent answers with DATA on STDOUT, END, and EXIT 0.
 *   WATCH   u32 kind (enum sp_watch_kind), string NUL (what it means stands with the kind).
 *           Answered by STATE at once and at every change until CANCEL.
 *   RESTORED  u64 microseconds since 1970, u32 length (at most SP_SEED_MAX), so many bytes. The
 *           machine goes on from a state that was saved some time ago, from which others may go
 *           on too: the agent sets the clock, and gives the kernel's random pool the bytes, at
 *           once. EXIT 0.
 *   DATA    bytes of the stream
 *   END     nothing: the stream is at its end
 *   SIGNAL  u32 signal number, to the command's process group
 *   RESIZE  u16 rows, u16 columns, of the pty
 *   CANCEL  nothing. A command's process group is killed; a half-written file is removed; a watch
 *           ends. The channel ends by EXIT (of the killed command) or ERROR ECANCELED.
 *   CREDIT  agent -> driver: u32 bytes, which the driver may send more on STDIN of the channel. It
 *           starts with SP_INITIAL_CREDIT; sending more than was granted is an ERROR EPROTO.
 *           What the agent sends has no credit: the driver always reads.
 *   EXIT    u32 how (0 exited, 1 killed by a signal), u32 status or signal number; then, for a
 *           command whose output is still held open, a text NUL that names who holds it
 *   ERROR   u32 errno (the guest's), then a message in UTF-8 without NUL to the end
 *   STATE   strings, each ended by NUL; see the kinds
 *
 * The functions are pure: bytes and lengths, no descriptors. They return 0 or a length on success
 * and a negative errno otherwise, and may be used from any thread.
 */
/* clang-format on */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SP_AGENT_FRAME_MAGIC 0xa9u
#define SP_AGENT_FRAME_HEADER_SIZE 12u
#define SP_AGENT_FRAME_PAYLOAD_MAX (256u * 1024u)
#define SP_HELLO_MAGIC "slotproof-agent" /* 16 bytes with its NUL */
#define SP_HELLO_MAGIC_SIZE 16u
#define SP_NONCE_SIZE 16u
#define SP_BOOT_ID_SIZE 16u
#define SP_PROTOCOL_VERSION 1u
#define SP_SEED_MAX 64u
#define SP_INITIAL_CREDIT (1024u * 1024u)
#define SP_AGENT_PORT "org.slotproof.agent"
/* What "slotproof-agent connect", which a driver may EXEC, writes to its stderr when its peer has
 * ended in order: the END of a stdout may as well mean that it is about to EXIT. */
#define SP_CONNECT_END "end\n"

enum sp_agent_frame_type {
    SP_AGENT_FRAME_HELLO = 1,
    SP_AGENT_FRAME_EXEC,
    SP_AGENT_FRAME_PUT,
    SP_AGENT_FRAME_GET,
    SP_AGENT_FRAME_WATCH,
    SP_AGENT_FRAME_DATA,
    SP_AGENT_FRAME_END,
    SP_AGENT_FRAME_SIGNAL,
    SP_AGENT_FRAME_RESIZE,
    SP_AGENT_FRAME_CANCEL,
    SP_AGENT_FRAME_CREDIT,
    SP_AGENT_FRAME_EXIT,
    SP_AGENT_FRAME_ERROR,
    SP_AGENT_FRAME_STATE,
    SP_AGENT_FRAME_RESTORED,
    SP_AGENT_FRAME_TYPE_END_ /* one past the last */
};

enum sp_stream {
    SP_STREAM_STDIN = 0,
    SP_STREAM_STDOUT = 1,
    SP_STREAM_STDERR = 2,
};

enum sp_exec_flags {
    SP_EXEC_PTY = 1u << 0,
};

enum sp_watch_kind {
    /* A systemd unit of the system manager, e.g. "sshd.service". STATE: LoadState, ActiveState,
     * SubState, Result (empty if the unit has none), and the number of its job ("0" for none).
     * ERROR EOPNOTSUPP if the guest does not run systemd, or lacks slotproof-agent-units. */
    SP_WATCH_UNIT = 1,
    /* A path. STATE: "1" where it exists, else "0". */
    SP_WATCH_FILE = 2,
    /* A TCP port as "ADDRESS PORT", the address an IP address or a name of the guest's
     * /etc/hosts. STATE: "1" if a socket of the guest listens for it, or a connection is accepted,
     * else "0". */
    SP_WATCH_PORT = 3,
    /* A unix socket as "stream PATH" or "dgram PATH". STATE: "1" where a connection is accepted. */
    SP_WATCH_UNIX = 4,
};

/** One frame. The payload points into the buffer that it was decoded from, or to the caller's. */
struct sp_agent_frame {
    enum sp_agent_frame_type type;
    uint16_t stream;
    uint32_t channel;
    const uint8_t *payload;
    size_t length;
};

/**
 * Decode the frame at the start of @data.
 *
 * Returns the number of bytes the frame takes, header included; 0 if @data holds only part of a
 * frame; -EPROTO for a wrong magic, an unknown type, or a reserved field that is not zero;
 * -EMSGSIZE if the length is above SP_AGENT_FRAME_PAYLOAD_MAX (seen from the header alone).
 * @ret_frame is written only for a positive return.
 */
ssize_t sp_agent_frame_decode(const uint8_t *data, size_t length, struct sp_agent_frame *ret_frame);

/**
 * Decode the header of the frame at the start of @data alone, for a reader that passes a payload on
 * before all of it is there.
 *
 * Returns SP_AGENT_FRAME_HEADER_SIZE, with the payload NULL and its length in @ret_frame; otherwise
 * as sp_agent_frame_decode().
 */
ssize_t sp_agent_frame_decode_header(
    const uint8_t *data, size_t length, struct sp_agent_frame *ret_frame);

/**
 * Write the header of a frame with @length bytes of payload into @header.
 *
 * Returns 0, -EINVAL for a type or stream that sp_agent_frame_decode() would not take, or
 * -EMSGSIZE.
 */
int sp_agent_frame_encode_header(uint8_t header[static SP_AGENT_FRAME_HEADER_SIZE],
    enum sp_agent_frame_type type, uint16_t stream, uint32_t channel, size_t length);

/**
 * Find the first HELLO frame in @data, skipping what stands before it.
 *
 * Returns the offset of its header, or -EAGAIN if there is none yet. In the latter case all of
 * @data but its last SP_AGENT_FRAME_HEADER_SIZE + SP_HELLO_MAGIC_SIZE - 1 bytes may be dropped. The
 * frame found may still be incomplete: decode it.
 */
ssize_t sp_agent_frame_find_hello(const uint8_t *data, size_t length);

/** A cursor over a payload: each take_* checks what is left and returns -EBADMSG if too little. */
struct sp_payload {
    const uint8_t *data;
    size_t left;
};

void sp_payload_init(struct sp_payload *p, const struct sp_agent_frame *frame);
int sp_payload_take_u16(struct sp_payload *p, uint16_t *ret);
int sp_payload_take_u32(struct sp_payload *p, uint32_t *ret);
/** @ret points into the payload. */
int sp_payload_take_bytes(struct sp_payload *p, size_t length, const uint8_t **ret);
/** A string up to its NUL, which must be there; @ret points into the payload. */
int sp_payload_take_string(struct sp_payload *p, const char **ret);
