/* SPDX-License-Identifier: MIT */
#pragma once

/** What a line of a console means for the machine's kernel. */
typedef enum {
    SP_WORD_NONE,
    SP_WORD_FAULT, /* an oops or a BUG, in the kernel's own format */
    SP_WORD_PANIC, /* a panic, in the kernel's own format: with a time stamp, or its last line */
    SP_WORD_MAYBE_PANIC, /* the beginning of a panic without a time stamp: a kernel without
                          * printk.time writes it so, and so may any program */
} SpKernelWord;

/**
 * Distinguish the kernel's message that it has failed from all other lines. Text that a program or
 * the kernel's command line contains does not count, unless it looks exactly like the kernel's own,
 * such as a console log that is written to the console.
 */
SpKernelWord sp_kernel_word(const char *line);
