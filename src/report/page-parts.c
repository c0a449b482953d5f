/* SPDX-License-Identifier: MIT */
#include "report/page-parts.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

bool sp_record_is_bad(const SpRecord *record)
{
    return record->kind == SP_RESULT_FAILED || record->kind == SP_RESULT_ERROR;
}

char *sp_seconds_text(double seconds)
{
    if (seconds < 1)
        return g_strdup_printf("%.2f s", MAX(seconds, 0));
    if (seconds < 60)
        return g_strdup_printf("%.1f s", seconds);
    return g_strdup_printf("%.0f min %02d s", floor(seconds / 60), (int)fmod(seconds, 60));
}

double sp_record_length(const SpRecord *record)
{
    return MAX(record->end, 0.001);
}

char *sp_section_read_file(const char *dir, const char *name, gsize max, gsize *ret_length)
{
    g_autofree char *path = dir ? g_build_filename(dir, name, NULL) : NULL;
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK) : -1;
    g_autofree char *bytes = NULL;
    struct stat st;
    gsize length = 0;
    ssize_t n = 1;

    if (fd < 0)
        return NULL;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (guint64)st.st_size <= max)
        bytes = g_malloc((gsize)st.st_size + 1);
    while (bytes && length < (gsize)st.st_size && n > 0) {
        n = read(fd, bytes + length, (gsize)st.st_size - length);
        length += (gsize)MAX(n, 0);
    }
    close(fd);
    *ret_length = length;
    return n < 0 ? NULL : g_steal_pointer(&bytes);
}

void sp_append_percent(GString *style, const char *property, double part, double whole)
{
    char number[G_ASCII_DTOSTR_BUF_SIZE];

    g_ascii_formatd(number, sizeof number, "%.3f", 100 * CLAMP(part / whole, 0, 1));
    g_string_append_printf(style, "%s:%s%%;", property, number);
}

const char *sp_step_class(const SpRecordStep *step)
{
    if (step->failure)
        return "bar failed";
    if (g_str_equal(step->kind, "command"))
        return "bar command";
    return g_str_equal(step->kind, "wait") ? "bar wait" : "bar other";
}
