/* SPDX-License-Identifier: MIT */

/* A host and a port, as a driver sends them, each ended by NUL; the rest is a guest's /etc/hosts.
 */

#include "agent/address.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct address addresses[4];
    const uint8_t *port, *hosts;
    FILE *file = NULL;
    int n;

    port = size > 0 ? memchr(data, 0, size) : NULL;
    if (!port++)
        return 0;
    hosts = memchr(port, 0, size - (size_t)(port - data));
    if (!hosts++)
        return 0;
    if (hosts < data + size)
        file = fmemopen((void *)(uintptr_t)hosts, size - (size_t)(hosts - data), "re");
    n = address_find_in(file, (const char *)data, (const char *)port, addresses, 4);
    if (n == 0 || n > 4)
        abort();
    for (int i = 0; i < n; i++) {
        int family = addresses[i].any.sa_family;

        if ((family != AF_INET || addresses[i].length != sizeof addresses[i].in) &&
            (family != AF_INET6 || addresses[i].length != sizeof addresses[i].in6))
            abort();
    }
    if (file)
        fclose(file);
    return 0;
}
