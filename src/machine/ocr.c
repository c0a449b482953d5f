/* SPDX-License-Identifier: MIT */
#include "machine/ocr.h"

#include "base/error.h"
#include "base/process.h"
#include "lib/write-all.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SCREENSHOT_FD 3

/* Letters of 8 pixels read best at twice their size; some only as they are, and what is in reverse
 * video only in the reverse of the rest. */
static const struct {
    bool is_double;
    bool is_reverse;
} variants[SP_OCR_VARIANTS] = {{true, false}, {false, false}, {true, true}};

static GByteArray *prepare_page(const SpScreenshot *screenshot, guint variant)
{
    g_autoptr(SpScreenshot) twice = sp_screenshot_double(screenshot);
    g_autoptr(SpScreenshot) same = g_new0(SpScreenshot, 1);
    SpScreenshot *ready = variants[variant].is_double ? twice : same;

    same->width = screenshot->width;
    same->height = screenshot->height;
    same->pixels = g_memdup2(screenshot->pixels, (gsize)screenshot->width * screenshot->height);
    /* paper is light */
    if (sp_screenshot_is_dark(screenshot) != variants[variant].is_reverse)
        sp_screenshot_reverse(ready);
    return sp_screenshot_format(ready);
}

/* A file without a name that holds @bytes; negative with @error. */
static int make_file(const GByteArray *bytes, GError **error)
{
    int fd = memfd_create("slotproof-screen", MFD_CLOEXEC);
    int r = fd >= 0 ? sp_write_all(fd, bytes->data, bytes->len) : -errno;

    if (r == 0)
        return fd;
    g_set_error(error, SP_ERROR, SP_ERROR_HOST, "a screenshot can't be kept: %s", g_strerror(-r));
    if (fd >= 0)
        close(fd);
    return -1;
}

char *sp_ocr_read(const SpScreenshot *screenshot, guint variant, gint64 deadline,
    const SpInterrupt *interrupt, GError **error)
{
    /* one block of text, as a screen is */
    const char *const argv[] = {"tesseract", "/dev/fd/3", "stdout", "--psm", "6", "--dpi", "150",
        "-c", "debug_file=/dev/null", NULL};
    g_autofree char *program = g_find_program_in_path(argv[0]);
    g_autoptr(GByteArray) file = NULL;
    g_autoptr(SpProcess) process = NULL;
    int fd;

    G_STATIC_ASSERT(SCREENSHOT_FD == 3);
    if (!program) {
        g_set_error_literal(error, SP_ERROR, SP_ERROR_USAGE,
            "text on a screen is read by the program tesseract, which is not installed: try "
            "'apt-get install tesseract-ocr'");
        return NULL;
    }
    file = prepare_page(screenshot, variant);
    fd = make_file(file, error);
    if (fd < 0)
        return NULL;
    process = sp_process_start(argv, &(SpProcessFd){fd, SCREENSHOT_FD}, 1, error);
    close(fd);
    if (!process || !sp_process_wait(process, deadline, interrupt, error))
        return NULL;
    if (sp_process_wait_status(process) == 0)
        return sp_process_output(process);
    g_autofree char *end = sp_process_describe_end(process);
    g_autofree char *output = sp_process_output(process);
    g_set_error(error, SP_ERROR, SP_ERROR_HOST, "tesseract %s: %s", end, g_strchomp(output));
    return NULL;
}
