/* SPDX-License-Identifier: MIT */

/*
 * status-keeper: puts RAUC's central status file in order before RAUC starts, and keeps a copy of
 * it after an installation.
 */

#include "appliance/update/central-status.h"
#include "lib/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define PROGRAM "status-keeper"
#define STATUS_DIR "/data/rauc"

int main(int argc, char **argv)
{
    static const char *const was[] = {"whole", "missing", "empty", "torn"};
    const char *directory = getenv("SLOTPROOF_STATUS_DIR"); /* for tests */
    sp_auto_close int dirfd = -1;
    enum central_status_found found;
    enum central_status_done done;
    int r;

    if (!directory || !*directory)
        directory = STATUS_DIR;
    dirfd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    r = dirfd < 0 ? -errno : central_status_keep(dirfd, &found, &done);
    if (r < 0) {
        fprintf(stderr, PROGRAM ": RAUC's status file in %s can't be kept: %s\n", directory,
            strerror(-r));
        /* As a handler it runs once the installation is complete, which must not count as failed.
         */
        return getenv("RAUC_BUNDLE_MOUNT_POINT") ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    if (done == CENTRAL_STATUS_RESTORED)
        printf("RAUC's central status file was %s: recovered from its copy\n", was[found]);
    else if (found == CENTRAL_STATUS_EMPTY || found == CENTRAL_STATUS_TORN)
        printf("RAUC's central status file was %s and there is no copy: started a new one\n",
            was[found]);
    return EXIT_SUCCESS;
}
