/* SPDX-License-Identifier: MIT */
#pragma once

#include "lib/agent-frame.h"

#include <glib.h>
#include <stdbool.h>

/**
 * The driver's end of the connection to a guest's agent (lib/agent-frame.h has the wire format).
 *
 * Nothing here blocks: requests are channels that end while the default main context runs. Main
 * thread only.
 */
typedef struct SpAgent SpAgent;

/** A request, in flight or ended. */
typedef struct SpChannel SpChannel;

/**
 * Talk over the stream socket @fd, which is taken and made non-blocking. HELLO is sent at once; the
 * other side may read it whenever it starts.
 */
SpAgent *sp_agent_new(int fd);
/** Channels that have not ended do so with an error. NULL is accepted. */
void sp_agent_free(SpAgent *agent);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpAgent, sp_agent_free)

/**
 * The guest's end was closed or the guest was reset: all channels end with SP_ERROR_MACHINE and
 * @reason, partly sent or received frames are dropped, and a new HELLO is sent.
 */
void sp_agent_reset(SpAgent *agent, const char *reason);

/** Called each time HELLO has been answered; must not free the agent. */
typedef void (*SpAgentReadyFunc)(void *data);
void sp_agent_set_ready_func(SpAgent *agent, SpAgentReadyFunc func, void *data);
/** True once HELLO has been answered. */
bool sp_agent_is_ready(SpAgent *agent);
/**
 * The error of the connection itself: garbage, an overlong frame, a wrong version, a closed socket.
 * NULL if there is none. Owned by the agent; cleared by sp_agent_reset().
 */
const GError *sp_agent_error(SpAgent *agent);
/** The guest's boot ID, SP_BOOT_ID_SIZE bytes, once ready. */
const guint8 *sp_agent_boot_id(SpAgent *agent);

/**
 * Run @argv in the guest, without stdin. Output is kept by the channel, up to a limit above which
 * the command is killed and the channel fails.
 */
SpChannel *sp_agent_exec(SpAgent *agent, const char *const *argv);
/** The events of a streamed command; each function may free the channel. */
typedef struct {
    void (*output)(const guint8 *bytes, gsize length, void *data); /* on its stdout */
    void (*errors)(void *data); /* on its stderr: sp_channel_errors() */
    void (*end)(void *data);    /* of its stdout: it has closed it, or is about to exit */
    void (*done)(void *data);   /* sp_channel_is_done() from now on; not after sp_channel_free() */
} SpOutputFuncs;
/**
 * Run @argv in the guest with all that can be read from @fd as its stdin. @fd is taken; it may be a
 * non-blocking socket. @funcs is called while the main context runs, never from this function: if
 * the command can't be started, the channel is done at once.
 *
 * The guest's agent can't wait for a driver that is slow to take the output: stop the command
 * instead (SIGSTOP, SIGCONT).
 */
SpChannel *sp_agent_exec_streamed(
    SpAgent *agent, const char *const *argv, int fd, const SpOutputFuncs *funcs, void *data);
/** Send a signal to the command's process group. Does nothing once it is done. */
void sp_channel_signal(SpChannel *channel, guint32 number);
/**
 * Called with the output of a command on a terminal as it arrives; a @length of 0 means that the
 * command takes more input. Must not free the channel.
 */
typedef void (*SpChannelFunc)(const guint8 *bytes, gsize length, void *data);
/**
 * Run @argv on a terminal (pty) of this size in the guest, with the variables @environment
 * ("NAME=value", NULL-terminated) added to the agent's usual ones. Its output goes to @func and is
 * not kept.
 */
SpChannel *sp_agent_exec_terminal(SpAgent *agent, const char *const *argv,
    const char *const *environment, guint rows, guint columns, SpChannelFunc func, void *data);
/** How many bytes a command on a terminal takes now. */
gsize sp_channel_room(SpChannel *channel);
/** Type into it, at most sp_channel_room() bytes. Does nothing if it has ended. */
void sp_channel_write(SpChannel *channel, const guint8 *bytes, gsize length);
/** Change the size of its terminal. */
void sp_channel_resize(SpChannel *channel, guint rows, guint columns);
/** Follow something (enum sp_watch_kind); its latest STATE is sp_channel_state(). */
SpChannel *sp_agent_watch(SpAgent *agent, enum sp_watch_kind kind, const char *what);
/**
 * Tell the guest that it was restored from a saved state: the time is now @now_us, in microseconds
 * since 1970, and the @length bytes (1 to SP_SEED_MAX) at @seed are unique random data.
 */
SpChannel *sp_agent_restored(SpAgent *agent, gint64 now_us, const guint8 *seed, gsize length);
/** Write the contents of @fd, from its position to the end, to the guest's file @path. @fd is
 * taken. */
SpChannel *sp_agent_put(SpAgent *agent, int fd, const char *path, guint32 mode);
/** Write the guest's file @path to @fd, which is taken. */
SpChannel *sp_agent_get(SpAgent *agent, const char *path, int fd);

/**
 * True once the request has ended, with @error set if it failed (SP_ERROR_GUEST: refused by the
 * guest, SP_ERROR_MACHINE: the connection was lost, SP_ERROR_PROTOCOL, SP_ERROR_HOST). A command
 * that has ended is not a failure, whatever its status. May be called repeatedly.
 */
bool sp_channel_is_done(SpChannel *channel, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** The errno with which the agent refused it; 0 if it did not. */
int sp_channel_error_number(SpChannel *channel);
/** Exit status of an ended command; 128 + signal number if a signal ended it. */
int sp_channel_status(SpChannel *channel);
/** The output so far; owned by the channel. */
GString *sp_channel_output(SpChannel *channel);
GString *sp_channel_errors(SpChannel *channel);
/** The names of the processes that held the ended command's output open; NULL if none did. */
const char *sp_channel_holders(SpChannel *channel);
/**
 * The last STATE's strings, NULL-terminated, or NULL if there was none yet; owned by the channel.
 * @ret_serial (may be NULL) counts them.
 */
char **sp_channel_state(SpChannel *channel, guint *ret_serial);
/** Cancels the request if it has not ended. NULL is accepted. */
void sp_channel_free(SpChannel *channel);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpChannel, sp_channel_free)
