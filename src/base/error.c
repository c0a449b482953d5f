/* SPDX-License-Identifier: MIT */
#include "base/error.h"

#include <errno.h>

G_DEFINE_QUARK(sp - error, sp_error)

SpErrorCode sp_error_code_of_errno(int number)
{
    return number == ENOSPC || number == EDQUOT ? SP_ERROR_NO_SPACE : SP_ERROR_HOST;
}
