/* SPDX-License-Identifier: MIT */
#include "base/error.h"

G_DEFINE_QUARK(sp - error, sp_error)
