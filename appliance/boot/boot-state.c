/* SPDX-License-Identifier: MIT */
#include "appliance/boot/boot-state.h"

#include "lib/atomic-file.h"
#include "lib/cleanup.h"
#include "lib/crc32.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#define FILE_MODE 0644

static const char *const bootnames[SP_SLOT_COUNT] = {"A", "B"};

static bool is_slot(enum sp_slot slot)
{
    return slot >= 0 && slot < SP_SLOT_COUNT;
}

const char *sp_slot_bootname(enum sp_slot slot)
{
    return is_slot(slot) ? bootnames[slot] : "none";
}

enum sp_slot sp_slot_from_bootname(const char *bootname)
{
    for (int slot = 0; slot < SP_SLOT_COUNT; slot++) {
        if (strcmp(bootname, bootnames[slot]) == 0)
            return slot;
    }
    return SP_SLOT_NONE;
}

void sp_boot_state_init(struct sp_boot_state *ret_state)
{
    *ret_state = (struct sp_boot_state){
        .order = {SP_SLOT_A, SP_SLOT_B},
        .order_length = 2,
        .slot[SP_SLOT_A] = {.left = SP_BOOT_ATTEMPTS, .is_good = true},
        .slot[SP_SLOT_B] = {.left = 0, .is_good = false},
    };
}

/* --- text ------------------------------------------------------------------------------------ */

struct writer {
    char *buffer;
    size_t length;
};

__attribute__((format(printf, 2, 3))) static void put(struct writer *w, const char *format, ...)
{
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(w->buffer + w->length, SP_BOOT_STATE_MAX - w->length, format, args);
    va_end(args);
    if (n > 0)
        w->length += (size_t)n;
}

static int put_crc(struct writer *w)
{
    put(w, "CRC32=%08" PRIx32 "\n", sp_crc32(w->buffer, w->length));
    return (int)w->length;
}

static bool is_valid(const struct sp_boot_state *state)
{
    unsigned seen = 0;

    if (state->order_length > SP_SLOT_COUNT)
        return false;
    for (size_t i = 0; i < state->order_length; i++) {
        if (!is_slot(state->order[i]) || seen & 1u << state->order[i])
            return false;
        seen |= 1u << state->order[i];
    }
    for (int slot = 0; slot < SP_SLOT_COUNT; slot++) {
        if (state->slot[slot].left > SP_BOOT_ATTEMPTS)
            return false;
    }
    return true;
}

int sp_boot_state_format(const struct sp_boot_state *state, char buffer[static SP_BOOT_STATE_MAX])
{
    struct writer w = {.buffer = buffer};

    if (!is_valid(state))
        return -EINVAL;
    put(&w, "BOOT_ORDER=");
    for (size_t i = 0; i < state->order_length; i++)
        put(&w, "%s%s", i > 0 ? " " : "", bootnames[state->order[i]]);
    put(&w, "\n");
    for (int slot = 0; slot < SP_SLOT_COUNT; slot++) {
        put(&w, "BOOT_%s_LEFT=%u\n", bootnames[slot], state->slot[slot].left);
        put(&w, "BOOT_%s_GOOD=%d\n", bootnames[slot], state->slot[slot].is_good);
    }
    return put_crc(&w);
}

struct reader {
    const char *at;
    size_t left;
};

static bool take_copy(struct reader *r, const char *text)
{
    size_t length = strlen(text);

    if (r->left < length || memcmp(r->at, text, length) != 0)
        return false;
    r->at += length;
    r->left -= length;
    return true;
}

static enum sp_slot take_slot(struct reader *r)
{
    for (int slot = 0; slot < SP_SLOT_COUNT; slot++) {
        if (take_copy(r, bootnames[slot]))
            return slot;
    }
    return SP_SLOT_NONE;
}

static bool take_digit(struct reader *r, unsigned limit, unsigned *ret)
{
    if (r->left == 0 || r->at[0] < '0' || (unsigned)(r->at[0] - '0') > limit)
        return false;
    *ret = (unsigned)(r->at[0] - '0');
    r->at++;
    r->left--;
    return true;
}

