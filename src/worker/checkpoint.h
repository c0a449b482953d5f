/* SPDX-License-Identifier: MIT */
#pragma once

#include "store/checkpoint-store.h"
#include "suite/test-conf.h"

#include <glib.h>

/** Which checkpoint is wanted, and how a worker makes it. */
typedef struct {
    const SpTestConf *conf;
    const char *images;
    const char *out_dir; /* its logs go to checkpoint-NAME in there */
    bool shows_consoles;
    int stream_fd; /* lines of its log go here too */
} SpCheckpointMaking;

/**
 * Returns the checkpoint that @making describes, for machines with @configs (SpMachineConfig): from
 * the user's cache, or made by a worker of its own. If it was made, @ret_made_s is the text of
 * SP_MESSAGE_SCRIPT, to be freed with g_free(); otherwise it is untouched.
 *
 * SP_ERROR_ASSERTION with the worker's report if its script does not pass; SP_ERROR_NO_SPACE if the
 * cache's disk can't hold it, whatever is evicted; SP_ERROR_DENIED if something that it depends on
 * may not be read.
 */
SpCheckpoint *sp_checkpoint_prepare(const SpCheckpointMaking *making, const GPtrArray *configs,
    char **ret_made_s, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/**
 * Check that the disk has space for a checkpoint made in @dir, of machines with @configs that start
 * from the checkpoint in @below (NULL: from none). It needs all of their memory, although most of
 * it stays a hole, since QEMU is killed if the disk is full when it writes to its memory; and what
 * the one below takes besides memory. Others are evicted for it. SP_ERROR_NO_SPACE.
 */
bool sp_checkpoint_has_space(const char *dir, const GPtrArray *configs, const char *below,
    GError **error) G_GNUC_WARN_UNUSED_RESULT;

/**
 * Have @machine start its boots from a boot snapshot (machine/boot-snapshot.h): from the user's
 * cache, or made now. To be held as long as the machine exists. It only makes boots faster: if
 * there is none, this is logged, and NULL is returned.
 */
SpCheckpoint *sp_checkpoint_use_boot_snapshot(SpMachine *machine);
