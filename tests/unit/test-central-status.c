/* SPDX-License-Identifier: MIT */
#include "appliance/update/central-status.h"

#include "status-folder.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WHOLE CENTRAL_STATUS_WHOLE
#define MISSING CENTRAL_STATUS_MISSING
#define EMPTY CENTRAL_STATUS_EMPTY
#define TORN CENTRAL_STATUS_TORN
#define LEFT CENTRAL_STATUS_LEFT
#define RESTORED CENTRAL_STATUS_RESTORED
#define BEGUN CENTRAL_STATUS_BEGUN

/* --- the pure function ----------------------------------------------------------------------- */

/* From the heap and no longer than @length, so that a sanitizer sees a read past the end. */
static bool is_whole(const char *text, size_t length)
{
    char *copy = g_malloc(length > 0 ? length : 1);
    bool r;

    memcpy(copy, text, length);
    r = central_status_is_whole(copy, length);
    g_free(copy);
    return r;
}

static void test_is_whole(void)
{
    static const struct {
        const char *text;
        bool expected;
    } cases[] = {
        {status_older, true},
        {status_text, true},
        {status_newer, true},
        {status_other, true},
        {STATUS_BEGINNING, true},
        {"[a]\nb=\n", true},
        {"[a]\nb==\n", true},
        {"[a]\n[b]\n", true},
        {"\n\n[a]\n\n", true},
        {"#\n[a]\n#=\n", true},
        {"[]]\n", true},
        {"", false},
        {"\n", false},
        {"\n\n", false},
        {"# only a comment\n", false},
        {"[a]", false},
        {"[a]\nb=c", false},
        {"a=b\n", false},
        {"a=b\n[a]\n", false},
        {"#\na=b\n[a]\n", false},
        {"[]\n", false},
        {"[\n", false},
        {"]\n", false},
        {"[a\n", false},
        {"[a]x\n", false},
        {"[a] \n", false},
        {"[a]\n[b\n", false},
        {"[a]\nb\n", false},
        {"[a]\n=c\n", false},
        {"[a]\n=\n", false},
        {"[a]\nb=c\nx\n", false},
        {"garbage\n", false},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_test_message("case %zu", i);
        g_assert_cmpint(is_whole(cases[i].text, strlen(cases[i].text)), ==, cases[i].expected);
    }
}

/* Each beginning of it: whole where a line ends, for which there is the copy. */
static void test_is_whole_truncated(void)
{
    for (size_t cut = 0; cut < strlen(status_newer); cut++)
        g_assert_cmpint(is_whole(status_newer, cut), ==, cut > 0 && status_newer[cut - 1] == '\n');
}

static void test_is_whole_nul(void)
{
    for (size_t at = 0; at <= strlen(status_text); at++) {
        g_autofree char *text = g_memdup2(status_text, sizeof status_text);

        text[at] = '\0';
        g_assert_false(is_whole(text, sizeof status_text)); /* one NUL behind it, too */
        g_assert_cmpint(is_whole(text, strlen(status_text)), ==, at == strlen(status_text));
    }
}

/* --- a directory --------------------------------------------------------------------------------
 */

static void assert_fails(const StatusFolder *f, int error)
{
    enum central_status_found was = 99;
    enum central_status_done did = 99;

    g_assert_cmpint(central_status_keep(f->fd, &was, &did), ==, error);
    g_assert_cmpint(was, ==, 99);
    g_assert_cmpint(did, ==, 99);
}

static struct stat stat_of(const StatusFolder *f, const char *name)
{
    struct stat st;

    g_assert_cmpint(fstatat(f->fd, name, &st, AT_SYMLINK_NOFOLLOW), ==, 0);
    return st;
}

/* --- whole and not --------------------------------------------------------------------------- */

static void test_whole(StatusFolder *f, gconstpointer data)
{
    struct stat before, after;

    status_put(f, status_text, strlen(status_text));
    before = stat_of(f, CENTRAL_STATUS_FILE);
    status_assert_kept(f, WHOLE, LEFT);
    status_assert_files(f, status_text, status_text);
    g_assert_cmpint(stat_of(f, CENTRAL_STATUS_COPY).st_mode & 0777, ==, 0600);
    g_assert_cmpuint(stat_of(f, CENTRAL_STATUS_FILE).st_ino, ==, before.st_ino);

    /* a copy that is right is not written again */
    before = stat_of(f, CENTRAL_STATUS_COPY);
    status_assert_kept(f, WHOLE, LEFT);
    after = stat_of(f, CENTRAL_STATUS_COPY);
    status_assert_files(f, status_text, status_text);
    g_assert_cmpuint(before.st_ino, ==, after.st_ino);
    g_assert_cmpint(before.st_mtim.tv_nsec, ==, after.st_mtim.tv_nsec);
}

/* Longer, shorter, as long, or another: what is whole and not the copy's beginning is what RAUC
 * wrote. */