static bool take_order(struct reader *r, struct sp_boot_state *state)
{
    if (!take_copy(r, "BOOT_ORDER="))
        return false;
    while (!take_copy(r, "\n")) {
        if (state->order_length == SP_SLOT_COUNT)
            return false;
        if (state->order_length > 0 && !take_copy(r, " "))
            return false;
        state->order[state->order_length] = take_slot(r);
        if (state->order[state->order_length++] == SP_SLOT_NONE)
            return false;
    }
    return true;
}

static bool take_slot_lines(struct reader *r, int slot, struct sp_boot_slot *ret)
{
    unsigned left, good;

    if (!take_copy(r, "BOOT_") || !take_copy(r, bootnames[slot]) || !take_copy(r, "_LEFT=") ||
        !take_digit(r, SP_BOOT_ATTEMPTS, &left) || !take_copy(r, "\nBOOT_") ||
        !take_copy(r, bootnames[slot]) || !take_copy(r, "_GOOD=") || !take_digit(r, 1, &good) ||
        !take_copy(r, "\n"))
        return false;
    *ret = (struct sp_boot_slot){.left = left, .is_good = good};
    return true;
}

int sp_boot_state_parse(const char *text, size_t length, struct sp_boot_state *ret_state)
{
    struct reader r = {.at = text, .left = length};
    struct sp_boot_state state = {.order = {SP_SLOT_NONE, SP_SLOT_NONE}};
    char again[SP_BOOT_STATE_MAX];
    int again_length;

    if (!take_order(&r, &state))
        return -EBADMSG;
    for (int slot = 0; slot < SP_SLOT_COUNT; slot++) {
        if (!take_slot_lines(&r, slot, &state.slot[slot]))
            return -EBADMSG;
    }
    /* What was read is written again and must come out the same: that checks the CRC line, the
     * limits, and that nothing follows. */
    again_length = sp_boot_state_format(&state, again);
    if (again_length < 0 || (size_t)again_length != length || memcmp(text, again, length) != 0)
        return -EBADMSG;
    *ret_state = state;
    return 0;
}

static int format_last_good(enum sp_slot slot, char buffer[static SP_BOOT_STATE_MAX])
{
    struct writer w = {.buffer = buffer};

    if (!is_slot(slot))
        return -EINVAL;
    put(&w, "LAST_GOOD=%s\n", bootnames[slot]);
    return put_crc(&w);
}

enum sp_slot sp_boot_last_good_parse(const char *text, size_t length)
{
    char expected[SP_BOOT_STATE_MAX];

    for (int slot = 0; slot < SP_SLOT_COUNT; slot++) {
        int n = format_last_good(slot, expected);

        if (n > 0 && (size_t)n == length && memcmp(text, expected, length) == 0)
            return slot;
    }
    return SP_SLOT_NONE;
}

enum sp_boot_source sp_boot_state_rebuild(enum sp_slot last_good, struct sp_boot_state *ret_state)
{
    sp_boot_state_init(ret_state);
    if (last_good == SP_SLOT_NONE)
        return SP_BOOT_FROM_DEFAULT;
    if (last_good != SP_SLOT_A) {
        sp_boot_set_bad(ret_state, SP_SLOT_A);
        sp_boot_set_good(ret_state, last_good);
        sp_boot_set_primary(ret_state, last_good);
    }
    return SP_BOOT_FROM_LAST_GOOD;
}

/* --- files ----------------------------------------------------------------------------------- */

/* What reading says of a file that is not one of ours: all the same as none. */
static bool means_broken(ssize_t r)
{
    return r == -ENOENT || r == -EFBIG || r == -EBADMSG || r == -ELOOP || r == -EISDIR ||
           r == -ENXIO;
}

/* The slot in last-good; SP_SLOT_NONE where the file is missing or broken. */
static enum sp_slot read_last_good(int dirfd)
{
    char text[SP_BOOT_STATE_MAX];
    ssize_t length = sp_read_file_at(dirfd, SP_BOOT_LAST_GOOD_FILE, text, sizeof text);

    return length < 0 ? SP_SLOT_NONE : sp_boot_last_good_parse(text, (size_t)length);
}

