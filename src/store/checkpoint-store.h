/* SPDX-License-Identifier: MIT */
#pragma once

#include "store/cache.h"

#include <glib.h>
#include <stdbool.h>

/**
 * Where checkpoints are kept: a directory each, with the machines' files and a manifest
 * (checkpoint-manifest.h).
 *
 * A half-made checkpoint is never seen: it gets its name when it is complete. Its files are not
 * synced; one whose files are not what was saved is made again. One that is in use is not evicted,
 * and of two processes that want the same at once one makes it: both by flock(2) on KEY.lock.
 */
extern const SpCacheKind sp_checkpoint_kind;

/** Make the checkpoint's files in the directory @dir. */
typedef bool (*SpCheckpointMakeFunc)(const char *dir, void *data, GError **error);

/** A checkpoint that is in use: it is not evicted. */
typedef struct SpCheckpoint SpCheckpoint;

/**
 * The checkpoint @key in @store_dir, called @name. If there is none, it is made by @make first, or
 * waited for if another process is making it. Fails as @make does, or with SP_ERROR_HOST; whatever
 * fails because the disk is full fails with SP_ERROR_NO_SPACE.
 */
SpCheckpoint *sp_checkpoint_get(const char *store_dir, const char *key, const char *name,
    SpCheckpointMakeFunc make, void *data, GError **error) G_GNUC_WARN_UNUSED_RESULT;
const char *sp_checkpoint_dir(const SpCheckpoint *checkpoint);
/** Whether @make was called. */
bool sp_checkpoint_is_new(const SpCheckpoint *checkpoint);
/** Why the existing one could not be used; NULL if there was none. */
const char *sp_checkpoint_fault(const SpCheckpoint *checkpoint);
/** It is no longer in use. NULL is accepted. */
void sp_checkpoint_free(SpCheckpoint *checkpoint);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpCheckpoint, sp_checkpoint_free)
