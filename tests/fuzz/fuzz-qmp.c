/* SPDX-License-Identifier: MIT */
#include "qemu/qmp.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SpQmpMessage message = {0};
    g_autoptr(GError) error = NULL;

    if (sp_qmp_parse((const char *)data, size, &message, &error)) {
        if (error || !message.text)
            abort();
        if (message.kind == SP_QMP_EVENT && message.payload && !json_is_object(message.payload))
            abort();
        sp_qmp_message_clear(&message);
    } else if (!error || message.text || message.payload) {
        abort();
    }
    return 0;
}
