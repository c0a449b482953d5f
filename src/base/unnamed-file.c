/* SPDX-License-Identifier: MIT */
#include "base/unnamed-file.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

const char *sp_temporary_folder(void)
{
    const char *folder = g_getenv("TMPDIR");

    return folder && *folder ? folder : "/var/tmp";
}

/* Some file systems can only make one with a name, and take that away. */
int sp_unnamed_file_open(GError **error)
{
    const char *folder = sp_temporary_folder();
    g_autofree char *name = g_build_filename(folder, "slotproof-XXXXXX", NULL);
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) {
        fd = mkostemp(name, O_CLOEXEC);
        if (fd >= 0)
            unlink(name);
    }
    if (fd < 0)
        g_set_error(error, SP_ERROR, SP_ERROR_HOST,
            "no temporary file for a disk in '%s': %s (set TMPDIR to a folder with room)", folder,
            g_strerror(errno));
    return fd;
}
