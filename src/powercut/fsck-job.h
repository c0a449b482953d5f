/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/wait.h"
#include "powercut/crash-disk.h"
#include "powercut/task.h"

#include <glib.h>
#include <stdbool.h>

/** A copy of a part of a crash disk, in memory, for one program after the other. */
typedef struct SpFsckCopy SpFsckCopy;

/** Copy @length bytes of @disk from @offset on. @disk and @task, which may be NULL, must outlive
 * the copy. */
SpFsckCopy *sp_fsck_copy_new(const SpCrashDisk *disk, guint64 offset, guint64 length,
    const SpTask *task, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void sp_fsck_copy_free(SpFsckCopy *copy);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpFsckCopy, sp_fsck_copy_free)
/** Bring the copy to what the disk is now. */
bool sp_fsck_copy_update(SpFsckCopy *copy, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** A path by which other processes of this user can open it; belongs to the copy. */
const char *sp_fsck_copy_path(const SpFsckCopy *copy);

/**
 * A program that checks a file system in a copy, which it may change. Several can run in parallel,
 * each on a copy of its own.
 */
typedef struct SpFsckJob SpFsckJob;

/**
 * Start @argv with the path of @copy as its last argument; the copy must outlive the job. It has a
 * minute. SP_ERROR_USAGE if there is no such program.
 */
SpFsckJob *sp_fsck_job_start(
    const SpFsckCopy *copy, const char *const *argv, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** Kills it if it runs. NULL is accepted. */
void sp_fsck_job_free(SpFsckJob *job);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpFsckJob, sp_fsck_job_free)

/**
 * Wait for its end. @ret_status is its exit status, or 128 and the number of the signal that ended
 * it. False with SP_ERROR_TIMEOUT or SP_ERROR_INTERRUPTED.
 */
bool sp_fsck_job_wait(SpFsckJob *job, const SpInterrupt *interrupt, int *ret_status,
    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** The end of what it wrote. */
char *sp_fsck_job_output(SpFsckJob *job);
