/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * /data/config/health-required.json: the units that must be active, in addition to the gateway's
 * own, for a release to be confirmed. A JSON array of unit names (RFC 8259, in UTF-8):
 *
 *   ["openvpn-server@site.service", "backup.timer"]
 *
 * Whether a name is valid for a unit is left to systemd.
 */

#include <stddef.h>

#define HEALTH_LIST_FILE_MAX (64u * 1024) /* bytes */
#define HEALTH_LIST_UNITS_MAX 64u
#define HEALTH_LIST_NAME_MAX 255u /* systemd's UNIT_NAME_MAX, less the NUL */

struct health_list {
    char **units; /* @length of them; no NULL at the end */
    size_t length;
};

/**
 * Parse @length bytes at @text. Returns 0; -EBADMSG with *@ret_why set to the end of a sentence (a
 * constant) that says what is wrong; or -ENOMEM.
 */
int health_list_parse(
    const char *text, size_t length, struct health_list *ret_list, const char **ret_why);
/**
 * Read and parse the file @path; a missing file is an empty list. Fails as health_list_parse()
 * does, or with the negative errno of reading.
 */
int health_list_load(const char *path, struct health_list *ret_list, const char **ret_why);
/** Free what the list holds. A zeroed list is accepted. */
void health_list_clear(struct health_list *list);
