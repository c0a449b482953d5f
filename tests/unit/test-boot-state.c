/* SPDX-License-Identifier: MIT */
#include "appliance/boot/boot-state.h"

#include "cut-model.h"
#include "lib/atomic-file.h"
#include "lib/cleanup.h"
#include "lib/crc32.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define A SP_SLOT_A
#define B SP_SLOT_B
#define NONE SP_SLOT_NONE

/* --- all states ------------------------------------------------------------------------------ */

static const struct {
    enum sp_slot order[SP_SLOT_COUNT];
    size_t length;
} orders[] = {
    {{NONE, NONE}, 0},
    {{A, NONE}, 1},
    {{B, NONE}, 1},
    {{A, B}, 2},
    {{B, A}, 2},
};

#define ATTEMPTS (SP_BOOT_ATTEMPTS + 1)
#define STATES (G_N_ELEMENTS(orders) * ATTEMPTS * ATTEMPTS * 2 * 2)

/* The state number @n of all that can be written. */
static struct sp_boot_state nth_state(unsigned n)
{
    struct sp_boot_state state = {0};

    for (int slot = 0; slot < SP_SLOT_COUNT; slot++) {
        state.slot[slot].left = n % ATTEMPTS;
        n /= ATTEMPTS;
        state.slot[slot].is_good = n % 2;
        n /= 2;
    }
    memcpy(state.order, orders[n].order, sizeof state.order);
    state.order_length = orders[n].length;
    return state;
}

static bool is_same(const struct sp_boot_state *x, const struct sp_boot_state *y)
{
    if (x->order_length != y->order_length)
        return false;
    for (size_t i = 0; i < x->order_length; i++) {
        if (x->order[i] != y->order[i])
            return false;
    }
    for (int slot = 0; slot < SP_SLOT_COUNT; slot++) {
        if (x->slot[slot].left != y->slot[slot].left ||
            x->slot[slot].is_good != y->slot[slot].is_good)
            return false;
    }
    return true;
}

static struct sp_boot_state make_state(
    enum sp_slot first, enum sp_slot second, unsigned left_a, unsigned left_b)
{
    return (struct sp_boot_state){
        .order = {first, second},
        .order_length = (size_t)(first != NONE) + (second != NONE),
        .slot = {{.left = left_a}, {.left = left_b}},
    };
}

/* --- text ------------------------------------------------------------------------------------ */

static void test_crc32(void)
{
    /* the check value that every description of this CRC gives */
    g_assert_cmphex(sp_crc32("123456789", 9), ==, 0xcbf43926);
    g_assert_cmphex(sp_crc32("", 0), ==, 0);
}

static void test_names(void)
{
    g_assert_cmpstr(sp_slot_bootname(A), ==, "A");
    g_assert_cmpstr(sp_slot_bootname(B), ==, "B");
    g_assert_cmpstr(sp_slot_bootname(NONE), ==, "none");
    g_assert_cmpint(sp_slot_from_bootname("A"), ==, A);
    g_assert_cmpint(sp_slot_from_bootname("B"), ==, B);
    g_assert_cmpint(sp_slot_from_bootname("AB"), ==, NONE);
    g_assert_cmpint(sp_slot_from_bootname("a"), ==, NONE);
    g_assert_cmpint(sp_slot_from_bootname(""), ==, NONE);
    g_assert_cmpint(sp_slot_from_bootname("none"), ==, NONE);
}

static void test_text(void)
{
    static const char expected[] = "BOOT_ORDER=B A\n"
                                   "BOOT_A_LEFT=3\n"
                                   "BOOT_A_GOOD=1\n"
                                   "BOOT_B_LEFT=2\n"
                                   "BOOT_B_GOOD=0\n";
    struct sp_boot_state state = make_state(B, A, 3, 2);
    g_autofree char *whole =
        g_strdup_printf("%sCRC32=%08x\n", expected, sp_crc32(expected, strlen(expected)));
    char text[SP_BOOT_STATE_MAX];
    int length;

    state.slot[A].is_good = true;
    length = sp_boot_state_format(&state, text);
    g_assert_cmpmem(text, (size_t)MAX(length, 0), whole, strlen(whole));
}

