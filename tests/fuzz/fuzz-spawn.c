/* SPDX-License-Identifier: MIT */

/* The payload of an EXEC, as a driver sends it. */

#include "agent/spawn.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t check_strings(char *const *list, const uint8_t *data, size_t size)
{
    size_t n = 0;

    for (; list[n]; n++) {
        const uint8_t *text = (const uint8_t *)list[n];

        /* inside the payload, including its NUL; defaults are the agent's own strings */
        if (text >= data && text < data + size && !memchr(text, 0, size - (size_t)(text - data)))
            abort();
        if (strlen(list[n]) > size && text >= data && text < data + size)
            abort();
    }
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct sp_agent_frame frame = {.payload = data, .length = size};
    struct spawn_request request;
    struct sp_payload payload;

    sp_payload_init(&payload, &frame);
    if (spawn_parse(&payload, &request) < 0)
        return 0;
    if (payload.left != 0 || check_strings(request.argv, data, size) < 1)
        abort();
    /* PATH and HOME are always there */
    if (check_strings(request.env, data, size) < 2)
        abort();
    (void)spawn_has_default_env(&request);
    spawn_request_clear(&request);
    return 0;
}
