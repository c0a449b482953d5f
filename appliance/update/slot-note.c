/* SPDX-License-Identifier: MIT */

/*
 * slot-note: writes the slot selector's messages about this boot, such as why it did not boot the
 * slot that it should have, to the journal, one per line.
 */

#include "appliance/boot/cmdline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void)
{
    char cmdline[CMDLINE_FILE_MAX], note[CMDLINE_MAX];
    int r = cmdline_read(CMDLINE_FILE, cmdline);
    char *rest = NULL;

    if (r < 0) {
        fprintf(stderr, "slot-note: " CMDLINE_FILE ": %s\n", strerror(-r));
        return EXIT_FAILURE;
    }
    cmdline_note(cmdline, note);
    for (char *line = strtok_r(note, ";", &rest); line; line = strtok_r(NULL, ";", &rest))
        printf("%s\n", line + strspn(line, " "));
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
