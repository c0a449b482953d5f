/* SPDX-License-Identifier: MIT */

/* What is left of RAUC's status file where a call fails, or the power. */

#include "appliance/update/central-status.h"

#include "cut-model.h"
#include "lib/atomic-file.h"
#include "status-folder.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Whichever call fails, the files are as before or as they should be, and the next time is well. */
static void assert_fails_well(
    const StatusFolder *f, const char *text, size_t length, const char *expected)
{
    /* call 0 opens the copy, see test_copy_unreadable() */
    for (int index = 1;; index++) {
        enum central_status_found found = 99;
        enum central_status_done done = 99;
        int r;

        status_put(f, text, length);
        status_put_copy(f, status_older);
        cut_fail(index, EIO);
        cut_record(f->fd);
        r = central_status_keep(f->fd, &found, &done);
        cut_stop();
        cut_fail(-1, 0);
        if (index >= (int)cut_calls()) {
            g_assert_cmpint(index, >, 5); /* so that the check is not an empty one */
            g_assert_cmpint(r, ==, 0);
            return;
        }
        g_assert_cmpint(r, ==, -EIO);
        g_assert_true(found == 99 && done == 99);
        g_assert_true(status_holds(f->fd, CENTRAL_STATUS_FILE, text, length) ||
                      status_holds(f->fd, CENTRAL_STATUS_FILE, expected, strlen(expected)));
        g_assert_cmpint(central_status_keep(f->fd, &found, &done), ==, 0);
        g_assert_true(status_holds(f->fd, CENTRAL_STATUS_FILE, expected, strlen(expected)));
    }
}

static void test_errors(StatusFolder *f, gconstpointer data)
{
    assert_fails_well(
        f, status_text, strlen(status_text), status_text); /* the copy is to be written */
    assert_fails_well(f, status_older, 100, status_older); /* the file is */
}

static void test_copy_unreadable(StatusFolder *f, gconstpointer data)
{
    status_put(f, status_text, strlen(status_text));
    status_put_copy(f, status_older);
    cut_fail(0, EIO);
    cut_record(f->fd);
    status_assert_kept(f, CENTRAL_STATUS_WHOLE, CENTRAL_STATUS_LEFT);
    cut_stop();
    cut_fail(-1, 0);
    status_assert_files(f, status_text, status_text);
}

/* --- power cuts ------------------------------------------------------------------------------ */

/* Short ones: each byte of them makes some directories more. */
static const char older[] = "[a]\nb=1\n";
static const char whole[] = "[a]\nb=1\n\n[c]\nx=\n";
static const char newer[] = "[a]\nb=1\n\n[c]\nx=\ne=3\n";
static const char other[] = "# x\n[c]\nx=4\n";

typedef struct {
    const char *old, *new; /* what may be there in the end; old NULL: any that is whole */
    bool is_durable;       /* once all is done, it is the new one, before the next boot already */
    const char *copy;      /* and this one's copy; NULL: that is not looked at */
} Cut;

static bool is_durable(int dirfd, const Cut *cut)
{
    if (cut->copy) {
        size_t length;
        g_autofree char *copy = status_make_copy(cut->copy, &length);

        if (!status_holds(dirfd, CENTRAL_STATUS_COPY, copy, length))
            return false;
    }
    return status_holds(dirfd, CENTRAL_STATUS_FILE, cut->new, strlen(cut->new));
}

/* What happens at the next boot. */
static bool is_recovered(int dirfd, bool is_complete, void *data)
{
    enum central_status_found found;
    enum central_status_done done;
    const Cut *cut = data;
    char text[256];
    ssize_t length;

    if (is_complete && cut->is_durable && !is_durable(dirfd, cut))
        return false;
    if (central_status_keep(dirfd, &found, &done) < 0)
        return false;
    length = sp_read_file_at(dirfd, CENTRAL_STATUS_FILE, text, sizeof text);
    if (length < 0 || !central_status_is_whole(text, (size_t)length))
        return false;
    if (!cut->old || status_holds(dirfd, CENTRAL_STATUS_FILE, cut->new, strlen(cut->new)))
        return true;
    return status_holds(dirfd, CENTRAL_STATUS_FILE, cut->old, strlen(cut->old));
}

static unsigned check_cuts(const StatusFolder *f, Cut *cut)
{
    unsigned checked, refused;

    cut_stop();
    refused = cut_check(is_recovered, cut, &checked);
    g_assert_cmpuint(checked, >, 10); /* so that the check is not an empty one */
    return refused;
}