static void test_newer(StatusFolder *f, gconstpointer data)
{
    static const char *const texts[] = {status_older, status_text, status_newer, status_other,
        status_newer, STATUS_BEGINNING, "[state.]\n", status_other};

    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        status_put(f, texts[i], strlen(texts[i]));
        status_assert_kept(f, WHOLE, LEFT);
        status_assert_files(f, texts[i], texts[i]);
    }
}

static void test_nothing(StatusFolder *f, gconstpointer data)
{
    status_assert_kept(f, MISSING, BEGUN);
    status_assert_files(f, STATUS_BEGINNING, NULL);
    g_assert_cmpint(stat_of(f, CENTRAL_STATUS_FILE).st_mode & 0777, ==, 0600);
    status_assert_kept(f, WHOLE, LEFT);
    status_assert_files(f, STATUS_BEGINNING, STATUS_BEGINNING);
    /* what RAUC makes of it */
    status_put(f, status_text, strlen(status_text));
    status_assert_kept(f, WHOLE, LEFT);
    status_assert_files(f, status_text, status_text);
}

static void test_lost(StatusFolder *f, gconstpointer data)
{
    status_put_copy(f, status_text);
    status_assert_kept(f, MISSING, RESTORED);
    status_assert_files(f, status_text, status_text);
    g_assert_cmpint(stat_of(f, CENTRAL_STATUS_FILE).st_mode & 0777, ==, 0600);
    status_assert_kept(f, WHOLE, LEFT);
    status_put(f, "", 0);
    status_assert_kept(f, EMPTY, RESTORED);
    status_assert_files(f, status_text, status_text);

    status_drop(f, CENTRAL_STATUS_COPY);
    status_put(f, "", 0);
    status_assert_kept(f, EMPTY, BEGUN);
    status_assert_files(f, STATUS_BEGINNING, NULL);
}

/* Cut at every byte, with the copy there: it is always known, and nothing is lost. */
static void test_torn(StatusFolder *f, gconstpointer data)
{
    status_put_copy(f, status_text);
    for (size_t cut = 1; cut < strlen(status_text); cut++) {
        status_put(f, status_text, cut);
        status_assert_kept(f, TORN, RESTORED);
        status_assert_files(f, status_text, status_text);
    }
}

/* The same without a copy: at the end of a line it looks whole, and is at least what it says. */
static void test_torn_without_copy(StatusFolder *f, gconstpointer data)
{
    for (size_t cut = 1; cut < strlen(status_text); cut++) {
        g_autofree char *begin = g_strndup(status_text, cut);
        bool is_line = status_text[cut - 1] == '\n';

        status_put(f, begin, cut);
        status_assert_kept(f, is_line ? WHOLE : TORN, is_line ? LEFT : BEGUN);
        status_assert_files(f, is_line ? begin : STATUS_BEGINNING, is_line ? begin : NULL);
        status_drop(f, CENTRAL_STATUS_COPY);
    }
}

/* Allocated, but never written: zeros from some byte on, or all of them. */
static void test_zeros(StatusFolder *f, gconstpointer data)
{
    g_autofree char *text = g_strdup(status_text);

    status_put_copy(f, status_text);
    for (size_t at = strlen(status_text); at-- > 0;) {
        text[at] = '\0';
        status_put(f, text, strlen(status_text));
        status_assert_kept(f, TORN, RESTORED);
        status_assert_files(f, status_text, status_text);
    }
    status_drop(f, CENTRAL_STATUS_COPY);
    status_put(f, text, strlen(status_text));
    status_assert_kept(f, TORN, BEGUN);
    status_assert_files(f, STATUS_BEGINNING, NULL);
}

static void test_garbage(StatusFolder *f, gconstpointer data)
{
    g_autofree char *large = g_strnfill(CENTRAL_STATUS_MAX + 1, '\n');

    memcpy(large, STATUS_BEGINNING, strlen(STATUS_BEGINNING));
    status_put_copy(f, status_text);
    status_put(f,
        "\xff\xfe\x7f"
        "ELF\n",
        7);
    status_assert_kept(f, TORN, RESTORED);
    status_assert_files(f, status_text, status_text);
    status_put(f, large, CENTRAL_STATUS_MAX + 1);
    status_assert_kept(f, TORN, RESTORED);
    status_assert_files(f, status_text, status_text);
    /* the largest that is kept */
    status_put(f, large, CENTRAL_STATUS_MAX);
    status_assert_kept(f, WHOLE, LEFT);
    status_put(f, large, CENTRAL_STATUS_MAX / 2);
    status_assert_kept(f, TORN, RESTORED);
    g_assert_cmpint(stat_of(f, CENTRAL_STATUS_FILE).st_size, ==, CENTRAL_STATUS_MAX);
    status_assert_kept(f, WHOLE, LEFT);
    status_drop(f, CENTRAL_STATUS_COPY);
    status_put(f, large, CENTRAL_STATUS_MAX + 1);
    status_assert_kept(f, TORN, BEGUN);
    status_assert_files(f, STATUS_BEGINNING, NULL);
}

