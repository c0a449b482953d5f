/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>

/**
 * Where checkpoints are kept: a folder each in $XDG_CACHE_HOME/slotproof/checkpoints, by its key,
 * with the machines' files and a manifest.
 *
 * One that is half made is never seen: it gets its name when all is in it. It is not waited for the
 * disk: the files are read, and compared with the digests in the manifest, when one is first used
 * after the host was started, and whenever inode, size or times of one say that it may have been
 * changed. One that is not what was saved is made anew. One that is used
 * is not thrown away meanwhile, and two who want the same at once have it made once: both by
 * flock(2) on KEY.lock. Beyond a size the least recently used go.
 */
#define SP_CHECKPOINTS_SIZE_DEFAULT_MIB 3072u

/** Free with g_free(). */
char *sp_checkpoints_folder(void);
/** How many bytes checkpoints may take: $SLOTPROOF_CACHE_MIB if that is a number. */
guint64 sp_checkpoints_size_max(void);

/** Make the checkpoint's files in the folder @dir. */
typedef bool (*SpCheckpointMakeFunc)(const char *dir, void *data, GError **error);

/** A checkpoint that is held: nobody throws it away. */
typedef struct SpCheckpoint SpCheckpoint;

/**
 * The checkpoint @key of @folder, called @name; if there is none it is made by @make first, which
 * somebody else may be doing: then this waits. Fails as @make does, or with SP_ERROR_HOST;
 * whatever fails on a disk that is full fails with SP_ERROR_NO_SPACE.
 */
SpCheckpoint *sp_checkpoint_get(const char *folder, const char *key, const char *name,
    SpCheckpointMakeFunc make, void *data, GError **error);
const char *sp_checkpoint_dir(const SpCheckpoint *checkpoint);
/** True where @make was called. */
bool sp_checkpoint_is_new(const SpCheckpoint *checkpoint);
/** Why the one that was there could not be used; NULL where there was none. */
const char *sp_checkpoint_fault(const SpCheckpoint *checkpoint);
/** Let go of it. NULL is fine. */
void sp_checkpoint_free(SpCheckpoint *checkpoint);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpCheckpoint, sp_checkpoint_free)

/** What is known of one that is kept. */
typedef struct {
    char *key;
    char *name;    /* of the checkpoint's folder among the tests */
    guint64 size;  /* bytes that its files take on the disk */
    gint64 used_s; /* when it was last used, seconds since 1970 */
} SpCheckpointInfo;
void sp_checkpoint_info_free(SpCheckpointInfo *info);

/** Of SpCheckpointInfo, the one that was used last in front; empty where there is no folder. */
GPtrArray *sp_checkpoints_list(const char *folder);
/** Compare the files of @key with its manifest; SP_ERROR_HOST says which differs. */
bool sp_checkpoint_verify(const char *folder, const char *key, GError **error);
/**
 * Evict @key, what was left of making it included. False where somebody uses it, or it can't
 * be removed.
 */
bool sp_checkpoint_remove(const char *folder, const char *key);
/** Evict those that were not used for longest, until they took @bytes, or none is left that
 * nobody uses. */
void sp_checkpoints_make_room(const char *folder, guint64 bytes);
/** Evict what those left who died while they made one, and those that were not used for
 * longest until all take @size_max bytes at most. */
void sp_checkpoints_limit(const char *folder, guint64 size_max);
