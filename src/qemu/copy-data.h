/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>

/**
 * Copy the contents of the file @from to the empty or zeroed file @to, which gets its length. Holes
 * stay holes, and if the file system can, both share their blocks. Works between any two file
 * systems. Returns false with errno.
 */
bool sp_copy_data(int from, int to) __attribute__((warn_unused_result));