static void test_round_trip(void)
{
    for (unsigned n = 0; n < STATES; n++) {
        struct sp_boot_state state = nth_state(n), again = {0};
        char text[SP_BOOT_STATE_MAX];
        int length = sp_boot_state_format(&state, text);

        g_assert_cmpint(length, >, 0);
        g_assert_cmpint(sp_boot_state_parse(text, (size_t)length, &again), ==, 0);
        g_assert_true(is_same(&state, &again));
    }
}

static void test_format_limits(void)
{
    struct sp_boot_state twice = make_state(A, A, 3, 3), many = make_state(A, B, 4, 0),
                         unknown = make_state(A, NONE, 3, 0), longer = make_state(A, B, 3, 0);
    char text[SP_BOOT_STATE_MAX];

    unknown.order_length = 2;
    longer.order_length = 3;
    g_assert_cmpint(sp_boot_state_format(&twice, text), ==, -EINVAL);
    g_assert_cmpint(sp_boot_state_format(&many, text), ==, -EINVAL);
    g_assert_cmpint(sp_boot_state_format(&unknown, text), ==, -EINVAL);
    g_assert_cmpint(sp_boot_state_format(&longer, text), ==, -EINVAL);
    unknown.order[1] = SP_SLOT_COUNT;
    g_assert_cmpint(sp_boot_state_format(&unknown, text), ==, -EINVAL);
}

/* From the heap and no longer than @length, so that a sanitizer sees a read past the end. */
static int parse_exact(const char *text, size_t length, struct sp_boot_state *ret_state)
{
    sp_auto_free char *copy = malloc(length > 0 ? length : 1);

    g_assert_nonnull(copy);
    memcpy(copy, text, length);
    return sp_boot_state_parse(copy, length, ret_state);
}

static void test_truncated(void)
{
    for (unsigned n = 0; n < STATES; n++) {
        struct sp_boot_state state = nth_state(n), parsed;
        char text[SP_BOOT_STATE_MAX];
        int length = sp_boot_state_format(&state, text);

        for (int cut = 0; cut < length; cut++)
            g_assert_cmpint(parse_exact(text, (size_t)cut, &parsed), ==, -EBADMSG);
        text[length] = '\n';
        g_assert_cmpint(parse_exact(text, (size_t)length + 1, &parsed), ==, -EBADMSG);
    }
}

/* Each byte of some states by each other value, and each bit of all states. */
static void test_changed_byte(void)
{
    for (unsigned n = 0; n < STATES; n++) {
        struct sp_boot_state state = nth_state(n), parsed;
        char text[SP_BOOT_STATE_MAX];
        int length = sp_boot_state_format(&state, text);
        bool is_thorough = n % 16 == 0;

        for (int at = 0; at < length; at++) {
            for (unsigned change = 1; change < 256; change += is_thorough ? 1 : change) {
                text[at] = (char)(text[at] ^ (int)change);
                g_assert_cmpint(sp_boot_state_parse(text, (size_t)length, &parsed), ==, -EBADMSG);
                text[at] = (char)(text[at] ^ (int)change);
            }
        }
    }
}

