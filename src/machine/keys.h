/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/**
 * The keys of a US keyboard that type @character, in the names of QEMU (QMP reference, "QKeyCode"),
 * joined by '-': "a", "shift-a", "ret". NULL if there are none. Static.
 */
const char *sp_key_of(gunichar character);
