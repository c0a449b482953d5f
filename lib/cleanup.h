/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Cleanup attributes for code that uses libc only. A variable with one must be initialised where it
 * is declared, and is freed at the end of its scope:
 *
 *   sp_auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
 *   sp_auto_free char *text = malloc(length);
 *
 * errno is preserved. sp_steal_fd() moves a descriptor out of its scope.
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

/** Closes a descriptor, unless it is negative. */
#define sp_auto_close __attribute__((cleanup(sp_cleanup_close)))
/** Frees memory from malloc(). */
#define sp_auto_free __attribute__((cleanup(sp_cleanup_free)))
/** Closes a DIR *; accepts NULL. */
#define sp_auto_closedir __attribute__((cleanup(sp_cleanup_closedir)))
/** Closes a FILE *; accepts NULL. A writer that needs fclose()'s result calls it itself. */
#define sp_auto_fclose __attribute__((cleanup(sp_cleanup_fclose)))

/** Returns *@fd and sets it to -1, so that its scope does not close it. */
static inline int sp_steal_fd(int *fd)
{
    int stolen = *fd;

    *fd = -1;
    return stolen;
}
