/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The boot state: which slot group boots next, and how often it may still be tried.
 *
 * The variables are those of RAUC's scheme for U-Boot (RAUC manual, "U-Boot" under "Integration"):
 * BOOT_ORDER and BOOT_x_LEFT, and one more a slot, BOOT_x_GOOD, which is 1 from the moment the slot
 * was marked good: a good slot loses no attempts. They are kept in two files in one directory:
 *
 *   boot-state   lines NAME=VALUE in a fixed order, then "CRC32=%08x" over all bytes before it
 *                (the CRC of IEEE 802.3, as in zlib and gzip)
 *   last-good    the bootname of the slot that was marked good last, in the same form
 *                ("LAST_GOOD=A", then the CRC32 line)
 *
 * Each is replaced as a whole (atomic-file.h). If boot-state is missing or does not parse, the
 * state is rebuilt: the last good slot first, good and with all its attempts; the other one with
 * none, since nothing is known of it. Without a last-good either, slot A counts as the last good
 * one.
 *
 * Functions return 0 or a negative errno. The decisions are pure functions of the state. No locks:
 * a caller that reads, changes and stores holds sp_boot_state_lock().
 */

#include <stdbool.h>
#include <stddef.h>

#define SP_BOOT_ATTEMPTS 3u
#define SP_BOOT_STATE_FILE "boot-state"
#define SP_BOOT_LAST_GOOD_FILE "last-good"
#define SP_BOOT_STATE_MAX 512u /* bytes of either file; a longer one is broken */

enum sp_slot {
    SP_SLOT_NONE = -1,
    SP_SLOT_A = 0,
    SP_SLOT_B = 1,
    SP_SLOT_COUNT = 2,
};

struct sp_boot_slot {
    unsigned left; /* BOOT_x_LEFT: 0..SP_BOOT_ATTEMPTS */
    bool is_good;  /* BOOT_x_GOOD */
};

struct sp_boot_state {
    enum sp_slot order[SP_SLOT_COUNT]; /* BOOT_ORDER; no slot twice */
    size_t order_length;               /* 0..SP_SLOT_COUNT */
    struct sp_boot_slot slot[SP_SLOT_COUNT];
};

/** Where a loaded state came from. */
enum sp_boot_source {
    SP_BOOT_FROM_FILE,      /* boot-state, whole */
    SP_BOOT_FROM_LAST_GOOD, /* boot-state was missing or broken, last-good was read */
    SP_BOOT_FROM_DEFAULT,   /* neither could be read */
};

/** "A" or "B"; "none" for SP_SLOT_NONE. */
const char *sp_slot_bootname(enum sp_slot slot);
/** The slot with this bootname, or SP_SLOT_NONE. */
enum sp_slot sp_slot_from_bootname(const char *bootname);

/** A state as a freshly flashed device has it: order A B, A good, B without attempts. */
void sp_boot_state_init(struct sp_boot_state *ret_state);

/** -EBADMSG if the text is not exactly what sp_boot_state_format() can write. */
int sp_boot_state_parse(const char *text, size_t length, struct sp_boot_state *ret_state);
/** Returns the length written to @buffer (no NUL), or -EINVAL for a state that breaks its limits.
 */
int sp_boot_state_format(const struct sp_boot_state *state, char buffer[static SP_BOOT_STATE_MAX]);

/** The slot that the text of last-good names; SP_SLOT_NONE if the text is not exactly as written.
 */
enum sp_slot sp_boot_last_good_parse(const char *text, size_t length);
/** The state where boot-state is missing or does not parse; @last_good is SP_SLOT_NONE where that
 * does not either. */
enum sp_boot_source sp_boot_state_rebuild(enum sp_slot last_good, struct sp_boot_state *ret_state);

/**
 * Read the state from the directory @dirfd, rebuilding it as described above.
 *
 * @ret_source may be NULL. Returns a negative errno only where reading failed for another reason
 * than a file that is missing or broken (EIO, EACCES, ...): the caller then decides with
 * sp_boot_state_init(). Never writes.
 */
int sp_boot_state_load(int dirfd, struct sp_boot_state *ret_state, enum sp_boot_source *ret_source);

/** Replace boot-state, durably: when this returns 0 the new state survives a power cut. */
int sp_boot_state_store(int dirfd, const struct sp_boot_state *state);
/** Replace last-good, durably. */
int sp_boot_last_good_store(int dirfd, enum sp_slot slot);
/** The last good slot as the files in @dirfd have it: last-good, else SP_SLOT_A. */
enum sp_slot sp_boot_last_good_load(int dirfd);

/** Take the lock for read, change, store; closing the returned descriptor frees it. Waits. */
int sp_boot_state_lock(int dirfd);

/**
 * The slot to boot: the first in BOOT_ORDER that is not in @skip (a bit a slot, 1u << slot) and has
 * attempts left. SP_SLOT_NONE if there is none.
 */
enum sp_slot sp_boot_choose(const struct sp_boot_state *state, unsigned skip);

/** Count one boot of @slot: takes an attempt off, unless the slot is good. */
void sp_boot_take_attempt(struct sp_boot_state *state, enum sp_slot slot);

/** RAUC's get-primary: as sp_boot_choose() without a skip. */
enum sp_slot sp_boot_primary(const struct sp_boot_state *state);
/**
 * RAUC's set-primary: first in the order, all attempts. Whether it is good stays as it was: an
 * install has marked the slot bad before it writes, so a new release starts unconfirmed.
 */
void sp_boot_set_primary(struct sp_boot_state *state, enum sp_slot slot);
/** RAUC's get-state: in the order and attempts left. */
bool sp_boot_is_bootable(const struct sp_boot_state *state, enum sp_slot slot);
/** RAUC's set-state good: all attempts, good; the order stays. */
void sp_boot_set_good(struct sp_boot_state *state, enum sp_slot slot);
/** RAUC's set-state bad: no attempts, not good; the order stays. */
void sp_boot_set_bad(struct sp_boot_state *state, enum sp_slot slot);
