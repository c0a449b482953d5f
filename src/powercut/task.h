/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/wait.h"

#include <glib.h>
#include <stdbool.h>

/** Progress of some work: @done of @all, in any unit; @all is 0 if it is not known. Called often,
 * so it should be quick. */
typedef void (*SpProgressFunc)(const char *doing, guint64 done, guint64 all, void *data);

/**
 * What long work reports its progress to, and is interrupted by.
 */
typedef struct {
    SpInterrupt interrupt;
    SpProgressFunc func; /* or NULL */
    void *data;
} SpTask;

/**
 * To be called by such work at every step, with what it is doing as a phrase ("copying the disk").
 * Returns false with SP_ERROR_INTERRUPTED if it has to stop. @task may be NULL.
 */
bool sp_task_step(const SpTask *task, const char *doing, guint64 done, guint64 all,
    GError **error) G_GNUC_WARN_UNUSED_RESULT;
