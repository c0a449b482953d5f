/* SPDX-License-Identifier: MIT */
#include "store/out-dir.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define MARK ".slotproof-output"
#define OPEN_DIRECTORIES_MAX 16

static int remove_below(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    return where->level > 0 ? remove(path) : 0;
}

static bool is_empty(const char *path)
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);

    return !dir || !g_dir_read_name(dir);
}

/* The process that holds a flock(2) lock on the file @st; 0 if that is not known. */
static int find_holder(const struct stat *st)
{
    g_autofree char *text = NULL;
    g_autofree char *wanted = g_strdup_printf(
        "%02x:%02x:%" G_GUINT64_FORMAT, major(st->st_dev), minor(st->st_dev), (guint64)st->st_ino);
    g_auto(GStrv) lines = NULL;

    if (!g_file_get_contents("/proc/locks", &text, NULL, NULL))
        return 0;
    lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++) {
        char kind[16], file[64];
        int pid;

        /* proc(5): "1: FLOCK  ADVISORY  WRITE 1234 08:01:5678 0 EOF" */
        if (sscanf(*line, "%*s %15s %*s %*s %d %63s", kind, &pid, file) == 3 &&
            g_str_equal(kind, "FLOCK") && g_str_equal(file, wanted))
            return pid;
    }
    return 0;
}

static void refuse_locked(const char *path, int fd, GError **error)
{
    struct stat st;
    int holder = fstat(fd, &st) == 0 ? find_holder(&st) : 0;
    g_autofree char *process = holder > 0 ? g_strdup_printf(" (process %d)", holder) : NULL;

    g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
        "'%s' is in use by another run%s: wait for its end, or name another directory with --out",
        path, process ? process : "");
}

int sp_out_dir_lock(const char *path, GError **error)
{
    int fd = -1;

    if (g_mkdir_with_parents(path, 0777) == 0)
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || access(path, W_OK | X_OK) < 0) {
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
            "the output directory '%s' can't be written to: %s: name another with --out", path,
            g_strerror(errno));
        if (fd >= 0)
            close(fd);
        return -1;
    }
    /* some network file systems have no such locks: nothing guards it there */
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
        return fd;
    refuse_locked(path, fd, error);
    close(fd);
    return -1;
}

static bool empty_directory(const char *path, GError **error)
{
    g_autofree char *mark = g_build_filename(path, MARK, NULL);
    g_autoptr(GError) local = NULL;

    if (!is_empty(path) && !g_file_test(mark, G_FILE_TEST_EXISTS)) {
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
            "'%s' holds files that are not slotproof's: remove it, or name another directory with "
            "--out",
            path);
        return false;
    }
    if (nftw(path, remove_below, OPEN_DIRECTORIES_MAX, FTW_DEPTH | FTW_PHYS) < 0) {
        g_set_error(error, SP_ERROR, SP_ERROR_HOST,
            "the output directory '%s' can't be emptied: %s", path, g_strerror(errno));
        return false;
    }
    if (!g_file_set_contents(mark, "", 0, &local)) {
        g_set_error(error, SP_ERROR, SP_ERROR_HOST, "%s", local->message);
        return false;
    }
    return true;
}

bool sp_out_dir_claim(const char *path)
{
    g_autofree char *mark = g_build_filename(path, MARK, NULL);

    if (g_mkdir_with_parents(path, 0777) < 0)
        return false;
    return g_file_test(mark, G_FILE_TEST_EXISTS) ||
           (is_empty(path) && g_file_set_contents(mark, "", 0, NULL));
}

bool sp_out_dir_prepare(const char *path, int *ret_lock, GError **error)
{
    int fd = sp_out_dir_lock(path, error);

    if (fd < 0)
        return false;
    if (!empty_directory(path, error)) {
        close(fd);
        return false;
    }
    if (ret_lock)
        *ret_lock = fd;
    else
        close(fd);
    return true;
}
