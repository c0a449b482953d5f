/* SPDX-License-Identifier: MIT */
#pragma once

#include "lib/agent-frame.h"

#include <glib.h>
#include <stdbool.h>

/**
 * The driver's end of the connection to a guest's agent (lib/agent-frame.h has the wire format).
 *
 * Nothing here blocks: requests are channels that come to their end while the default main context
 * turns. Main thread only.
 */
typedef struct SpAgent SpAgent;

/** One request in flight, or ended. */
typedef struct SpChannel SpChannel;

/**
 * Talk over the stream socket @fd, which is taken and made non-blocking. HELLO is sent at once; the
 * other side may read it whenever it comes up.
 */
SpAgent *sp_agent_new(int fd);
/** Channels that are still there end with an error. NULL is fine. */
void sp_agent_free(SpAgent *agent);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpAgent, sp_agent_free)

/**
 * The guest's end was closed or the guest was reset: all channels end with SP_ERROR_MACHINE and
 * @reason, what was half sent or half received is dropped, and a new HELLO is sent.
 */
void sp_agent_reset(SpAgent *agent, const char *reason);

/** Called whenever HELLO was answered; must not free the agent. */
typedef void (*SpAgentReadyFunc)(void *data);
void sp_agent_set_ready_func(SpAgent *agent, SpAgentReadyFunc func, void *data);
/** True from the answer to HELLO on. */
bool sp_agent_is_ready(SpAgent *agent);
/**
 * What went wrong with the connection itself: garbage, too long a frame, a wrong version, the
 * socket closed. NULL if nothing. Owned by the agent; cleared by sp_agent_reset().
 */
const GError *sp_agent_error(SpAgent *agent);
/** The guest's boot id, SP_BOOT_ID_SIZE bytes, once ready. */
const guint8 *sp_agent_boot_id(SpAgent *agent);

/**
 * Run @argv in the guest, without stdin. Output is kept by the channel, up to a limit above which
 * the command is killed and the channel fails.
 */
SpChannel *sp_agent_exec(SpAgent *agent, const char *const *argv);
/** What a streamed command has to say; each function may free the channel. */
typedef struct {
    void (*output)(const guint8 *bytes, gsize length, void *data); /* on its stdout */
    void (*errors)(void *data); /* on its stderr: sp_channel_errors() */
    void (*end)(void *data);    /* of its stdout; it is about to exit or has closed it */
    void (*done)(void *data);   /* sp_channel_is_done() from now on; not after sp_channel_free() */
} SpOutputFuncs;
/**
 * Run @argv in the guest with what @fd reads for its stdin, up to the end of that. @fd is taken; a
 * socket that does not block is waited for. @funcs is called while the main context turns, never
 * from within this: a command that can't be started is done at once.
 *
 * The guest's agent has no way to wait for a driver that is slow to deal with the output: have the
 * command stop (SIGSTOP, SIGCONT).
 */
SpChannel *sp_agent_exec_streamed(
    SpAgent *agent, const char *const *argv, int fd, const SpOutputFuncs *funcs, void *data);
/** Send a signal to the command's process group. Nothing once it is done. */
void sp_channel_signal(SpChannel *channel, guint32 number);
/**
 * What a command on a terminal wrote, as it comes; a @length of 0 is a sign that the command takes
 * more input. Must not free the channel.
 */
typedef void (*SpChannelFunc)(const guint8 *bytes, gsize length, void *data);
/**
 * Run @argv on a terminal (pty) of the guest, as large as said, with the variables @environment
 * ("NAME=value", NULL-terminated) besides the agent's usual ones. What it writes goes to @func and
 * is not kept.
 */
SpChannel *sp_agent_exec_terminal(SpAgent *agent, const char *const *argv,
    const char *const *environment, guint rows, guint columns, SpChannelFunc func, void *data);
/** How much a command on a terminal takes now. */
gsize sp_channel_room(SpChannel *channel);
/** Type into it, no more than there is room for. Nothing for one that has ended. */
void sp_channel_write(SpChannel *channel, const guint8 *bytes, gsize length);
/** Its terminal has another size. */
void sp_channel_resize(SpChannel *channel, guint rows, guint columns);
/** Follow something (enum sp_watch_kind); its latest STATE is sp_channel_state(). */
SpChannel *sp_agent_watch(SpAgent *agent, enum sp_watch_kind kind, const char *what);
/**
 * Tell the guest that it goes on from a state saved some time ago: it is now @now_us, microseconds
 * since 1970, and the @length bytes (1 to SP_SEED_MAX) at @seed are nobody else's.
 */
SpChannel *sp_agent_restored(SpAgent *agent, gint64 now_us, const guint8 *seed, gsize length);
/** Write what @fd holds, from its position to its end, as the guest's file @path. @fd is taken. */
SpChannel *sp_agent_put(SpAgent *agent, int fd, const char *path, guint32 mode);
/** Write the guest's file @path to @fd, which is taken. */
SpChannel *sp_agent_get(SpAgent *agent, const char *path, int fd);

/**
 * True once the request has ended: with @error set where it failed (SP_ERROR_GUEST: refused by the
 * guest, SP_ERROR_MACHINE: the connection was lost, SP_ERROR_PROTOCOL, SP_ERROR_HOST). An ended
 * command is no failure, whatever its status. May be asked again and again.
 */
bool sp_channel_is_done(SpChannel *channel, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** The errno by which the agent refused it; 0 where it did not. */
int sp_channel_error_number(SpChannel *channel);
/** Exit status of an ended command; 128 + signal number if a signal ended it. */
int sp_channel_status(SpChannel *channel);
/** What the command wrote so far; owned by the channel. */
GString *sp_channel_output(SpChannel *channel);
GString *sp_channel_errors(SpChannel *channel);
/** Names the processes that held the ended command's output open; NULL for none. */
const char *sp_channel_holders(SpChannel *channel);
/**
 * The last STATE's strings, NULL-terminated, or NULL if none came yet; owned by the channel.
 * @ret_serial (may be NULL) counts them.
 */
char **sp_channel_state(SpChannel *channel, guint *ret_serial);
/** Cancels what has not ended. NULL is fine. */
void sp_channel_free(SpChannel *channel);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpChannel, sp_channel_free)
