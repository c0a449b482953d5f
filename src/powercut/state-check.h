/* SPDX-License-Identifier: MIT */
#pragma once

#include "powercut/crash-states.h"

#include <glib.h>
#include <stdbool.h>

/*
 * What is asked of each crash state: of a user's command (command-check.h), or by an image's policy
 * (policy-check.h). Several states may be under way; their results come in the order in which they
 * were started.
 */

/**
 * @state was checked. @facts are words KEY=VALUE: states with the same facts are of one class.
 * @failure is NULL, or why the state fails.
 */
typedef void (*SpStateResultFunc)(
    const SpCrashState *state, const char *facts, const char *failure, void *data);

typedef struct {
    /** Before any is started, each state that might be; the disk is in it. May be NULL. */
    void (*count)(void *check);
    /** Start to check @state, which the disk is in. False if the check could not be done. */
    bool (*start)(void *check, const SpCrashState *state, GError **error);
    /** Wait for all results. */
    bool (*finish)(void *check, GError **error);
    /** Report the results that are there, and wait for none: the run was interrupted. May be NULL.
     */
    void (*abandon)(void *check);
    void (*free)(void *check);
} SpStateCheckOps;
