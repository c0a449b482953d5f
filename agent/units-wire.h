/* SPDX-License-Identifier: MIT */
#pragma once

#include "lib/agent-frame.h"

/*
 * Between the agent and slotproof-agent-units, on a socket of whole messages (SOCK_SEQPACKET),
 * which is the program's stdin: agent frames, each one message. The agent sends WATCH, of units
 * only, and CANCEL, which has no answer. The program answers with STATE, or with ERROR, which ends
 * the channel. It ends when the socket is closed.
 */

/* The manager takes no longer name (UNIT_NAME_MAX of systemd). */
#define UNITS_NAME_MAX 256u
/* LoadState, ActiveState, SubState, Result and the job's number. */
#define UNITS_STATE_MAX (5u * 32u)
#define UNITS_MESSAGE_MAX (SP_AGENT_FRAME_HEADER_SIZE + 4u + UNITS_NAME_MAX)

#define UNITS_PROGRAM "slotproof-agent-units"
