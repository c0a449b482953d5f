/* SPDX-License-Identifier: MIT */
#pragma once

#include "store/checkpoint-store.h"
#include "suite/test-conf.h"

#include <glib.h>

/** Which checkpoint is wanted, and how a worker makes it. */
typedef struct {
    const SpTestConf *conf;
    const char *images;
    const char *out_dir; /* of who wants it: logs go to checkpoint-NAME in there */
    bool shows_consoles;
    int stream_fd; /* the lines of its log go here too */
} SpCheckpointMaking;

/**
 * The checkpoint that @making tells of, for machines as @configs (SpMachineConfig) say: out of the
 * user's cache, or made by a worker of its own: then @ret_made_s is the text of SP_MESSAGE_SCRIPT,
 * otherwise NULL. Free with g_free().
 *
 * SP_ERROR_ASSERTION with the worker's report where its script does not pass; SP_ERROR_NO_SPACE
 * where the cache's disk can't hold it, whatever is evicted; SP_ERROR_DENIED where what it
 * depends on may not be read.
 */
SpCheckpoint *sp_checkpoint_prepare(
    const SpCheckpointMaking *making, const GPtrArray *configs, char **ret_made_s, GError **error);

/**
 * Whether the disk has room for a checkpoint that is made in @dir, of machines as @configs say that
 * go on from the one in @below (NULL: from none): all of their memory, although most of it stays a
 * hole, since QEMU is killed where its memory finds the disk full; and what the one below holds
 * besides. Others are evicted for it. SP_ERROR_NO_SPACE.
 */
bool sp_checkpoint_has_room(
    const char *dir, const GPtrArray *configs, const char *below, GError **error);

/**
 * Have @machine begin its boots with the state of one like it that has not read its disk yet
 * (machine/boot-snapshot.h): out of the user's cache, or made now. To be held as long as the
 * machine is there. It is only faster: where it can't be had the machine's log says so, and this is
 * NULL.
 */
SpCheckpoint *sp_checkpoint_use_boot_snapshot(SpMachine *machine);
