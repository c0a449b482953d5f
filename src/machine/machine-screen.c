/* SPDX-License-Identifier: MIT */

/* What a machine shows: screenshots of its screen, and the text on them. */

#include "machine/machine-screen.h"
#include "base/error.h"
#include "base/json.h"
#include "machine/machine-private.h"
#include "machine/ocr.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Between two looks at the screen, which has no event. */
#define POLL_MS 100

/* A QEMU before 7.1 writes PPM only. */
static bool lacks_formats(SpMachine *machine)
{
    json_auto_t *version = sp_machine_query(machine, NULL, "query-version", NULL);
    const json_t *qemu = json_object_get(version, "qemu");
    gint64 major = sp_json_int(qemu, "major", G_MAXINT);

    return major < 7 || (major == 7 && sp_json_int(qemu, "minor", 0) < 1);
}

/* Have QEMU write what the screen shows into the file at @path, in @format; NULL: PPM. */
static bool dump_screen(SpMachine *machine, const char *path, const char *format, GError **error)
{
    GError *local = NULL;

    if (!sp_machine_is_well(machine, SP_WAIT_QEMU, error))
        return false;
    if (sp_machine_command(
            machine, &local, "screendump", "{s:s, s:s*}", "filename", path, "format", format))
        return true;
    if (format && g_error_matches(local, SP_ERROR, SP_ERROR_GUEST) && lacks_formats(machine)) {
        g_clear_error(&local);
        g_set_error_literal(&local, SP_ERROR, SP_ERROR_USAGE,
            "this QEMU can't write screenshots: it has to be 7.1 or later");
    }
    g_propagate_prefixed_error(error, local, "no screenshot: ");
    return false;
}

bool sp_machine_screenshot(SpMachine *machine, const char *path, GError **error)
{
    g_autofree char *absolute = g_canonicalize_filename(path, NULL);
    GError *local = NULL;

    dump_screen(machine, absolute, "png", &local);
    return sp_machine_report(machine, local, error);
}

/* The whole of @fd, whose offset is anywhere. */
static GBytes *map_screenshot(int fd, GError **error)
{
    struct stat st;
    void *data;

    if (fstat(fd, &st) == 0 && st.st_size > 0) {
        data = mmap(NULL, (gsize)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data != MAP_FAILED) {
            GBytes *bytes = g_bytes_new(data, (gsize)st.st_size);
            munmap(data, (gsize)st.st_size);
            return bytes;
        }
    }
    g_set_error_literal(error, SP_ERROR, SP_ERROR_PROTOCOL, "QEMU wrote no screenshot");
    return NULL;
}

/* What the screen shows, as a PPM file; it is never one that others could see. */
static GBytes *take_screenshot(SpMachine *machine, GError **error)
{
    int fd = memfd_create("slotproof-screen", MFD_CLOEXEC);
    g_autofree char *path = g_strdup_printf("/proc/%d/fd/%d", getpid(), fd);
    GBytes *bytes = NULL;

    if (fd < 0) {
        g_set_error(
            error, SP_ERROR, SP_ERROR_HOST, "a screenshot can't be kept: %s", g_strerror(errno));
        return NULL;
    }
    if (dump_screen(machine, path, NULL, error))
        bytes = map_screenshot(fd, error);
    close(fd);
    return bytes;
}

static char *recognize_text(
    SpMachine *machine, GBytes *file, guint variant, gint64 deadline, GError **error)
{
    gsize length;
    const guint8 *data = g_bytes_get_data(file, &length);
    g_autoptr(SpScreenshot) screenshot = sp_screenshot_parse(data, length, error);

    if (!screenshot)
        return NULL;
    return sp_ocr_read(screenshot, variant, deadline, &machine->config.interrupt, error);
}

static char **read_screen(SpMachine *machine, guint variants, GError **error)
{
    gint64 deadline = sp_machine_deadline(machine, -1);
    g_autoptr(GBytes) file = take_screenshot(machine, error);
    g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; file && i < MIN(variants, SP_OCR_VARIANTS); i++) {
        char *text = recognize_text(machine, file, i, deadline, error);
        if (!text)
            return NULL;
        g_ptr_array_add(texts, text);
    }
    if (!file)
        return NULL;
    g_ptr_array_add(texts, NULL);
    return (char **)g_ptr_array_steal(texts, NULL);
}

char **sp_machine_screen_text(SpMachine *machine, guint variants, GError **error)
{
    GError *local = NULL;
    char **texts = read_screen(machine, variants, &local);

    (void)!sp_machine_report(machine, local, error);
    return texts;
}

/* 1: @regex matches what can be read in @file, 0: not, -1 with @error. */
static int match_screenshot(SpMachine *machine, GBytes *file, GRegex *regex, gint64 deadline,
    char **last_text, GError **error)
{
    for (guint i = 0; i < SP_OCR_VARIANTS; i++) {
        g_autofree char *text = recognize_text(machine, file, i, deadline, error);

        if (!text)
            return -1;
        if (g_regex_match(regex, text, 0, NULL))
            return 1;
        if (i == 0) {
            g_free(*last_text);
            *last_text = g_strchomp(g_steal_pointer(&text));
        }
    }
    return 0;
}

/* Look until it is there. Also returns true at the deadline, with @ret_found false. */
static bool look_for_text(SpMachine *machine, GRegex *regex, gint64 deadline, char **last_text,
    bool *ret_found, GError **error)
{
    g_autoptr(GBytes) seen = NULL;
    GError *local = NULL;
    int matches = 0;

    while (matches == 0 && g_get_monotonic_time() < deadline) {
        g_autoptr(GBytes) file = take_screenshot(machine, error);

        if (!file)
            return false;
        /* the same screenshot reads the same */
        if (!seen || !g_bytes_equal(seen, file)) {
            matches = match_screenshot(machine, file, regex, deadline, last_text, &local);
            g_clear_pointer(&seen, g_bytes_unref);
            seen = g_bytes_ref(file);
        } else if (!sp_machine_is_well(machine, SP_WAIT_CONSOLE, error)) {
            return false; /* nor will it change */
        }
        if (matches == 0 && !sp_pause(POLL_MS, &machine->config.interrupt, error))
            return false;
    }
    *ret_found = matches == 1;
    if (g_error_matches(local, SP_ERROR, SP_ERROR_TIMEOUT))
        g_clear_error(&local);
    if (!local)
        return true;
    g_propagate_error(error, local);
    return false;
}

static bool wait_for_text(SpMachine *machine, const char *regex, gint64 timeout_ms, GError **error)
{
    gint64 deadline = sp_machine_deadline(machine, timeout_ms);
    g_autoptr(GRegex) compiled = g_regex_new(regex, G_REGEX_MULTILINE, 0, NULL);
    g_autofree char *last_text = NULL;
    bool is_found = false;

    if (!compiled) {
        g_set_error(
            error, SP_ERROR, SP_ERROR_USAGE, "'%s' is not a valid regular expression", regex);
        return false;
    }
    if (!sp_machine_switch_on(machine, false, error) ||
        !look_for_text(machine, compiled, deadline, &last_text, &is_found, error))
        return false;
    if (is_found)
        return true;
    g_set_error(error, SP_ERROR, SP_ERROR_TIMEOUT,
        "no text on the screen matched '%s' in time; what was read last:\n%s", regex,
        last_text ? last_text : "nothing");
    return false;
}

bool sp_machine_wait_for_text(
    SpMachine *machine, const char *regex, gint64 timeout_ms, GError **error)
{
    GError *local = NULL;

    wait_for_text(machine, regex, timeout_ms, &local);
    return sp_machine_report(machine, local, error);
}