static void keep(const StatusFolder *f)
{
    enum central_status_found found;
    enum central_status_done done;

    g_assert_cmpint(central_status_keep(f->fd, &found, &done), ==, 0);
}

/* As RAUC does it, by g_file_set_contents(): synced before only where something is replaced, and
 * the directory not at all. */
static void write_as_rauc(const StatusFolder *f, const char *text)
{
    static const char temporary[] = CENTRAL_STATUS_FILE ".7TXK42";
    struct stat st;
    bool is_synced = fstatat(f->fd, CENTRAL_STATUS_FILE, &st, 0) == 0 && st.st_size > 0;
    int fd = openat(f->fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(write(fd, text, strlen(text)), ==, strlen(text));
    if (is_synced)
        g_assert_cmpint(fsync(fd), ==, 0);
    close(fd);
    g_assert_cmpint(renameat(f->fd, temporary, f->fd, CENTRAL_STATUS_FILE), ==, 0);
}

static void test_cut_keep(StatusFolder *f, gconstpointer data)
{
    static const struct {
        const char *text, *copy;
        size_t length;
        const char *expected, *kept;
    } cases[] = {
        /* the copy is replaced, or the first one */
        {whole, older, sizeof whole - 1, whole, whole},
        {older, other, sizeof older - 1, older, older},
        {whole, NULL, sizeof whole - 1, whole, whole},
        /* the file is restored */
        {older, older, 6, older, older},
        {older, older, 0, older, older},
        {NULL, older, 0, older, older},
        /* it is begun */
        {older, NULL, 6, STATUS_BEGINNING, NULL},
        {older, NULL, 0, STATUS_BEGINNING, NULL},
        {NULL, NULL, 0, STATUS_BEGINNING, NULL},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        Cut cut = {.old = cases[i].expected,
            .new = cases[i].expected,
            .is_durable = true,
            .copy = cases[i].kept};

        g_test_message("case %zu", i);
        status_drop(f, CENTRAL_STATUS_FILE);
        status_drop(f, CENTRAL_STATUS_COPY);
        if (cases[i].text)
            status_put(f, cases[i].text, cases[i].length);
        if (cases[i].copy)
            status_put_copy(f, cases[i].copy);
        cut_record(f->fd);
        keep(f);
        g_assert_cmpuint(check_cuts(f, &cut), ==, 0);
    }
}

/* An installation: RAUC writes its file, and the post-install handler keeps it. */
static void test_cut_install(StatusFolder *f, gconstpointer data)
{
    static const char *const texts[] = {older, whole, newer, other, older};

    status_put(f, STATUS_BEGINNING, strlen(STATUS_BEGINNING));
    status_put_copy(f, STATUS_BEGINNING);
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        Cut cut = {.old = i > 0 ? texts[i - 1] : STATUS_BEGINNING,
            .new = texts[i],
            .is_durable = true,
            .copy = texts[i]};

        cut_record(f->fd);
        write_as_rauc(f, texts[i]);
        keep(f);
        g_assert_cmpuint(check_cuts(f, &cut), ==, 0);
    }
}

/* A new device: since the file is begun before RAUC starts, not even RAUC's first one is lost in
 * part, though there is no copy yet. */
static void test_cut_first(StatusFolder *f, gconstpointer data)
{
    Cut cut = {.old = STATUS_BEGINNING, .new = whole}, alone = {.old = "", .new = whole};

    keep(f);
    cut_record(f->fd);
    write_as_rauc(f, whole);
    g_assert_cmpuint(check_cuts(f, &cut), ==, 0);

    /* it is not so without that, or the model would see nothing */
    status_drop(f, CENTRAL_STATUS_FILE);
    cut_record(f->fd);
    write_as_rauc(f, whole);
    g_assert_cmpuint(check_cuts(f, &alone), >, 0);
    /* and yet the next boot has a file that is whole */
    alone.old = NULL;
    status_drop(f, CENTRAL_STATUS_FILE);
    cut_record(f->fd);
    write_as_rauc(f, whole);
    g_assert_cmpuint(check_cuts(f, &alone), ==, 0);
}

static void add(const char *path, void (*test)(StatusFolder *, gconstpointer))
{
    g_test_add(path, StatusFolder, NULL, status_up, test, status_down);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("/central-status/copy-unreadable", test_copy_unreadable);
    add("/central-status/errors", test_errors);
    add("/central-status/cut/keep", test_cut_keep);
    add("/central-status/cut/install", test_cut_install);
    add("/central-status/cut/first", test_cut_first);
    return g_test_run();
}
