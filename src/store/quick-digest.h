/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/**
 * A digest of a file by which an accident is noticed (a byte that changed, a truncated file, data
 * that a power failure of the host took), and not somebody who means to deceive: of some hundred
 * MiB in less than a tenth of a second, where SHA-256 takes a second and more.
 *
 * XXH64 (xxHash's doc/xxhash_spec.md) of each page, the digest of the page before being its seed.
 * Pages of zeros are left out, so that it is the same whether they are holes or not. Free with
 * g_free(). SP_ERROR_HOST where the file can't be read.
 */
char *sp_quick_digest(const char *path, GError **error);

/** How each of these begins: what else is a digest does not. */
#define SP_QUICK_DIGEST_PREFIX "xxh64:"