enum sp_slot sp_boot_last_good_load(int dirfd)
{
    enum sp_slot slot = read_last_good(dirfd);

    return slot == SP_SLOT_NONE ? SP_SLOT_A : slot;
}

int sp_boot_state_load(int dirfd, struct sp_boot_state *ret_state, enum sp_boot_source *ret_source)
{
    char text[SP_BOOT_STATE_MAX];
    enum sp_boot_source source = SP_BOOT_FROM_FILE;
    struct sp_boot_state state;
    ssize_t r = sp_read_file_at(dirfd, SP_BOOT_STATE_FILE, text, sizeof text);

    if (r >= 0)
        r = sp_boot_state_parse(text, (size_t)r, &state);
    if (r < 0 && !means_broken(r))
        return (int)r;
    if (r < 0)
        source = sp_boot_state_rebuild(read_last_good(dirfd), &state);
    *ret_state = state;
    if (ret_source)
        *ret_source = source;
    return 0;
}

int sp_boot_state_store(int dirfd, const struct sp_boot_state *state)
{
    char text[SP_BOOT_STATE_MAX];
    int length = sp_boot_state_format(state, text);

    if (length < 0)
        return length;
    return sp_atomic_write_at(dirfd, SP_BOOT_STATE_FILE, text, (size_t)length, FILE_MODE);
}

int sp_boot_last_good_store(int dirfd, enum sp_slot slot)
{
    char text[SP_BOOT_STATE_MAX];
    int length = format_last_good(slot, text);

    if (length < 0)
        return length;
    return sp_atomic_write_at(dirfd, SP_BOOT_LAST_GOOD_FILE, text, (size_t)length, FILE_MODE);
}

int sp_boot_state_lock(int dirfd)
{
    /* The directory itself is locked: no lock file can be left behind. With its own descriptor, as
     * the lock belongs to the open file, not to the process. */
    sp_auto_close int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    while (flock(fd, LOCK_EX) < 0) {
        if (errno != EINTR)
            return -errno;
    }
    return sp_steal_fd(&fd);
}

/* --- decisions ------------------------------------------------------------------------------- */

enum sp_slot sp_boot_choose(const struct sp_boot_state *state, unsigned skip)
{
    for (size_t i = 0; i < state->order_length; i++) {
        enum sp_slot slot = state->order[i];

        if (!(skip & 1u << slot) && state->slot[slot].left > 0)
            return slot;
    }
    return SP_SLOT_NONE;
}

void sp_boot_take_attempt(struct sp_boot_state *state, enum sp_slot slot)
{
    if (!is_slot(slot) || state->slot[slot].is_good || state->slot[slot].left == 0)
        return;
    state->slot[slot].left--;
}

enum sp_slot sp_boot_primary(const struct sp_boot_state *state)
{
    return sp_boot_choose(state, 0);
}

void sp_boot_set_primary(struct sp_boot_state *state, enum sp_slot slot)
{
    enum sp_slot order[SP_SLOT_COUNT] = {slot, SP_SLOT_NONE};
    size_t length = 1;

    if (!is_slot(slot))
        return;
    for (size_t i = 0; i < state->order_length && length < SP_SLOT_COUNT; i++) {
        if (state->order[i] != slot)
            order[length++] = state->order[i];
    }
    memcpy(state->order, order, sizeof order);
    state->order_length = length;
    state->slot[slot].left = SP_BOOT_ATTEMPTS;
}

bool sp_boot_is_bootable(const struct sp_boot_state *state, enum sp_slot slot)
{
    for (size_t i = 0; i < state->order_length; i++) {
        if (state->order[i] == slot)
            return state->slot[slot].left > 0;
    }
    return false;
}

void sp_boot_set_good(struct sp_boot_state *state, enum sp_slot slot)
{
    if (is_slot(slot))
        state->slot[slot] = (struct sp_boot_slot){.left = SP_BOOT_ATTEMPTS, .is_good = true};
}

void sp_boot_set_bad(struct sp_boot_state *state, enum sp_slot slot)
{
    if (is_slot(slot))
        state->slot[slot] = (struct sp_boot_slot){.left = 0, .is_good = false};
}
