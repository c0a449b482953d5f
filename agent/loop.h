/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/**
 * The agent's event loop: descriptors (epoll(7)) and timers. Each turn calls one function. What is
 * ready is served in the order in which it was found, and nothing is looked for again before all
 * of it has had its turn, so that a source which is always ready keeps no other from being served.
 */
struct loop;

/** A descriptor or a timer. It may be freed at any time, by its own function too. */
struct loop_source;

/** @events is what epoll reports of a descriptor; 0 for a timer. */
typedef void (*loop_func)(void *data, uint32_t events);

/** 0 or a negative errno. */
int loop_new(struct loop **ret);
/** Frees the sources that are left, too. NULL is accepted. */
void loop_free(struct loop *loop);

/** Wait until something is ready, and call its function. Returns 0 or a negative errno. */
int loop_turn(struct loop *loop);
/** From now on loop_has_ended(). */
void loop_end(struct loop *loop);
bool loop_has_ended(const struct loop *loop);

/** Watch @fd, which stays the caller's, for @events (EPOLLIN, ...; level-triggered unless EPOLLET
 * is among them). Returns 0 or a negative errno. */
int loop_add_fd(struct loop *loop, int fd, uint32_t events, loop_func func, void *data,
    struct loop_source **ret);
/** Call @func once in @delay_us, or not until loop_source_start(). Returns 0 or a negative errno.
 */
int loop_add_timer(
    struct loop *loop, uint64_t delay_us, loop_func func, void *data, struct loop_source **ret);
/** A timer that does not run. */
#define LOOP_NEVER UINT64_MAX

/** Watch for other events from now on; 0 for none, not even a hang-up. */
void loop_source_set_events(struct loop_source *source, uint32_t events);
/** Start a timer, or start it anew; with LOOP_NEVER stop it. */
void loop_source_start(struct loop_source *source, uint64_t delay_us);
/** Have @destroy called with the source's data when the source is freed. */
void loop_source_set_destroy(struct loop_source *source, void (*destroy)(void *data));
/** Returns NULL, for the caller's pointer. NULL is accepted. */
struct loop_source *loop_source_free(struct loop_source *source);
