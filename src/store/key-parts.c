/* SPDX-License-Identifier: MIT */
#include "store/key-parts.h"

#include "base/error.h"
#include "base/file-data.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK_SIZE ((gsize)1 << 20)
/* A file that changed this recently may change again without a change of its times. */
#define SETTLED_S 3
/* A smaller file is read as quickly as its digest. */
#define CACHED_SIZE_MIN 65536

/* Each piece is preceded by its length, so that no two lists of pieces look the same. */
static void add_piece(GChecksum *sum, const char *what, const char *text, gsize length)
{
    g_autofree char *head = g_strdup_printf("%s %zu\n", what, length);

    g_checksum_update(sum, (const guchar *)head, -1);
    g_checksum_update(sum, (const guchar *)text, (gssize)length);
}

void sp_key_add_text(GChecksum *sum, const char *what, const char *text)
{
    add_piece(sum, what, text, strlen(text));
}

/* Add the data from @at up to @end; false with errno. */
static bool add_data(GChecksum *sum, int fd, off_t at, off_t end)
{
    g_autofree guchar *block = g_malloc(BLOCK_SIZE);
    g_autofree char *place = g_strdup_printf("%" G_GINT64_FORMAT "-", (gint64)at);

    g_checksum_update(sum, (const guchar *)place, -1);
    while (at < end) {
        ssize_t n = pread(fd, block, MIN(BLOCK_SIZE, (gsize)(end - at)), at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            errno = n == 0 ? EIO : errno; /* truncated while it was read */
            return false;
        }
        g_checksum_update(sum, block, n);
        at += n;
    }
    return true;
}

static char *compute_digest(int fd)
{
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    off_t length = lseek(fd, 0, SEEK_END), at = 0, end;
    int found = -1;
    g_autofree char *size = g_strdup_printf("%" G_GINT64_FORMAT "\n", (gint64)length);

    g_checksum_update(sum, (const guchar *)size, -1);
    while (length >= 0 && (found = sp_file_next_data(fd, &at, &end)) > 0) {
        if (!add_data(sum, fd, at, end))
            return NULL;
        at = end;
    }
    return found == 0 ? g_strdup(g_checksum_get_string(sum)) : NULL;
}

static char *set_digest_error(const char *path, GError **error)
{
    g_set_error(error, SP_ERROR, errno == EACCES ? SP_ERROR_DENIED : SP_ERROR_HOST,
        "'%s' can't be read: %s", path, g_strerror(errno));
    return NULL;
}

char *sp_file_digest(const char *path, GError **error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *digest = fd >= 0 ? compute_digest(fd) : NULL;

    if (!digest)
        set_digest_error(path, error);
    if (fd >= 0)
        close(fd);
    return digest;
}

/* The file in which the digest of the file @st is cached. */
static char *build_digest_path(const char *cache_dir, const struct stat *st)
{
    g_autofree char *identity = g_strdup_printf("%" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT
                                                " %" G_GINT64_FORMAT " %" G_GINT64_FORMAT
                                                ".%09ld %" G_GINT64_FORMAT ".%09ld",
        (guint64)st->st_dev, (guint64)st->st_ino, (gint64)st->st_size, (gint64)st->st_mtim.tv_sec,
        st->st_mtim.tv_nsec, (gint64)st->st_ctim.tv_sec, st->st_ctim.tv_nsec);
    g_autofree char *name = g_compute_checksum_for_string(G_CHECKSUM_SHA256, identity, -1);

    return g_build_filename(cache_dir, "digests", name, NULL);
}

static void cache_digest(const char *cached, const char *digest)
{
    g_autofree char *dir = g_path_get_dirname(cached);

    /* a cache only: on failure the file is read again */
    if (g_mkdir_with_parents(dir, 0700) == 0)
        g_file_set_contents(cached, digest, -1, NULL);
}

static char *get_digest(const char *path, const char *cache_dir, GError **error)
{
    g_autofree char *cached = NULL;
    char *digest = NULL;
    gsize length;
    struct stat st;

    if (!cache_dir || stat(path, &st) < 0 || st.st_size < CACHED_SIZE_MIN)
        return sp_file_digest(path, error);
    cached = build_digest_path(cache_dir, &st);
    if (g_file_get_contents(cached, &digest, &length, NULL) && length == 64)
        return digest;
    g_free(digest);
    digest = sp_file_digest(path, error);
    if (digest &&
        MAX(st.st_mtim.tv_sec, st.st_ctim.tv_sec) + SETTLED_S < g_get_real_time() / G_USEC_PER_SEC)
        cache_digest(cached, digest);
    return digest;
}

