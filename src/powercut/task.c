/* SPDX-License-Identifier: MIT */

/* A step of long work. */

#include "powercut/task.h"

#include "base/error.h"

bool sp_task_step(const SpTask *task, const char *doing, guint64 done, guint64 all, GError **error)
{
    if (!task)
        return true;
    if (task->interrupt.func && task->interrupt.func(task->interrupt.data)) {
        g_set_error(error, SP_ERROR, SP_ERROR_INTERRUPTED, "interrupted while %s", doing);
        return false;
    }
    if (task->func)
        task->func(doing, done, all, task->data);
    return true;
}
