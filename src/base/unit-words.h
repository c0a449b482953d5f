/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/* Explanations about systemd units: why one does not become active, and why a name is invalid. */

/** For `systemctl show --property=`: the properties that sp_unit_why_inactive() reads. */
#define SP_UNIT_PROPERTIES                                                                         \
    "Type,LoadState,LoadError,SubState,Result,ConditionResult,ConditionTimestampMonotonic,"        \
    "AssertResult,AssertTimestampMonotonic,ExecMainStartTimestampMonotonic"

/**
 * Why a unit that is inactive and has no start job stays inactive: a clause, with systemd's own
 * words in parentheses. @properties is the output of `systemctl show`, one NAME=VALUE per line; any
 * may be missing.
 */
char *sp_unit_why_inactive(const char *properties);

/** What is wrong with @unit, which the manager rejects as a unit name: a clause. */
const char *sp_unit_name_fault(const char *unit);
