/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/**
 * Errors of the driver. Each message is a sentence that names the thing it is about.
 */
#define SP_ERROR (sp_error_quark())
GQuark sp_error_quark(void);

typedef enum {
    SP_ERROR_USAGE,     /* invalid input: a file, a key, an option, a missing tool */
    SP_ERROR_ASSERTION, /* an assertion of the test does not hold */
    SP_ERROR_TIMEOUT,   /* a wait timed out */
    SP_ERROR_MACHINE,   /* a machine failed: QEMU died, the guest panicked, the agent was lost */
    SP_ERROR_GUEST,     /* the guest refused one request (no such file, ...); the machine is fine */
    SP_ERROR_PROTOCOL,  /* a peer (agent, QMP) violated the protocol */
    SP_ERROR_HOST,      /* the host failed: disk full, out of memory, out of descriptors */
    SP_ERROR_INTERRUPTED, /* the user asked us to stop */
    SP_ERROR_NO_SPACE,    /* no disk space for something that is only kept to save time */
    SP_ERROR_DENIED,      /* no permission to read a file that would only save time */
} SpErrorCode;

/** The code for errno @number: SP_ERROR_NO_SPACE if a disk or the user's quota is full (ENOSPC,
 * EDQUOT), otherwise SP_ERROR_HOST. */
SpErrorCode sp_error_code_of_errno(int number);
