/* SPDX-License-Identifier: MIT */
#include "store/checkpoint-key.h"

#include "base/error.h"
#include "qemu/command.h"
#include "store/key-parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Another number makes all checkpoints that there are strangers: when what is saved, or how a
 * script runs, changes. */
#define FORMAT "slotproof checkpoint 3"
#define BOOT_SNAPSHOT_FORMAT "slotproof boot snapshot 1"
#define BLOCK_SIZE ((gsize)1 << 20)
/* A file that changed this lately may change again without its times telling. */
#define SETTLED_S 3
/* What is smaller is read as soon as its digest is. */
#define REMEMBERED_SIZE_MIN 65536

/* Every piece with its length in front: no two lists of pieces look the same. */
static void add(GChecksum *sum, const char *what, const char *text, gsize length)
{
    g_autofree char *head = g_strdup_printf("%s %zu\n", what, length);

    g_checksum_update(sum, (const guchar *)head, -1);
    g_checksum_update(sum, (const guchar *)text, (gssize)length);
}

void sp_key_add_text(GChecksum *sum, const char *what, const char *text)
{
    add(sum, what, text, strlen(text));
}

/* The data from @at up to @end; false with errno. */
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
            errno = n == 0 ? EIO : errno; /* cut while it was read */
            return false;
        }
        g_checksum_update(sum, block, n);
        at += n;
    }
    return true;
}

static char *digest_fd(int fd)
{
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    off_t length = lseek(fd, 0, SEEK_END), at = 0, end;
    g_autofree char *size = g_strdup_printf("%" G_GINT64_FORMAT "\n", (gint64)length);

    g_checksum_update(sum, (const guchar *)size, -1);
    while (length >= 0 && (at = lseek(fd, at, SEEK_DATA)) >= 0) {
        end = lseek(fd, at, SEEK_HOLE);
        if (end < 0 || !add_data(sum, fd, at, end))
            return NULL;
        at = end;
    }
    /* ENXIO: no data behind there */
    return length >= 0 && errno == ENXIO ? g_strdup(g_checksum_get_string(sum)) : NULL;
}

static char *digest_error(const char *path, GError **error)
{
    g_set_error(error, SP_ERROR, errno == EACCES ? SP_ERROR_DENIED : SP_ERROR_HOST,
        "'%s' can't be read: %s", path, g_strerror(errno));
    return NULL;
}

char *sp_file_digest(const char *path, GError **error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *digest = fd >= 0 ? digest_fd(fd) : NULL;

    if (!digest)
        digest_error(path, error);
    if (fd >= 0)
        close(fd);
    return digest;
}

/* Where the digest of the file that @st tells of is kept. */
static char *memory_path(const char *cache_dir, const struct stat *st)
{
    g_autofree char *identity = g_strdup_printf("%" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT
                                                " %" G_GINT64_FORMAT " %" G_GINT64_FORMAT
                                                ".%09ld %" G_GINT64_FORMAT ".%09ld",
        (guint64)st->st_dev, (guint64)st->st_ino, (gint64)st->st_size, (gint64)st->st_mtim.tv_sec,
        st->st_mtim.tv_nsec, (gint64)st->st_ctim.tv_sec, st->st_ctim.tv_nsec);
    g_autofree char *name = g_compute_checksum_for_string(G_CHECKSUM_SHA256, identity, -1);

    return g_build_filename(cache_dir, "digests", name, NULL);
}

static void remember(const char *memory, const char *digest)
{
    g_autofree char *dir = g_path_get_dirname(memory);

    /* Only a memory: without it the file is read again. */
    if (g_mkdir_with_parents(dir, 0700) == 0)
        g_file_set_contents(memory, digest, -1, NULL);
}

static char *known_digest(const char *path, const char *cache_dir, GError **error)
{
    g_autofree char *memory = NULL;
    char *digest = NULL;
    gsize length;
    struct stat st;

    if (!cache_dir || stat(path, &st) < 0 || st.st_size < REMEMBERED_SIZE_MIN)
        return sp_file_digest(path, error);
    memory = memory_path(cache_dir, &st);
    if (g_file_get_contents(memory, &digest, &length, NULL) && length == 64)
        return digest;
    g_free(digest);
    digest = sp_file_digest(path, error);
    if (digest &&
        MAX(st.st_mtim.tv_sec, st.st_ctim.tv_sec) + SETTLED_S < g_get_real_time() / G_USEC_PER_SEC)
        remember(memory, digest);
    return digest;
}

