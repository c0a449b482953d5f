/* SPDX-License-Identifier: MIT */
#include "lib/atomic-file.h"

#include "cut-model.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME "name"
#define TEMPORARY "." NAME ".new"

typedef struct {
    char *path;
    int fd;
} Folder;

static void folder_up(Folder *f, gconstpointer data)
{
    f->path = g_dir_make_tmp("atomic-file-XXXXXX", NULL);
    g_assert_nonnull(f->path);
    f->fd = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    g_assert_cmpint(f->fd, >=, 0);
}

static void folder_down(Folder *f, gconstpointer data)
{
    (void)unlinkat(f->fd, NAME, 0);
    (void)unlinkat(f->fd, TEMPORARY, 0);
    close(f->fd);
    g_assert_cmpint(g_rmdir(f->path), ==, 0);
    g_free(f->path);
}

static int put(const Folder *f, const char *text)
{
    return sp_atomic_write_at(f->fd, NAME, text, strlen(text), 0640);
}

static void assert_content(const Folder *f, const char *expected)
{
    char buffer[128];
    ssize_t length = sp_read_file_at(f->fd, NAME, buffer, sizeof buffer);

    g_assert_cmpint(length, >=, 0);
    g_assert_cmpmem(buffer, (size_t)length, expected, strlen(expected));
}

static void assert_no_temporary(const Folder *f)
{
    g_assert_cmpint(faccessat(f->fd, TEMPORARY, F_OK, 0), <, 0);
    g_assert_cmpint(errno, ==, ENOENT);
}

static void test_write(Folder *f, gconstpointer data)
{
    struct stat st;

    g_assert_cmpint(put(f, "one"), ==, 0);
    assert_content(f, "one");
    g_assert_cmpint(put(f, "another"), ==, 0);
    assert_content(f, "another");
    g_assert_cmpint(put(f, ""), ==, 0);
    assert_content(f, "");
    assert_no_temporary(f);
    g_assert_cmpint(fstatat(f->fd, NAME, &st, 0), ==, 0);
    g_assert_cmphex(st.st_mode & 07777, ==, 0640);
}

static void test_names(Folder *f, gconstpointer data)
{
    g_autofree char *longest = g_strnfill(251, 'x');

    g_assert_cmpint(sp_atomic_write_at(f->fd, "", "x", 1, 0600), ==, -EINVAL);
    g_assert_cmpint(sp_atomic_write_at(f->fd, "a/b", "x", 1, 0600), ==, -EINVAL);
    g_assert_cmpint(sp_atomic_write_at(f->fd, longest, "x", 1, 0600), ==, -ENAMETOOLONG);
    longest[250] = '\0';
    g_assert_cmpint(sp_atomic_write_at(f->fd, longest, "x", 1, 0600), ==, 0);
    g_assert_cmpint(unlinkat(f->fd, longest, 0), ==, 0);
    g_assert_cmpint(sp_atomic_write_at(-1, NAME, "x", 1, 0600), ==, -EBADF);
}

/* A link in the temporary's place must not lead the write elsewhere. */
static void test_link_in_the_way(Folder *f, gconstpointer data)
{
    g_assert_cmpint(put(f, "old"), ==, 0);
    g_assert_cmpint(symlinkat("victim", f->fd, TEMPORARY), ==, 0);
    g_assert_cmpint(put(f, "new"), ==, 0);
    assert_content(f, "new");
    g_assert_cmpint(faccessat(f->fd, "victim", F_OK, 0), <, 0);
}

static void test_interrupted(Folder *f, gconstpointer data)
{
    int r;

    g_assert_cmpint(put(f, "old"), ==, 0);
    cut_record(f->fd);
    cut_interrupt(true);
    r = put(f, "written byte by byte");
    cut_interrupt(false);
    cut_stop();
    g_assert_cmpint(r, ==, 0);
    assert_content(f, "written byte by byte");
    assert_no_temporary(f);
}

/* Each call fails in turn. */
static void test_failures(Folder *f, gconstpointer data)
{
    unsigned calls;

    g_assert_cmpint(put(f, "old"), ==, 0);
    cut_record(f->fd);
    g_assert_cmpint(put(f, "old"), ==, 0);
    cut_stop();
    /* unlink, open, write, sync, rename, sync of the directory */
    calls = cut_calls();
    g_assert_cmpuint(calls, ==, 6);
    for (unsigned i = 0; i < calls; i++) {
        int r;

        cut_fail((int)i, ENOSPC);
        cut_record(f->fd);
        r = put(f, "new");
        cut_stop();
        cut_fail(-1, 0);
        g_assert_cmpint(r, ==, -ENOSPC);
        assert_content(f, i + 1 == calls ? "new" : "old");
        assert_no_temporary(f);
    }
}

static bool is_old_or_new(int dirfd, bool is_complete, void *data)
{
    char buffer[128];
    ssize_t length = sp_read_file_at(dirfd, NAME, buffer, sizeof buffer);

    if (length == strlen("the new content") &&
        memcmp(buffer, "the new content", (size_t)length) == 0)
        return true;
    return !is_complete && length == 3 && memcmp(buffer, "old", 3) == 0;
}

static void test_cut(Folder *f, gconstpointer data)
{
    unsigned checked;

    g_assert_cmpint(put(f, "old"), ==, 0);
    cut_record(f->fd);
    g_assert_cmpint(put(f, "the new content"), ==, 0);
    cut_stop();
    g_assert_cmpuint(cut_check(is_old_or_new, NULL, &checked), ==, 0);
    g_assert_cmpuint(checked, >, 20);
}

static void test_read(Folder *f, gconstpointer data)
{
    char buffer[8];

    g_assert_cmpint(sp_read_file_at(f->fd, NAME, buffer, sizeof buffer), ==, -ENOENT);
    g_assert_cmpint(put(f, "12345678"), ==, 0);
    g_assert_cmpint(sp_read_file_at(f->fd, NAME, buffer, 8), ==, 8);
    g_assert_cmpmem(buffer, 8, "12345678", 8);
    g_assert_cmpint(sp_read_file_at(f->fd, NAME, buffer, 7), ==, -EFBIG);
    g_assert_cmpint(sp_read_file_at(f->fd, NAME, buffer, 0), ==, -EFBIG);
    g_assert_cmpint(put(f, ""), ==, 0);
    g_assert_cmpint(sp_read_file_at(f->fd, NAME, buffer, 0), ==, 0);
    g_assert_cmpint(sp_read_file_at(f->fd, ".", buffer, 8), ==, -EISDIR);
    g_assert_cmpint(unlinkat(f->fd, NAME, 0), ==, 0);
    g_assert_cmpint(symlinkat("elsewhere", f->fd, NAME), ==, 0);
    g_assert_cmpint(sp_read_file_at(f->fd, NAME, buffer, 8), ==, -ELOOP);
}

static void add(const char *path, void (*test)(Folder *, gconstpointer))
{
    g_test_add(path, Folder, NULL, folder_up, test, folder_down);
}

int main(int argc, char **argv)
{
    umask(022);
    g_test_init(&argc, &argv, NULL);
    add("/atomic-file/write", test_write);
    add("/atomic-file/names", test_names);
    add("/atomic-file/link-in-the-way", test_link_in_the_way);
    add("/atomic-file/interrupted", test_interrupted);
    add("/atomic-file/failures", test_failures);
    add("/atomic-file/cut", test_cut);
    add("/atomic-file/read", test_read);
    return g_test_run();
}
