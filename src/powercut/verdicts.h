/* SPDX-License-Identifier: MIT */
#pragma once

#include "powercut/state-partition.h"

#include <glib.h>
#include <stdbool.h>

/**
 * What programs say of a range of a crash disk, asked once for each content that it has.
 */
typedef struct SpVerdicts SpVerdicts;

typedef struct {
    SpDiskHash hash;          /* of the content */
    SpBootDecision decision;  /* of the state partition */
    bool is_data_rolled_back; /* of the data partition */
    GError *error;            /* NULL where the content is good */
} SpVerdict;

/** Start to look at what the disk is now, by way of @copy. */
typedef SpProbe *(*SpVerdictStartFunc)(SpProbeCopy *copy, GError **error);
/** Wait for what was found, which goes into @verdict but for the error. */
typedef bool (*SpVerdictFinishFunc)(
    SpProbe *probe, const SpInterrupt *interrupt, SpVerdict *verdict, GError **error);

typedef struct {
    SpVerdictStartFunc start;
    SpVerdictFinishFunc finish;
} SpVerdictFuncs;

/**
 * On these bytes of a disk, whose hash is that of its range @range. @jobs programs at most run side
 * by side. @task must outlive it.
 */
SpVerdicts *sp_verdicts_new(const SpVerdictFuncs *funcs, guint64 offset, guint64 length,
    guint range, guint jobs, const SpTask *task);
void sp_verdicts_free(SpVerdicts *verdicts);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpVerdicts, sp_verdicts_free)

/** Ask now about the content that @disk has, so that the answer is there when it is wanted. */
void sp_verdicts_prepare(SpVerdicts *verdicts, const SpCrashDisk *disk);
/** The verdict on it, which stays as long as @verdicts; its error may also be the host's. */
const SpVerdict *sp_verdicts_get(SpVerdicts *verdicts, const SpCrashDisk *disk);
/** How many contents were asked about. */
guint sp_verdicts_count(const SpVerdicts *verdicts);