bool sp_key_add_file(
    GChecksum *sum, const char *what, const char *path, const char *cache_dir, GError **error)
{
    g_autofree char *digest = path ? known_digest(path, cache_dir, error) : g_strdup("none");

    if (digest)
        sp_key_add_text(sum, what, digest);
    return digest;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The files in @dir whose names end in @suffix, with their names. */
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
    g_ptr_array_sort(names, compare_names);
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
        g_autofree char *digest = known_digest(path, cache_dir, &local);

        /* an editor's file that is gone since they were listed */
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

static bool add_kernel(GChecksum *sum, const SpImage *image, const char *cache_dir, GError **error)
{
    return sp_key_add_file(sum, "kernel", image->kernel, cache_dir, error) &&
           sp_key_add_file(sum, "initrd", image->initrd, cache_dir, error);
}

/* All that a machine is but for what is on its disk. */
static bool add_board(
    GChecksum *sum, const SpMachineConfig *config, const char *cache_dir, GError **error)
{
    const SpQemuConfig qemu = sp_machine_qemu_config(config);
    const SpBoard *board = sp_board_find(config->image->architecture);
    g_autofree char *program = sp_qemu_program(config->image->architecture, error);
    g_auto(GStrv) argv = NULL;

    if (!program)
        return false;
    sp_key_add_text(sum, "machine", config->name);
    argv = sp_qemu_command(program, &qemu, SP_QEMU_ALLOW_REBOOT);
    for (char **word = argv; *word; word++)
        sp_key_add_text(sum, "word", *word);
    return sp_key_add_qemu(sum, board, program, cache_dir, error) &&
           add_kernel(sum, config->image, cache_dir, error);
}

/* With all that it lies on. */
static bool add_disk(GChecksum *sum, const SpImage *image, const char *cache_dir, GError **error)
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
    return add_kernel(sum, image, cache_dir, error) && add_disk(sum, image, cache_dir, error);
}

static bool add_machine(
    GChecksum *sum, const SpMachineConfig *config, const char *cache_dir, GError **error)
{
    return add_board(sum, config, cache_dir, error) &&
           add_disk(sum, config->image, cache_dir, error);
}

/* What a script can import or read beside it, whether it does or not, and test.conf. */
static bool add_scripts(
    GChecksum *sum, const SpTestConf *conf, const char *cache_dir, GError **error)
{
    sp_key_add_text(sum, "checkpoint", conf->name);
    return sp_key_add_tree(sum, conf->dir, SP_TREE_ALL, cache_dir, error) &&
           sp_key_add_tree(sum, conf->tests_dir, SP_TREE_SHARED, cache_dir, error);
}

char *sp_checkpoint_key(
    const SpTestConf *conf, const GPtrArray *configs, const char *cache_dir, GError **error)
{
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    g_autofree char *below = NULL;

    if (conf->from) {
        below = sp_checkpoint_key(conf->from, configs, cache_dir, error);
        if (!below)
            return NULL;
    }
    sp_key_add_text(sum, "format", FORMAT);
    sp_key_add_text(sum, "below", below ? below : "");
    for (guint i = 0; i < configs->len; i++) {
        if (!add_machine(sum, g_ptr_array_index(configs, i), cache_dir, error))
            return NULL;
    }
    return add_scripts(sum, conf, cache_dir, error) ? g_strdup(g_checksum_get_string(sum)) : NULL;
}

char *sp_boot_snapshot_key(const SpMachineConfig *config, const char *cache_dir, GError **error)
{
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    const SpQemuConfig qemu = sp_machine_qemu_config(config);
    const char *format, *disk = sp_qemu_disk(&qemu, &format);
    g_autofree char *size = NULL;
    struct stat st;

    sp_key_add_text(sum, "format", BOOT_SNAPSHOT_FORMAT);
    if (stat(disk, &st) < 0)
        return digest_error(disk, error);
    /* of a raw disk the guest is told no more before it reads */
    size = g_strdup_printf("%" G_GINT64_FORMAT, (gint64)st.st_size);
    if (g_str_equal(format, "raw"))
        sp_key_add_text(sum, "size", size);
    else if (!add_disk(sum, config->image, cache_dir, error))
        return NULL;
    return add_board(sum, config, cache_dir, error) ? g_strdup(g_checksum_get_string(sum)) : NULL;
}
