/* SPDX-License-Identifier: MIT */
#include "powercut/findings-file.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Any bytes as a file of findings: indexes stay within their arrays. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(SpFindingsFile) file = sp_findings_file_parse((const char *)data, size);

    if (!file)
        return 0;
    for (guint i = 0; i < file->cuts->len; i++) {
        if (g_array_index(file->cuts, SpFoundCut, i).class >= (gint64)file->classes->len)
            abort();
    }
    return 0;
}
