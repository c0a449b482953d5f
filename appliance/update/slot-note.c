/* SPDX-License-Identifier: MIT */

/*
 * slot-note: writes what the slot selector had to say of this boot (why it did not take the slot
 * that it was meant to, for one) to the journal, a line each.
 */

#include "appliance/boot/cmdline.h"
#include "lib/atomic-file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void)
{
    char cmdline[CMDLINE_MAX], note[CMDLINE_MAX];
    ssize_t length = sp_read_file_at(AT_FDCWD, "/proc/cmdline", cmdline, sizeof cmdline - 1);
    char *rest = NULL;

    if (length < 0) {
        fprintf(stderr, "slot-note: /proc/cmdline: %s\n", strerror((int)-length));
        return EXIT_FAILURE;
    }
    cmdline[length] = '\0';
    cmdline_note(cmdline, note);
    for (char *line = strtok_r(note, ";", &rest); line; line = strtok_r(NULL, ";", &rest))
        printf("%s\n", line + strspn(line, " "));
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
