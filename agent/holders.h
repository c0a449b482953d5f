/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * Who else holds a pipe that a command wrote its output to. Looks in /proc (proc(5)); what ends or
 * begins meanwhile may be missed.
 */

/** The inode of the pipe @fd; 0 for a negative one, and for what is no pipe. */
ino_t holders_pipe(int fd);

/** True if a process of @session, or one that holds one of the @n pipes, runs or waits for a disk,
 * rather than sleeps. */
bool holders_are_busy(pid_t session, const ino_t *pipes, size_t n);

/** Name those that hold one of the @n pipes, as "sleep (pid 321), cat (pid 322)", cut to @size; ""
 * where nobody does. */
void holders_describe(const ino_t *pipes, size_t n, char *ret_text, size_t size);
