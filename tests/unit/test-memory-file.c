/* SPDX-License-Identifier: MIT */

/* Memory as a file, what is copied with its holes, and the digest that does not see them. */

#include "base/error.h"
#include "qemu/copy-data.h"
#include "qemu/memory-file.h"
#include "store/quick-digest.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIB ((off_t)1 << 20)

static int refused_flags; /* by mmap(2) */
static bool has_other_file_system;

void *__real_mmap64(void *address, size_t length, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap64(void *address, size_t length, int protection, int flags, int fd, off_t offset);
ssize_t __real_copy_file_range(
    int from, off_t *at, int to, off_t *target, size_t length, unsigned flags);
ssize_t __wrap_copy_file_range(
    int from, off_t *at, int to, off_t *target, size_t length, unsigned flags);

void *__wrap_mmap64(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
    if (fd >= 0 && (flags & refused_flags)) {
        errno = ENODEV;
        return MAP_FAILED;
    }
    return __real_mmap64(address, length, protection, flags, fd, offset);
}

ssize_t __wrap_copy_file_range(
    int from, off_t *at, int to, off_t *target, size_t length, unsigned flags)
{
    if (has_other_file_system) {
        errno = EXDEV;
        return -1;
    }
    return __real_copy_file_range(from, at, to, target, length, flags);
}

typedef struct {
    char *dir, *path, *other;
} Fixture;

static void set_up(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *template = g_build_filename("/var/tmp", "slotproof-test-XXXXXX", NULL);

    f->dir = g_mkdtemp(g_steal_pointer(&template));
    g_assert_nonnull(f->dir);
    f->path = g_build_filename(f->dir, "m.ram", NULL);
    f->other = g_build_filename(f->dir, "other.ram", NULL);
    refused_flags = 0;
    has_other_file_system = false;
}

static void tear_down(Fixture *f, gconstpointer data)
{
    g_unlink(f->path);
    g_unlink(f->other);
    g_assert_cmpint(g_rmdir(f->dir), ==, 0);
    g_free(f->dir);
    g_free(f->path);
    g_free(f->other);
}

static int create(const char *path)
{
    g_autoptr(GError) error = NULL;
    int fd = sp_memory_file_create(path, 8 * MIB, &error);

    g_assert_no_error(error);
    return fd;
}

static guint64 blocks(int fd)
{
    struct stat st;

    g_assert_cmpint(fstat(fd, &st), ==, 0);
    return (guint64)st.st_blocks;
}

static char *digest(const char *path)
{
    g_autoptr(GError) error = NULL;
    char *text = sp_quick_digest(path, &error);

    g_assert_no_error(error);
    g_assert_true(g_str_has_prefix(text, SP_QUICK_DIGEST_PREFIX));
    return text;
}

static void test_file(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    int fd = create(f->path), again;
    struct stat st;

    g_assert_cmpint(fstat(fd, &st), ==, 0);
    g_assert_cmpint(st.st_size, ==, 8 * MIB);
    g_assert_cmpint(st.st_mode & 0077, ==, 0);
    g_assert_cmpint(fcntl(fd, F_GETFD) & FD_CLOEXEC, !=, 0);
    g_assert_cmpint(sp_memory_file_create(f->path, MIB, NULL), <, 0);
    g_assert_cmpint(pwrite(fd, "x", 1, 5 * MIB), ==, 1);
    again = sp_memory_file_open(f->path, 8 * MIB, &error);
    g_assert_no_error(error);
    close(again);
    g_assert_cmpint(sp_memory_file_open(f->path, 9 * MIB, &error), <, 0);
    g_assert_error(error, SP_ERROR, SP_ERROR_HOST);
    g_assert_nonnull(strstr(error->message, "m.ram"));
    g_assert_cmpint(sp_memory_file_open(f->other, MIB, NULL), <, 0);
    g_assert_true(sp_memory_file_clear(fd, NULL));
    g_assert_cmpint(fstat(fd, &st), ==, 0);
    g_assert_cmpint(st.st_size, ==, 8 * MIB);
    g_assert_cmpuint(blocks(fd), ==, 0);
    close(fd);
}

/* A file system on which QEMU could not have its memory: nothing is left there. */
static void test_no_mappings(Fixture *f, gconstpointer data)
{
    static const int kinds[] = {MAP_SHARED, MAP_PRIVATE};

    for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++) {
        g_autoptr(GError) error = NULL;

        refused_flags = kinds[i];
        g_assert_cmpint(sp_memory_file_create(f->path, MIB, &error), <, 0);
        refused_flags = 0;
        g_assert_error(error, SP_ERROR, SP_ERROR_HOST);
        g_assert_nonnull(strstr(error->message, "mapped as memory"));
        g_assert_false(g_file_test(f->path, G_FILE_TEST_EXISTS));
    }
}