/* What has a right CRC and yet is not what format writes. */
static void test_strict(void)
{
    static const char *const bodies[] = {
        "",
        "BOOT_ORDER=A B\nBOOT_A_LEFT=3\nBOOT_A_GOOD=1\nBOOT_B_LEFT=0\n",
        "BOOT_ORDER=A A\nBOOT_A_LEFT=3\nBOOT_A_GOOD=1\nBOOT_B_LEFT=0\nBOOT_B_GOOD=0\n",
        "BOOT_ORDER=A C\nBOOT_A_LEFT=3\nBOOT_A_GOOD=1\nBOOT_B_LEFT=0\nBOOT_B_GOOD=0\n",
        "BOOT_ORDER=A B A\nBOOT_A_LEFT=3\nBOOT_A_GOOD=1\nBOOT_B_LEFT=0\nBOOT_B_GOOD=0\n",
        "BOOT_ORDER=A  B\nBOOT_A_LEFT=3\nBOOT_A_GOOD=1\nBOOT_B_LEFT=0\nBOOT_B_GOOD=0\n",
        "BOOT_ORDER=A B \nBOOT_A_LEFT=3\nBOOT_A_GOOD=1\nBOOT_B_LEFT=0\nBOOT_B_GOOD=0\n",
        "BOOT_ORDER=A B\nBOOT_A_LEFT=4\nBOOT_A_GOOD=1\nBOOT_B_LEFT=0\nBOOT_B_GOOD=0\n",
        "BOOT_ORDER=A B\nBOOT_A_LEFT=03\nBOOT_A_GOOD=1\nBOOT_B_LEFT=0\nBOOT_B_GOOD=0\n",
        "BOOT_ORDER=A B\nBOOT_A_LEFT=-1\nBOOT_A_GOOD=1\nBOOT_B_LEFT=0\nBOOT_B_GOOD=0\n",
        "BOOT_ORDER=A B\nBOOT_A_LEFT=3\nBOOT_A_GOOD=2\nBOOT_B_LEFT=0\nBOOT_B_GOOD=0\n",
        "BOOT_ORDER=A B\nBOOT_B_LEFT=0\nBOOT_B_GOOD=0\nBOOT_A_LEFT=3\nBOOT_A_GOOD=1\n",
        "BOOT_ORDER=A B\r\nBOOT_A_LEFT=3\nBOOT_A_GOOD=1\nBOOT_B_LEFT=0\nBOOT_B_GOOD=0\n",
        "BOOT_ORDER=A B\nBOOT_A_LEFT=3\nBOOT_A_GOOD=1\nBOOT_B_LEFT=0\nBOOT_B_GOOD=0\nX=1\n",
    };
    struct sp_boot_state parsed;

    for (size_t i = 0; i < G_N_ELEMENTS(bodies); i++) {
        g_autofree char *text =
            g_strdup_printf("%sCRC32=%08x\n", bodies[i], sp_crc32(bodies[i], strlen(bodies[i])));

        g_assert_cmpint(sp_boot_state_parse(text, strlen(text), &parsed), ==, -EBADMSG);
    }
}

/* --- files ----------------------------------------------------------------------------------- */

typedef struct {
    char *path;
    int fd;
} Folder;

static void folder_up(Folder *f, gconstpointer data)
{
    f->path = g_dir_make_tmp("boot-state-XXXXXX", NULL);
    g_assert_nonnull(f->path);
    f->fd = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    g_assert_cmpint(f->fd, >=, 0);
}

static void folder_down(Folder *f, gconstpointer data)
{
    static const char *const names[] = {
        SP_BOOT_STATE_FILE, SP_BOOT_LAST_GOOD_FILE, "." SP_BOOT_STATE_FILE ".new"};

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        if (unlinkat(f->fd, names[i], 0) < 0)
            (void)unlinkat(f->fd, names[i], AT_REMOVEDIR);
    }
    close(f->fd);
    g_assert_cmpint(g_rmdir(f->path), ==, 0);
    g_free(f->path);
}

