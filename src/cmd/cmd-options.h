/* SPDX-License-Identifier: MIT */
#pragma once

#include "store/out-dir.h"
#include "suite/discover.h"
#include "suite/images.h"

#include <glib.h>
#include <stdbool.h>

/* The GOptionEntry of options that several commands have. */
#define SP_OPTION_TESTS(value)                                                                     \
    {                                                                                              \
        "tests", 0, 0, G_OPTION_ARG_FILENAME, value,                                               \
            "Directory of tests (default: " SP_TESTS_DEFAULT ")", "DIR"                            \
    }
#define SP_OPTION_TAG(value)                                                                       \
    {                                                                                              \
        "tag", 0, 0, G_OPTION_ARG_STRING_ARRAY, value,                                             \
            "Only tests with this tag; may be repeated: with any of them", "TAG"                   \
    }
#define SP_OPTION_IMAGES(value)                                                                    \
    {                                                                                              \
        "images", 'i', 0, G_OPTION_ARG_FILENAME, value,                                            \
            "Directory of images (default: $SLOTPROOF_IMAGES, otherwise " SP_IMAGES_DEFAULT ")",   \
            "DIR"                                                                                  \
    }
#define SP_OPTION_OUT(value)                                                                       \
    {                                                                                              \
        "out", 'o', 0, G_OPTION_ARG_FILENAME, value,                                               \
            "Directory for output (default: " SP_OUT_DEFAULT ")", "DIR"                            \
    }

/** What a number has that was not given as an option. */
#define SP_NOT_GIVEN G_MININT

/**
 * Parse @options. --help prints the help and exits with status 0. Returns false, after printing
 * what is wrong, if they are invalid. @name is the command as typed, @arguments describes what
 * follows the options.
 */
bool sp_parse_options(int *argc, char ***argv, const char *name, const char *arguments,
    const char *summary, const GOptionEntry *options) G_GNUC_WARN_UNUSED_RESULT;

/** Whether both exist and are the same file, by whatever names: symlinks are followed, hard links
 * count. NULL is accepted. */
bool sp_is_same_file(const char *a, const char *b);

/** Print "slotproof: ..." on stderr and return 2. */
int sp_usage_error(const char *format, ...) G_GNUC_PRINTF(1, 2);