/* --- a copy that is none --------------------------------------------------------------------- */

/* With @copy, a whole file is left and copied anew; one that is not is begun anew. */
static void assert_no_copy(const StatusFolder *f, const char *copy, size_t length)
{
    status_put_at(f->fd, CENTRAL_STATUS_COPY, copy, length);
    status_put(f, status_older, strlen(status_older)); /* would be the beginning of the copy */
    status_assert_kept(f, WHOLE, LEFT);
    status_assert_files(f, status_older, status_older);

    status_put_at(f->fd, CENTRAL_STATUS_COPY, copy, length);
    status_put(f, status_text, 20);
    status_assert_kept(f, TORN, BEGUN);
    status_assert_kept(f, WHOLE, LEFT);
    status_assert_files(f, STATUS_BEGINNING, STATUS_BEGINNING);
}

static void test_copy_torn(StatusFolder *f, gconstpointer data)
{
    size_t length;
    g_autofree char *copy = status_make_copy(status_text, &length);

    for (size_t cut = 0; cut < length; cut++)
        assert_no_copy(f, copy, cut);
    assert_no_copy(f, copy, length + 1); /* a NUL behind it */
}

static void test_copy_changed(StatusFolder *f, gconstpointer data)
{
    size_t length;
    g_autofree char *copy = status_make_copy(status_text, &length);

    for (size_t at = 0; at < length; at++) {
        copy[at] ^= 1;
        assert_no_copy(f, copy, length);
        copy[at] ^= 1;
    }
}

/* Its CRC is right, but it is no status file; or it is longer than one may be. */
static void test_copy_of_rubbish(StatusFolder *f, gconstpointer data)
{
    static const char *const texts[] = {"", "\n", "rubbish\n", "[slot.boot.0]\nstatus=ok"};
    g_autofree char *large = g_strnfill(CENTRAL_STATUS_MAX + 1, '\n');
    g_autofree char *copy = NULL;
    size_t length;

    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autofree char *rubbish = status_make_copy(texts[i], &length);

        assert_no_copy(f, rubbish, length);
    }
    memcpy(large, status_text, strlen(status_text));
    copy = status_make_copy(large, &length);
    assert_no_copy(f, copy, length);
}

/* --- errors ---------------------------------------------------------------------------------- */

static void test_not_a_file(StatusFolder *f, gconstpointer data)
{
    StatusFolder none = {.fd = -1};

    assert_fails(&none, -EBADF);
    g_assert_cmpint(mkdirat(f->fd, CENTRAL_STATUS_FILE, 0700), ==, 0);
    status_put_copy(f, status_text);
    assert_fails(f, -EISDIR);
    status_drop(f, CENTRAL_STATUS_FILE);
    g_assert_cmpint(symlinkat(CENTRAL_STATUS_COPY, f->fd, CENTRAL_STATUS_FILE), ==, 0);
    assert_fails(f, -ELOOP);
    status_drop(f, CENTRAL_STATUS_FILE);
    g_assert_cmpint(mkfifoat(f->fd, CENTRAL_STATUS_FILE, 0600), ==, 0);
    status_assert_kept(f, EMPTY, RESTORED);
    status_assert_files(f, status_text, status_text);

    status_drop(f, CENTRAL_STATUS_COPY);
    g_assert_cmpint(mkdirat(f->fd, CENTRAL_STATUS_COPY, 0700), ==, 0);
    assert_fails(f, -EISDIR);
    status_drop(f, CENTRAL_STATUS_FILE);
    status_assert_kept(f, MISSING, BEGUN);
}

static void add(const char *path, void (*test)(StatusFolder *, gconstpointer))
{
    g_test_add(path, StatusFolder, NULL, status_up, test, status_down);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/central-status/is-whole", test_is_whole);
    g_test_add_func("/central-status/is-whole-truncated", test_is_whole_truncated);
    g_test_add_func("/central-status/is-whole-nul", test_is_whole_nul);
    add("/central-status/whole", test_whole);
    add("/central-status/newer", test_newer);
    add("/central-status/nothing", test_nothing);
    add("/central-status/lost", test_lost);
    add("/central-status/torn", test_torn);
    add("/central-status/torn-without-copy", test_torn_without_copy);
    add("/central-status/zeros", test_zeros);
    add("/central-status/garbage", test_garbage);
    add("/central-status/copy-torn", test_copy_torn);
    add("/central-status/copy-changed", test_copy_changed);
    add("/central-status/copy-of-rubbish", test_copy_of_rubbish);
    add("/central-status/not-a-file", test_not_a_file);
    return g_test_run();
}