bool sp_key_add_file(
    GChecksum *sum, const char *what, const char *path, const char *cache_dir, GError **error)
{
    g_autofree char *digest = path ? get_digest(path, cache_dir, error) : g_strdup("none");

    if (digest)
        sp_key_add_text(sum, what, digest);
    return digest;
}

static int compare_file_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Add the files in @dir whose names end in @suffix, with their names. */
static bool add_files(
    GChecksum *sum, const char *dir, const char *suffix, const char *cache_dir, GError **error)
{
    g_autoptr(GDir) entries = g_dir_open(dir, 0, error);
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    const char *name;

    while (entries && (name = g_dir_read_name(entries))) {
        if (g_str_has_suffix(name, suffix))
            g_ptr_array_add(names, g_strdup(name));
    }
    g_ptr_array_sort(names, compare_file_names);
    for (guint i = 0; i < names->len; i++) {
        g_autofree char *path = g_build_filename(dir, names->pdata[i], NULL);
        sp_key_add_text(sum, "file", names->pdata[i]);
        if (!sp_key_add_file(sum, "text", path, cache_dir, error))
            return false;
    }
    return entries != NULL;
}

bool sp_key_add_tree(
    GChecksum *sum, const char *dir, SpTreeKind kind, const char *cache_dir, GError **error)
{
    g_autoptr(GPtrArray) paths = sp_tree_list(dir, kind, error);

    for (guint i = 0; paths && i < paths->len; i++) {
        g_autofree char *path = g_build_filename(dir, paths->pdata[i], NULL);
        g_autoptr(GError) local = NULL;
        g_autofree char *digest = get_digest(path, cache_dir, &local);

        /* a file that has vanished since they were listed, such as an editor's */
        if (!digest && access(path, F_OK) < 0 && errno == ENOENT)
            continue;
        if (!digest) {
            g_propagate_error(error, g_steal_pointer(&local));
            return false;
        }
        sp_key_add_text(sum, "file", paths->pdata[i]);
        sp_key_add_text(sum, "text", digest);
    }
    return paths != NULL;
}

/* What QEMU may load without being told to: firmware and option ROMs, which it looks for relative
 * to its program (qemu-system-x86_64 -L help). */
static bool add_firmware(GChecksum *sum, const SpBoard *board, const char *program,
    const char *cache_dir, GError **error)
{
    g_autofree char *real = realpath(program, NULL);
    g_autofree char *dir = g_path_get_dirname(real ? real : program);

    for (const char *const *firmware = board->firmware_dirs; *firmware; firmware++) {
        g_autofree char *path = g_build_filename(dir, *firmware, NULL);

        if (g_file_test(path, G_FILE_TEST_IS_DIR) &&
            !add_files(sum, path, ".bin", cache_dir, error))
            return false;
    }
    return true;
}

bool sp_key_add_qemu(GChecksum *sum, const SpBoard *board, const char *program,
    const char *cache_dir, GError **error)
{
    return sp_key_add_file(sum, "qemu", program, cache_dir, error) &&
           add_firmware(sum, board, program, cache_dir, error);
}

bool sp_key_add_kernel(GChecksum *sum, const SpImage *image, const char *cache_dir, GError **error)
{
    return sp_key_add_file(sum, "kernel", image->kernel, cache_dir, error) &&
           sp_key_add_file(sum, "initrd", image->initrd, cache_dir, error);
}

bool sp_key_add_disk(GChecksum *sum, const SpImage *image, const char *cache_dir, GError **error)
{
    g_autoptr(GPtrArray) chain =
        g_str_equal(image->disk_format, "qcow2") ? sp_qcow2_chain(image->disk, NULL) : NULL;

    for (guint i = 0; chain && i < chain->len; i++) {
        if (!sp_key_add_file(sum, "backing", chain->pdata[i], cache_dir, error))
            return false;
    }
    return sp_key_add_file(sum, "disk", image->disk, cache_dir, error);
}

bool sp_key_add_image(GChecksum *sum, const SpImage *image, const char *cache_dir, GError **error)
{
    return sp_key_add_kernel(sum, image, cache_dir, error) &&
           sp_key_add_disk(sum, image, cache_dir, error);
}
