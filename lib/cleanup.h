/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Cleanup attributes for code on libc alone. A variable that carries one is initialised where it
 * is declared, and is freed where its scope ends:
 *
 *   sp_auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
 *   sp_auto_free char *text = malloc(length);
 *
 * errno is kept. sp_steal_fd() hands a descriptor out of its scope.
 */

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void sp_cleanup_close(const int *fd)
{
    int saved = errno;

    if (*fd >= 0)
        (void)close(*fd);
    errno = saved;
}

static inline void sp_cleanup_free(void *pointer)
{
    free(*(void **)pointer);
}

static inline void sp_cleanup_closedir(DIR **dir)
{
    int saved = errno;

    if (*dir)
        (void)closedir(*dir);
    errno = saved;
}

static inline void sp_cleanup_fclose(FILE **file)
{
    int saved = errno;

    if (*file)
        (void)fclose(*file);
    errno = saved;
}

/** A descriptor; a negative one is left alone. */
#define sp_auto_close __attribute__((cleanup(sp_cleanup_close)))
/** What malloc() gave. */
#define sp_auto_free __attribute__((cleanup(sp_cleanup_free)))
/** A DIR *, or NULL. */
#define sp_auto_closedir __attribute__((cleanup(sp_cleanup_closedir)))
/** A FILE *, or NULL. What a writer must know of fclose() it asks itself. */
#define sp_auto_fclose __attribute__((cleanup(sp_cleanup_fclose)))

/** Return *@fd and leave -1 in it, so that its scope does not close it. */
static inline int sp_steal_fd(int *fd)
{
    int stolen = *fd;

    *fd = -1;
    return stolen;
}