/* Also between two file systems. */
static void test_copy(Fixture *f, gconstpointer data)
{
    int from = create(f->path);

    g_assert_cmpint(pwrite(from, "begin", 5, 0), ==, 5);
    g_assert_cmpint(pwrite(from, "middle", 6, 3 * MIB + 77), ==, 6);
    for (guint i = 0; i < 2; i++) {
        int to = create(f->other);
        g_autofree char *one = NULL, *other = NULL;
        char text[7] = "";

        has_other_file_system = i == 1;
        g_assert_true(sp_memory_file_copy(from, to, NULL));
        g_assert_cmpint(pread(to, text, 6, 3 * MIB + 77), ==, 6);
        g_assert_cmpstr(text, ==, "middle");
        g_assert_cmpuint(blocks(to), <=, 64);
        one = digest(f->path);
        other = digest(f->other);
        g_assert_cmpstr(one, ==, other);
        close(to);
        g_unlink(f->other);
    }
    close(from);
}

/* Each byte counts, and where it stands, and the length; holes do not. */
static void test_digest(Fixture *f, gconstpointer data)
{
    static const off_t places[] = {0, 1, 4095, 4096, MIB - 1, MIB, 5 * MIB + 12345, 8 * MIB - 1};
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    int fd = create(f->path);
    g_autofree char *zeros = g_malloc0(MIB);
    g_autofree char *with_hole = NULL, *without = NULL;

    g_assert_true(g_hash_table_add(seen, digest(f->path)));
    for (gsize i = 0; i < G_N_ELEMENTS(places); i++) {
        g_assert_cmpint(pwrite(fd, "x", 1, places[i]), ==, 1);
        g_assert_true(g_hash_table_add(seen, digest(f->path)));
        g_assert_cmpint(pwrite(fd, "y", 1, places[i]), ==, 1);
        g_assert_true(g_hash_table_add(seen, digest(f->path)));
        g_assert_cmpint(pwrite(fd, "", 1, places[i]), ==, 1);
        g_assert_false(g_hash_table_add(seen, digest(f->path)));
    }
    with_hole = digest(f->path);
    g_assert_cmpint(pwrite(fd, zeros, MIB, 2 * MIB), ==, MIB);
    without = digest(f->path);
    g_assert_cmpstr(with_hole, ==, without);
    g_assert_cmpint(ftruncate(fd, 8 * MIB - 1), ==, 0);
    g_assert_true(g_hash_table_add(seen, digest(f->path)));
    close(fd);
    g_assert_null(sp_quick_digest(f->other, NULL));
}

/* Each run of zeros becomes a hole, and nothing else changes. */
static void test_zeros(Fixture *f, gconstpointer data)
{
    static const off_t places[] = {0, 3 * 4096 + 4095, 4 * 4096, 100 * 4096, MIB - 4096};
    g_autofree char *zeros = g_malloc0(MIB);
    g_autofree char *before = NULL, *after = NULL, *content = NULL, *kept = NULL;
    int fd = create(f->path);
    gsize length;

    g_assert_cmpint(pwrite(fd, zeros, MIB, 2 * MIB), ==, MIB);
    for (gsize i = 0; i < G_N_ELEMENTS(places); i++)
        g_assert_cmpint(pwrite(fd, "x", 1, 2 * MIB + places[i]), ==, 1);
    /* and one that is all zeros, up to its end */
    g_assert_cmpint(pwrite(fd, zeros, 3 * 4096, 5 * MIB), ==, 3 * 4096);
    before = digest(f->path);
    g_assert_true(g_file_get_contents(f->path, &content, &length, NULL));
    sp_memory_file_drop_zeros(fd);
    g_assert_true(g_file_get_contents(f->path, &kept, &length, NULL));
    g_assert_cmpuint(length, ==, 8 * MIB);
    g_assert_cmpmem(content, length, kept, length);
    after = digest(f->path);
    g_assert_cmpstr(before, ==, after);
    g_assert_cmpuint(blocks(fd), ==, G_N_ELEMENTS(places) * 8);
    close(fd);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, func) g_test_add("/memory-file/" name, Fixture, NULL, set_up, func, tear_down)
    ADD("file", test_file);
    ADD("no-mappings", test_no_mappings);
    ADD("copy", test_copy);
    ADD("digest", test_digest);
    ADD("zeros", test_zeros);
    return g_test_run();
}
