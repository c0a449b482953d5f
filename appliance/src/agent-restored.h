/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * slotproof-agent restored TIME SEED: this machine goes on from a state that was saved some time
 * ago, and from which others may go on too. Sets the clock to TIME, microseconds since 1970, and
 * gives the kernel's random pool SEED, bytes in hexadecimal, at once (random(4)).
 *
 * Returns the exit status: 0, 1 where the kernel refuses, 2 for wrong usage.
 */
int restored_main(int argc, char **argv);
