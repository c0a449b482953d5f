/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Power cuts, modelled: what can a directory hold after the power failed while some code changed
 * it?
 *
 * The test program is linked with --wrap for the system calls that change files (see
 * tests/unit/meson.build). Between cut_record() and cut_stop() they are carried out as usual and
 * written down. cut_check() then cuts the power before each of them and at the end, and builds
 * each directory that a disk may hold then:
 *
 * - what fsync() of a file has covered is there; of what was written since, any prefix, or as many
 *   bytes of zeros (allocated, never written);
 * - what fsync() of the directory has covered is there; of the names created, renamed and removed
 *   since, any choice.
 *
 * Only one directory, with plain files, and only these calls: anything else the code does makes
 * cut_stop() fail, as the directory then differs from what was written down.
 *
 *   cut_record(dirfd);
 *   r = store(dirfd);
 *   cut_stop();
 *   cut_check(check, data);
 */

#include <stdbool.h>

/** Start to record changes of the directory @dirfd, which must hold only small files. */
void cut_record(int dirfd);
void cut_stop(void);

/**
 * One directory that the power cut may have left. @is_complete: all calls had returned before.
 * Returns whether it is as it should be.
 */
typedef bool (*cut_check_func)(int dirfd, bool is_complete, void *data);

/** Returns the number of the directories that @check refused; the number of all in @ret_checked. */
unsigned cut_check(cut_check_func check, void *data, unsigned *ret_checked);

/** While recording, let the call number @index (from 0) fail with @error; -1: none. */
void cut_fail(int index, int error);
/** While recording, let each call be interrupted once, and write() take one byte at a time. */
void cut_interrupt(bool is_interrupting);
/** How many calls were recorded. */
unsigned cut_calls(void);
