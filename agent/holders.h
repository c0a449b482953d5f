/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * Which other processes hold a pipe that a command wrote its output to. They are looked for in
 * /proc (proc(5)); those that start or end meanwhile may be missed.
 */

/** Returns the inode of the pipe @fd; 0 if it is negative or not a pipe. */
ino_t holders_pipe(int fd);

/** Returns true if a process of @session, or one that holds one of the @n pipes, is running or
 * waiting for a disk rather than asleep. */
bool holders_are_busy(pid_t session, const ino_t *pipes, size_t n);

/** Name the processes that hold one of the @n pipes, as "sleep (pid 321), cat (pid 322)", cut to
 * @size; "" if there are none. */
void holders_describe(const ino_t *pipes, size_t n, char *ret_text, size_t size);
