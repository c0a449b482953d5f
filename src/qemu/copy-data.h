/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>

/**
 * Copy what the file @from holds to the empty or zeroed file @to, which gets its length: holes stay
 * holes, and where the file system can, both share their blocks. Between any two file systems.
 * False with errno.
 */
bool sp_copy_data(int from, int to);