static void put(const Folder *f, const char *name, const void *data, size_t length)
{
    int fd = openat(f->fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(write(fd, data, length), ==, length);
    close(fd);
}

static void assert_rebuilt(const Folder *f, enum sp_slot last_good, enum sp_boot_source expected)
{
    enum sp_slot other = last_good == A ? B : A;
    enum sp_boot_source source = SP_BOOT_FROM_FILE;
    struct sp_boot_state state;

    g_assert_cmpint(sp_boot_state_load(f->fd, &state, &source), ==, 0);
    g_assert_cmpint(source, ==, expected);
    g_assert_cmpuint(state.order_length, ==, 2);
    g_assert_cmpint(state.order[0], ==, last_good);
    g_assert_cmpint(state.order[1], ==, other);
    g_assert_cmpuint(state.slot[last_good].left, ==, SP_BOOT_ATTEMPTS);
    g_assert_true(state.slot[last_good].is_good);
    g_assert_cmpuint(state.slot[other].left, ==, 0);
    g_assert_false(state.slot[other].is_good);
    g_assert_cmpint(sp_boot_last_good_load(f->fd), ==, last_good);
}

static void test_store_and_load(Folder *f, gconstpointer data)
{
    for (unsigned n = 0; n < STATES; n += 7) {
        struct sp_boot_state state = nth_state(n), again = {0};
        enum sp_boot_source source = SP_BOOT_FROM_DEFAULT;

        g_assert_cmpint(sp_boot_state_store(f->fd, &state), ==, 0);
        g_assert_cmpint(sp_boot_state_load(f->fd, &again, &source), ==, 0);
        g_assert_cmpint(source, ==, SP_BOOT_FROM_FILE);
        g_assert_true(is_same(&state, &again));
    }
}

static void test_missing(Folder *f, gconstpointer data)
{
    struct sp_boot_state state;

    assert_rebuilt(f, A, SP_BOOT_FROM_DEFAULT);
    g_assert_cmpint(sp_boot_last_good_store(f->fd, B), ==, 0);
    assert_rebuilt(f, B, SP_BOOT_FROM_LAST_GOOD);
    g_assert_cmpint(sp_boot_last_good_store(f->fd, A), ==, 0);
    assert_rebuilt(f, A, SP_BOOT_FROM_LAST_GOOD);
    g_assert_cmpint(sp_boot_last_good_store(f->fd, NONE), ==, -EINVAL);
    /* loading wrote nothing */
    g_assert_cmpint(faccessat(f->fd, SP_BOOT_STATE_FILE, F_OK, 0), <, 0);
    g_assert_cmpint(sp_boot_state_load(f->fd, &state, NULL), ==, 0);
}

static void test_broken_state(Folder *f, gconstpointer data)
{
    char text[SP_BOOT_STATE_MAX], longer[SP_BOOT_STATE_MAX + 1] = "";
    struct sp_boot_state state = make_state(A, B, 3, 2);
    int length = sp_boot_state_format(&state, text);

    g_assert_cmpint(sp_boot_last_good_store(f->fd, B), ==, 0);
    for (int cut = 0; cut < length; cut++) {
        put(f, SP_BOOT_STATE_FILE, text, (size_t)cut);
        assert_rebuilt(f, B, SP_BOOT_FROM_LAST_GOOD);
    }
    put(f, SP_BOOT_STATE_FILE, longer, sizeof longer);
    assert_rebuilt(f, B, SP_BOOT_FROM_LAST_GOOD);
    memcpy(longer, text, (size_t)length);
    put(f, SP_BOOT_STATE_FILE, longer, sizeof longer);
    assert_rebuilt(f, B, SP_BOOT_FROM_LAST_GOOD);
    put(f, SP_BOOT_STATE_FILE, longer, SP_BOOT_STATE_MAX);
    assert_rebuilt(f, B, SP_BOOT_FROM_LAST_GOOD);
    put(f, SP_BOOT_STATE_FILE, "\0\0\0\0", 4);
    assert_rebuilt(f, B, SP_BOOT_FROM_LAST_GOOD);
}

/* What is no file at all is no reason to give up, nor to wait. */
static void test_not_a_file(Folder *f, gconstpointer data)
{
    g_assert_cmpint(sp_boot_last_good_store(f->fd, B), ==, 0);
    g_assert_cmpint(mkdirat(f->fd, SP_BOOT_STATE_FILE, 0700), ==, 0);
    assert_rebuilt(f, B, SP_BOOT_FROM_LAST_GOOD);
    g_assert_cmpint(unlinkat(f->fd, SP_BOOT_STATE_FILE, AT_REMOVEDIR), ==, 0);
    g_assert_cmpint(mkfifoat(f->fd, SP_BOOT_STATE_FILE, 0600), ==, 0);
    assert_rebuilt(f, B, SP_BOOT_FROM_LAST_GOOD);
    g_assert_cmpint(unlinkat(f->fd, SP_BOOT_STATE_FILE, 0), ==, 0);
    g_assert_cmpint(symlinkat(SP_BOOT_LAST_GOOD_FILE, f->fd, SP_BOOT_STATE_FILE), ==, 0);
    assert_rebuilt(f, B, SP_BOOT_FROM_LAST_GOOD);
}

static void test_broken_last_good(Folder *f, gconstpointer data)
{
    char text[SP_BOOT_STATE_MAX];
    ssize_t length;

    g_assert_cmpint(sp_boot_last_good_store(f->fd, B), ==, 0);
    length = sp_read_file_at(f->fd, SP_BOOT_LAST_GOOD_FILE, text, sizeof text);
    g_assert_cmpint(length, ==, strlen("LAST_GOOD=B\nCRC32=01234567\n"));
    g_assert_cmpmem(text, 18, "LAST_GOOD=B\nCRC32=", 18);
    for (ssize_t at = 0; at < length; at++) {
        put(f, SP_BOOT_LAST_GOOD_FILE, text, (size_t)at);
        assert_rebuilt(f, A, SP_BOOT_FROM_DEFAULT);
        text[at] ^= 1;
        put(f, SP_BOOT_LAST_GOOD_FILE, text, (size_t)length);
        assert_rebuilt(f, A, SP_BOOT_FROM_DEFAULT);
        text[at] ^= 1;
    }
    put(f, SP_BOOT_LAST_GOOD_FILE, text, (size_t)length);
    assert_rebuilt(f, B, SP_BOOT_FROM_LAST_GOOD);
}

/* A directory that cannot be read is not the same as one without files. */
static void test_load_error(void)
{
    enum sp_boot_source source = SP_BOOT_FROM_FILE;
    struct sp_boot_state state = make_state(B, NONE, 1, 1), before = state;

    g_assert_cmpint(sp_boot_state_load(-1, &state, &source), ==, -EBADF);
    g_assert_true(is_same(&state, &before));
    g_assert_cmpint(source, ==, SP_BOOT_FROM_FILE);
    g_assert_cmpint(sp_boot_state_lock(-1), ==, -EBADF);
}

static void test_lock(Folder *f, gconstpointer data)
{
    int lock = sp_boot_state_lock(f->fd), other;

    g_assert_cmpint(lock, >=, 0);
    other = openat(f->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    g_assert_cmpint(other, >=, 0);
    /* even a shared lock does not get past it */
    g_assert_cmpint(flock(other, LOCK_SH | LOCK_NB), <, 0);
    g_assert_cmpint(errno, ==, EWOULDBLOCK);
    close(lock);
    g_assert_cmpint(flock(other, LOCK_EX | LOCK_NB), ==, 0);
    close(other);
}

/* --- power cuts ------------------------------------------------------------------------------ */

typedef int (*StoreFunc)(int dirfd, const struct sp_boot_state *state);

typedef struct {
    struct sp_boot_state old, new;
} CutStates;

static bool is_old_or_new(int dirfd, bool is_complete, void *data)
{
    const CutStates *states = data;
    enum sp_boot_source source;
    struct sp_boot_state state;

    if (sp_boot_state_load(dirfd, &state, &source) < 0 || source != SP_BOOT_FROM_FILE)
        return false;
    return is_same(&state, &states->new) || (!is_complete && is_same(&state, &states->old));
}

static unsigned cut_store(const Folder *f, StoreFunc store, CutStates *states)
{
    unsigned checked, refused;

    g_assert_cmpint(sp_boot_state_store(f->fd, &states->old), ==, 0);
    g_assert_cmpint(sp_boot_last_good_store(f->fd, B), ==, 0);
    cut_record(f->fd);
    g_assert_cmpint(store(f->fd, &states->new), ==, 0);
    cut_stop();
    refused = cut_check(is_old_or_new, states, &checked);
    g_assert_cmpuint(checked, >, 100); /* so that the check is not an empty one */
    return refused;
}

static void test_cut_store(Folder *f, gconstpointer data)
{
    for (unsigned n = 0; n + 41 < STATES; n += 41) {
        CutStates states = {.old = nth_state(n), .new = nth_state(n + 41)};

        g_assert_cmpuint(cut_store(f, sp_boot_state_store, &states), ==, 0);
    }
}

/* A temporary file that an earlier power cut left, longer than the new one. */
static void test_cut_after_cut(Folder *f, gconstpointer data)
{
    CutStates states = {.old = nth_state(1), .new = nth_state(300)};
    char rubbish[400] = "rubbish";

    put(f, "." SP_BOOT_STATE_FILE ".new", rubbish, sizeof rubbish);
    g_assert_cmpuint(cut_store(f, sp_boot_state_store, &states), ==, 0);
}

static bool is_slot_b(int dirfd, bool is_complete, void *data)
{
    enum sp_slot slot = sp_boot_last_good_load(dirfd);

    return slot == A || (!is_complete && slot == B);
}

static void test_cut_last_good(Folder *f, gconstpointer data)
{
    unsigned checked;

    g_assert_cmpint(sp_boot_last_good_store(f->fd, B), ==, 0);
    cut_record(f->fd);
    g_assert_cmpint(sp_boot_last_good_store(f->fd, A), ==, 0);
    cut_stop();
    g_assert_cmpuint(cut_check(is_slot_b, NULL, &checked), ==, 0);
    g_assert_cmpuint(checked, >, 20);
}

/* Ways to store that lose the state: the model must see each of them. */
enum fault { FAULT_IN_PLACE = 1, FAULT_NO_SYNC = 2, FAULT_NO_FOLDER_SYNC = 4, FAULT_LATE_SYNC = 8 };

static int store_with_faults(int dirfd, const struct sp_boot_state *state, unsigned faults)
{
    bool is_in_place = faults & FAULT_IN_PLACE;
    const char *name = is_in_place ? SP_BOOT_STATE_FILE : "." SP_BOOT_STATE_FILE ".new";
    char text[SP_BOOT_STATE_MAX];
    int length = sp_boot_state_format(state, text);
    int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(write(fd, text, (size_t)length), ==, length);
    if (!(faults & (FAULT_NO_SYNC | FAULT_LATE_SYNC)))
        fsync(fd);
    if (!is_in_place)
        g_assert_cmpint(renameat(dirfd, name, dirfd, SP_BOOT_STATE_FILE), ==, 0);
    if (faults & FAULT_LATE_SYNC)
        fsync(fd);
    close(fd);
    if (!(faults & FAULT_NO_FOLDER_SYNC))
        fsync(dirfd);
    return 0;
}

static int store_well(int dirfd, const struct sp_boot_state *state)
{
    return store_with_faults(dirfd, state, 0);
}

static int store_in_place(int dirfd, const struct sp_boot_state *state)
{
    return store_with_faults(dirfd, state, FAULT_IN_PLACE);
}

static int store_unsynced(int dirfd, const struct sp_boot_state *state)
{
    return store_with_faults(dirfd, state, FAULT_NO_SYNC);
}

static int store_synced_late(int dirfd, const struct sp_boot_state *state)
{
    return store_with_faults(dirfd, state, FAULT_LATE_SYNC);
}

static int store_folder_unsynced(int dirfd, const struct sp_boot_state *state)
{
    return store_with_faults(dirfd, state, FAULT_NO_FOLDER_SYNC);
}

static void test_cut_sees_faults(Folder *f, gconstpointer data)
{
    CutStates states = {.old = nth_state(1), .new = nth_state(300)};

    g_assert_cmpuint(cut_store(f, store_well, &states), ==, 0);
    g_assert_cmpuint(cut_store(f, store_in_place, &states), >, 0);
    g_assert_cmpuint(cut_store(f, store_unsynced, &states), >, 0);
    g_assert_cmpuint(cut_store(f, store_synced_late, &states), >, 0);
    g_assert_cmpuint(cut_store(f, store_folder_unsynced, &states), >, 0);
}

static void add(const char *path, void (*test)(Folder *, gconstpointer))
{
    g_test_add(path, Folder, NULL, folder_up, test, folder_down);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/boot-state/crc32", test_crc32);
    g_test_add_func("/boot-state/names", test_names);
    g_test_add_func("/boot-state/text", test_text);
    g_test_add_func("/boot-state/round-trip", test_round_trip);
    g_test_add_func("/boot-state/format-limits", test_format_limits);
    g_test_add_func("/boot-state/truncated", test_truncated);
    g_test_add_func("/boot-state/changed-byte", test_changed_byte);
    g_test_add_func("/boot-state/strict", test_strict);
    add("/boot-state/store-and-load", test_store_and_load);
    add("/boot-state/missing", test_missing);
    add("/boot-state/broken-state", test_broken_state);
    add("/boot-state/not-a-file", test_not_a_file);
    add("/boot-state/broken-last-good", test_broken_last_good);
    g_test_add_func("/boot-state/load-error", test_load_error);
    add("/boot-state/lock", test_lock);
    add("/boot-state/cut/store", test_cut_store);
    add("/boot-state/cut/after-cut", test_cut_after_cut);
    add("/boot-state/cut/last-good", test_cut_last_good);
    add("/boot-state/cut/sees-faults", test_cut_sees_faults);
    return g_test_run();
}
