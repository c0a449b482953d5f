/* SPDX-License-Identifier: MIT */
#include "runner/out-dir.h"

#include "base/error.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <unistd.h>

#define MARK ".slotproof-output"
#define OPEN_FOLDERS 16

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    return where->level > 0 ? remove(path) : 0;
}

static bool is_empty(const char *path)
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);

    return !dir || !g_dir_read_name(dir);
}

bool sp_out_dir_prepare(const char *path, GError **error)
{
    g_autofree char *mark = g_build_filename(path, MARK, NULL);
    g_autoptr(GError) local = NULL;

    if (!is_empty(path) && !g_file_test(mark, G_FILE_TEST_EXISTS)) {
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
            "'%s' holds files that are not slotproof's: remove it, or name another folder with "
            "--out",
            path);
        return false;
    }
    if (g_mkdir_with_parents(path, 0777) < 0 ||
        nftw(path, remove_one, OPEN_FOLDERS, FTW_DEPTH | FTW_PHYS) < 0) {
        g_set_error(error, SP_ERROR, SP_ERROR_HOST, "the output folder '%s' can't be made: %s",
            path, g_strerror(errno));
        return false;
    }
    if (!g_file_set_contents(mark, "", 0, &local)) {
        g_set_error(error, SP_ERROR, SP_ERROR_HOST, "%s", local->message);
        return false;
    }
    return true;
}
