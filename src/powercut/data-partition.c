/* SPDX-License-Identifier: MIT */
#include "powercut/data-partition.h"

#include "base/error.h"

#include <string.h>

/* What fsck.f2fs says where it can't find again what was synced. */
#define NOT_FOUND_AGAIN "record_fsync_data failed"

SpProbe *sp_data_partition_check(SpProbeCopy *copy, GError **error)
{
    /* with a cache: it reads a block of the summaries for each block that they sum up */
    const char *const argv[] = {"fsck.f2fs", "--dry-run", "-c", "64", SP_PROBE_PATH, NULL};
    SpProbe *check = sp_probe_start(copy, argv, error);

    if (!check)
        g_prefix_error(error, "fsck.f2fs is needed (apt-get install f2fs-tools): ");
    return check;
}

/* The first line that says what is wrong; else the last one. */
static const char *find_reason(char **lines)
{
    const char *reason = "";

    for (char **line = lines; *line; line++) {
        if (strstr(*line, "[Fail]") || strstr(*line, "[ASSERT]"))
            return g_strstrip(*line);
        if (*g_strstrip(*line))
            reason = *line;
    }
    return reason;
}

bool sp_data_partition_is_good(
    SpProbe *check, const SpInterrupt *interrupt, bool *ret_is_rolled_back, GError **error)
{
    g_autofree char *output = NULL;
    g_auto(GStrv) lines = NULL;
    int status;

    *ret_is_rolled_back = false;
    if (!sp_probe_wait(check, interrupt, &status, error))
        return false;
    if (status == 0)
        return true;
    output = sp_probe_output(check);
    *ret_is_rolled_back = strstr(output, NOT_FOUND_AGAIN) != NULL;
    if (*ret_is_rolled_back)
        return true;
    lines = g_strsplit(output, "\n", -1);
    g_set_error(error, SP_ERROR, SP_ERROR_ASSERTION,
        "the file system of the data partition is not in order: %s", find_reason(lines));
    return false;
}
