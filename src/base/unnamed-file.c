/* SPDX-License-Identifier: MIT */
#include "base/unnamed-file.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

const char *sp_temporary_directory(void)
{
    const char *dir = g_getenv("TMPDIR");

    return dir && *dir ? dir : "/var/tmp";
}

/* Some file systems lack O_TMPFILE: create a named file and unlink it. */
int sp_unnamed_file_open(GError **error)
{
    const char *dir = sp_temporary_directory();
    g_autofree char *name = g_build_filename(dir, "slotproof-XXXXXX", NULL);
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) {
        fd = mkostemp(name, O_CLOEXEC);
        if (fd >= 0)
            unlink(name);
    }
    if (fd < 0)
        g_set_error(error, SP_ERROR, SP_ERROR_HOST,
            "can't create a temporary file in '%s': %s (set TMPDIR to a directory with space)", dir,
            g_strerror(errno));
    return fd;
}
