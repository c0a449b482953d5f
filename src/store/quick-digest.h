/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/**
 * Returns a digest of a file that detects accidents (a changed byte, a truncated file, data lost in
 * a power failure of the host) but not attacks. A few hundred MiB take less than a tenth of a
 * second, where SHA-256 takes a second or more.
 *
 * It is the XXH64 (xxHash's doc/xxhash_spec.md) of each page, seeded with the digest of the page
 * before and the page's place. Pages of zeros are left out, so that it does not matter whether they
 * are holes. Free with g_free(). SP_ERROR_HOST if the file can't be read.
 */
char *sp_quick_digest(const char *path, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/** Each begins with this, and no other kind of digest does. */
#define SP_QUICK_DIGEST_PREFIX "xxh64:"
