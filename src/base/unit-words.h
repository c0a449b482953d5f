/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/* What is said of systemd's units: why one does not become active, and why a name is none. */

/** For `systemctl show --property=`: what sp_unit_why_inactive() goes by. */
#define SP_UNIT_PROPERTIES                                                                         \
    "Type,LoadState,LoadError,SubState,Result,ConditionResult,ConditionTimestampMonotonic,"        \
    "AssertResult,AssertTimestampMonotonic,ExecMainStartTimestampMonotonic"

/**
 * Why a unit that is inactive, and that no job starts, stays so: a clause, with what systemd says
 * in parentheses. @properties is what `systemctl show` printed, one NAME=VALUE a line; it may lack
 * any.
 */
char *sp_unit_why_inactive(const char *properties);

/** What is wrong with @unit, which the manager does not take for a unit's name: a clause. */
const char *sp_unit_name_fault(const char *unit);
