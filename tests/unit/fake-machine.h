/* SPDX-License-Identifier: MIT */
#pragma once

#include "machine/machine.h"

/**
 * A machine without a machine: src/machine/machine.h with scripted answers, linked in its place.
 *
 * Commands are not run but understood by their first word:
 *   echo TEXT      TEXT on stdout
 *   complain TEXT  TEXT on stderr, status 1
 *   exit N         status N
 *   big N          N bytes on stdout, status 1
 *   bytes          bytes that are no UTF-8
 *   fold           the number of commands so far, or status 1 for a terminal 63
 *   third          status 0 at the third call of it and later ones, 1 before
 *   hang           until its time-out, or an interrupt
 *   panic          the machine breaks
 *   die            the process is killed by a signal
 *   sigint         the process sends itself SIGINT, then hangs
 *   refuse         SP_ERROR_GUEST
 *   freeze         from now on the next one hangs
 *   journalctl     one line
 *   for            a glob: status 0, at the third call of one with 'late', never with 'absent'
 *   printf         /root/x, or status 1 with 'nobody'
 *   systemctl, su  a unit: its name decides on its state
 * Anything else has status 127. The commands that a machine was given are kept.
 */
char **fake_machine_commands(SpMachine *machine); /* owned by the machine */
