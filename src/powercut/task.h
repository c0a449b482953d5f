/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/wait.h"

#include <glib.h>
#include <stdbool.h>

/** Work has come so far: @done of @all, in whatever unit; @all is 0 where nobody knows. Called
 * often, so it should be quick. */
typedef void (*SpProgressFunc)(const char *doing, guint64 done, guint64 all, void *data);

/**
 * What work that takes long reports to, and is stopped by.
 */
typedef struct {
    SpInterrupt interrupt;
    SpProgressFunc func; /* or NULL */
    void *data;
} SpTask;

/**
 * To be called by such work at every step, with what it does as a phrase ("copying the disk").
 * False with SP_ERROR_INTERRUPTED where it has to stop. @task may be NULL.
 */
bool sp_task_step(const SpTask *task, const char *doing, guint64 done, guint64 all, GError **error);
