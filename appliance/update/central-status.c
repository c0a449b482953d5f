/* SPDX-License-Identifier: MIT */

#include "appliance/update/central-status.h"

#include "lib/atomic-file.h"
#include "lib/cleanup.h"
#include "lib/crc32.h"

#include <errno.h>
#include <string.h>

#define HEADER_FORMAT "CRC32=%08x\n"
#define HEADER_SIZE 15u
/* RAUC reads this as a status file without content. It is not empty, so that RAUC syncs its
 * replacement. */
#define BEGINNING "[status]\n"

struct text {
    char *bytes;   /* space for the header, then the content */
    size_t length; /* of the content */
};

static void text_clear(struct text *text)
{
    free(text->bytes);
}

#define auto_text __attribute__((cleanup(text_clear)))

static bool is_whole_line(const char *line, size_t length, bool is_first)
{
    if (length == 0 || *line == '#')
        return true;
    if (*line == '[')
        return length > 2 && line[length - 1] == ']';
    return !is_first && *line != '=' && memchr(line, '=', length);
}

bool central_status_is_whole(const char *text, size_t length)
{
    bool has_group = false;

    if (length == 0 || text[length - 1] != '\n' || memchr(text, '\0', length))
        return false;
    while (length > 0) {
        size_t n = (size_t)((const char *)memchr(text, '\n', length) - text);

        if (!is_whole_line(text, n, !has_group))
            return false;
        has_group = has_group || *text == '[';
        text += n + 1;
        length -= n + 1;
    }
    return has_group;
}

static int text_init(struct text *text)
{
    text->bytes = malloc(HEADER_SIZE + CENTRAL_STATUS_MAX);
    return text->bytes ? 0 : -ENOMEM;
}

static const char *get_content(const struct text *text)
{
    return text->bytes + HEADER_SIZE;
}

/* -EBADMSG if the copy is damaged. */
static int read_copy(int dirfd, struct text *copy)
{
    ssize_t length =
        sp_read_file_at(dirfd, CENTRAL_STATUS_COPY, copy->bytes, HEADER_SIZE + CENTRAL_STATUS_MAX);
    char header[HEADER_SIZE + 1];

    copy->length = 0;
    if (length < 0)
        return (int)length;
    if ((size_t)length < HEADER_SIZE)
        return -EBADMSG;
    copy->length = (size_t)length - HEADER_SIZE;
    snprintf(header, sizeof header, HEADER_FORMAT, sp_crc32(get_content(copy), copy->length));
    if (memcmp(header, copy->bytes, HEADER_SIZE) != 0 ||
        !central_status_is_whole(get_content(copy), copy->length)) {
        copy->length = 0;
        return -EBADMSG;
    }
    return 0;
}

static int read_status(
    int dirfd, struct text *status, const struct text *copy, enum central_status_found *ret_found)
{
    ssize_t length = sp_read_file_at(
        dirfd, CENTRAL_STATUS_FILE, status->bytes + HEADER_SIZE, CENTRAL_STATUS_MAX);

    status->length = 0;
    *ret_found = CENTRAL_STATUS_TORN;
    if (length == -ENOENT)
        *ret_found = CENTRAL_STATUS_MISSING;
    else if (length < 0)
        return length == -EFBIG ? 0 : (int)length;
    else if (length == 0)
        *ret_found = CENTRAL_STATUS_EMPTY;
    else if (central_status_is_whole(get_content(status), (size_t)length) &&
             ((size_t)length >= copy->length ||
                 memcmp(get_content(status), get_content(copy), (size_t)length) != 0))
        *ret_found = CENTRAL_STATUS_WHOLE;
    if (*ret_found == CENTRAL_STATUS_WHOLE)
        status->length = (size_t)length;
    return 0;
}

static int write_copy(int dirfd, struct text *status)
{
    char header[HEADER_SIZE + 1];

    snprintf(header, sizeof header, HEADER_FORMAT, sp_crc32(get_content(status), status->length));
    memcpy(status->bytes, header, HEADER_SIZE);
    return sp_atomic_write_at(
        dirfd, CENTRAL_STATUS_COPY, status->bytes, HEADER_SIZE + status->length, 0600);
}

static int put_in_order(
    int dirfd, enum central_status_done done, struct text *status, const struct text *copy)
{
    switch (done) {
    case CENTRAL_STATUS_LEFT:
        if (status->length == copy->length &&
            memcmp(get_content(status), get_content(copy), copy->length) == 0)
            return 0;
        return write_copy(dirfd, status);
    case CENTRAL_STATUS_RESTORED:
        return sp_atomic_write_at(
            dirfd, CENTRAL_STATUS_FILE, get_content(copy), copy->length, 0600);
    case CENTRAL_STATUS_BEGUN:
        return sp_atomic_write_at(dirfd, CENTRAL_STATUS_FILE, BEGINNING, strlen(BEGINNING), 0600);
    }
    return -EINVAL;
}

int central_status_keep(
    int dirfd, enum central_status_found *ret_found, enum central_status_done *ret_done)
{
    auto_text struct text status = {0}, copy = {0};
    enum central_status_done done = CENTRAL_STATUS_LEFT;
    enum central_status_found found;
    int r = text_init(&status);

    if (r == 0)
        r = text_init(&copy);
    if (r < 0)
        return r;
    (void)read_copy(dirfd, &copy); /* without a copy there is just nothing to restore */
    r = read_status(dirfd, &status, &copy, &found);
    if (r < 0)
        return r;
    if (found != CENTRAL_STATUS_WHOLE)
        done = copy.length > 0 ? CENTRAL_STATUS_RESTORED : CENTRAL_STATUS_BEGUN;
    r = put_in_order(dirfd, done, &status, &copy);
    if (r < 0)
        return r;
    *ret_found = found;
    *ret_done = done;
    return 0;
}
