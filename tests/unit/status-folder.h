/* SPDX-License-Identifier: MIT */
#pragma once

/* A directory of RAUC's central status file and its copy, and what may be in them, for tests. */

#include "appliance/update/central-status.h"

#include <stdbool.h>
#include <stddef.h>

/** What a file begun anew holds. */
#define STATUS_BEGINNING "[status]\n"
#define STATUS_COPY_HEADER 15 /* "CRC32=%08x\n" */

/* As RAUC 1.8 writes it: the installed slots, and later the others too. */
#define STATUS_GROUP_BOOT_0                                                                        \
    "[slot.boot.0]\n"                                                                              \
    "bundle.compatible=slotproof-gateway\n"                                                        \
    "bundle.version=1.0.0\n"                                                                       \
    "bundle.description=The gateway's first release; \\s[not a group]\n"                           \
    "status=ok\n"                                                                                  \
    "sha256=a95cbbd4ae0a4ff1a5f12d3d9fa51d9dd9a3a5d3f5c2a4f4d7e1b0c9a8f7e6d5\n"                    \
    "size=33554432\n"                                                                              \
    "installed.timestamp=2026-11-23T16:58:01Z\n"                                                   \
    "installed.count=1\n"
#define STATUS_GROUP_ROOTFS_0                                                                      \
    "\n[slot.rootfs.0]\n"                                                                          \
    "bundle.compatible=slotproof-gateway\n"                                                        \
    "status=ok\n"                                                                                  \
    "sha256=\n"                                                                                    \
    "size=268435456\n"                                                                             \
    "installed.count=1\n"

static const char status_older[] = STATUS_GROUP_BOOT_0;
static const char status_text[] = STATUS_GROUP_BOOT_0 STATUS_GROUP_ROOTFS_0;
static const char status_newer[] =
    STATUS_GROUP_BOOT_0 STATUS_GROUP_ROOTFS_0 "\n[slot.boot.1]\nstatus=ok\n";
static const char status_other[] = "# by hand\n\n[slot.boot.1]\nstatus=pending\n";

typedef struct {
    char *path;
    int fd;
} StatusFolder;

/** For g_test_add(): an empty directory; down checks that nothing else was left in it. */
void status_up(StatusFolder *f, const void *data);
void status_down(StatusFolder *f, const void *data);

/** Write the file @name, as it comes. */
void status_put_at(int dirfd, const char *name, const void *data, size_t length);
/** Write the status file. */
void status_put(const StatusFolder *f, const void *data, size_t length);
/** The bytes of a copy of @text, and their length. To be freed. */
char *status_make_copy(const char *text, size_t *ret_length);
/** Write such a copy. */
void status_put_copy(const StatusFolder *f, const char *text);
/** Remove a file or an empty directory, if it is there. */
void status_drop(const StatusFolder *f, const char *name);

bool status_holds(int dirfd, const char *name, const char *text, size_t length);
/** The status file holds @text, and the copy is one of @copy; NULL: there is none. */
void status_assert_files(const StatusFolder *f, const char *text, const char *copy);
/** Run central_status_keep(), which must succeed and say this. */
void status_assert_kept(
    const StatusFolder *f, enum central_status_found found, enum central_status_done done);
