/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/**
 * The host side's errors. Each message is a sentence for the user that names the thing it is about.
 */
#define SP_ERROR (sp_error_quark())
GQuark sp_error_quark(void);

typedef enum {
    SP_ERROR_USAGE,     /* wrong input of the user: a file, a key, an option, a missing tool */
    SP_ERROR_ASSERTION, /* what a test claimed does not hold */
    SP_ERROR_TIMEOUT,   /* a wait came to its end */
    SP_ERROR_MACHINE,   /* a machine failed: QEMU died, the guest panicked, the agent was lost */
    SP_ERROR_GUEST,     /* the guest refused one request (no such file, ...); the machine is well */
    SP_ERROR_PROTOCOL,  /* a peer (agent, QMP) sent what it must not */
    SP_ERROR_HOST,      /* the host failed us: disk full, no memory, no descriptors */
    SP_ERROR_INTERRUPTED, /* the user asked us to stop */
    SP_ERROR_NO_ROOM,     /* a disk has no room for what is only kept to save time */
    SP_ERROR_DENIED,      /* a file that is only wanted to save time may not be read */
} SpErrorCode;

/** For what failed with the errno @number: SP_ERROR_NO_ROOM where a disk, or what the user may have
 * of it, is full (ENOSPC, EDQUOT), otherwise SP_ERROR_HOST. */
SpErrorCode sp_error_code_of_errno(int number);
