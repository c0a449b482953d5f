/* SPDX-License-Identifier: MIT */

/* The init of a release that starts and then does nothing, for the tests. */

#include <unistd.h>

int main(void)
{
    for (;;)
        (void)pause();
}
