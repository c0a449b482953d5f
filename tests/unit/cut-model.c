/* SPDX-License-Identifier: MIT */
#include "cut-model.h"

#include "lib/atomic-file.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX 4096

int __real_openat(int dirfd, const char *path, int flags, ...);
ssize_t __real_write(int fd, const void *data, size_t length);
int __real_fsync(int fd);
int __real_renameat(int from_dir, const char *from, int to_dir, const char *to);
int __real_unlinkat(int dirfd, const char *path, int flags);
int __real_close(int fd);
int __wrap_openat(int dirfd, const char *path, int flags, ...);
int __wrap_openat64(int dirfd, const char *path, int flags, ...);
ssize_t __wrap_write(int fd, const void *data, size_t length);
int __wrap_fsync(int fd);
int __wrap_renameat(int from_dir, const char *from, int to_dir, const char *to);
int __wrap_unlinkat(int dirfd, const char *path, int flags);
int __wrap_close(int fd);

typedef enum {
    CALL_NAME,
    CALL_REMOVE,
    CALL_RENAME,
    CALL_TRUNCATE,
    CALL_WRITE,
    CALL_SYNC,
    CALL_SYNC_DIR
} CallType;

typedef struct {
    CallType type;
    char *name, *to;
    guint file; /* index of what stands for an inode */
    GBytes *data;
} Call;

static struct {
    bool is_recording, is_interrupting, was_interrupted;
    bool is_checking; /* what is synced then is thrown away */
    int dirfd, fail_index, fail_error;
    unsigned count;
    GArray *calls;       /* Call */
    GPtrArray *contents; /* GBytes: what each file held at the start */
    GHashTable *names;   /* at the start: name -> file + 1 */
    GHashTable *now;     /* the same, after the calls */
    GHashTable *fds;     /* descriptor -> file + 1 */
} cut = {.fail_index = -1};

/* --- recording ------------------------------------------------------------------------------- */

/* True if the call is to fail; errno is set. */
static bool must_fail(bool can_be_interrupted)
{
    if (!cut.is_recording)
        return false;
    if (cut.is_interrupting && can_be_interrupted && !cut.was_interrupted) {
        cut.was_interrupted = true;
        errno = EINTR;
        return true;
    }
    cut.was_interrupted = false;
    if ((int)cut.count++ == cut.fail_index) {
        errno = cut.fail_error;
        return true;
    }
    return false;
}

static void add_call(Call call)
{
    g_array_append_val(cut.calls, call);
}

static guint file_of(GHashTable *names, const char *name)
{
    return GPOINTER_TO_UINT(g_hash_table_lookup(names, name));
}

static guint fd_file(int fd)
{
    return GPOINTER_TO_UINT(g_hash_table_lookup(cut.fds, GINT_TO_POINTER(fd)));
}

static int open_recorded(int dirfd, const char *path, int flags, mode_t mode)
{
    guint file;
    int fd;

    if (must_fail(true))
        return -1;
    fd = __real_openat(dirfd, path, flags, mode);
    if (fd < 0 || (flags & O_ACCMODE) == O_RDONLY)
        return fd;
    file = file_of(cut.now, path);
    if (file == 0) {
        g_ptr_array_add(cut.contents, g_bytes_new(NULL, 0));
        file = cut.contents->len;
        add_call((Call){.type = CALL_NAME, .name = g_strdup(path), .file = file - 1});
        g_hash_table_insert(cut.now, g_strdup(path), GUINT_TO_POINTER(file));
    } else if (flags & O_TRUNC) {
        add_call((Call){.type = CALL_TRUNCATE, .file = file - 1});
    }
    g_hash_table_insert(cut.fds, GINT_TO_POINTER(fd), GUINT_TO_POINTER(file));
    return fd;
}

int __wrap_openat(int dirfd, const char *path, int flags, ...)
{
    mode_t mode = 0;
    va_list args;

    va_start(args, flags);
    if (flags & O_CREAT)
        mode = va_arg(args, mode_t);
    va_end(args);
    if (!cut.is_recording || dirfd != cut.dirfd)
        return __real_openat(dirfd, path, flags, mode);
    return open_recorded(dirfd, path, flags, mode);
}

int __wrap_openat64(int dirfd, const char *path, int flags, ...)
{
    mode_t mode = 0;
    va_list args;

    va_start(args, flags);
    if (flags & O_CREAT)
        mode = va_arg(args, mode_t);
    va_end(args);
    return __wrap_openat(dirfd, path, flags, mode);
}

ssize_t __wrap_write(int fd, const void *data, size_t length)
{
    ssize_t n;

    if (!cut.is_recording || !fd_file(fd))
        return __real_write(fd, data, length);
    if (must_fail(true))
        return -1;
    n = __real_write(fd, data, cut.is_interrupting ? MIN(length, 1) : length);
    if (n > 0)
        add_call((Call){
            .type = CALL_WRITE, .file = fd_file(fd) - 1, .data = g_bytes_new(data, (gsize)n)});
    return n;
}

int __wrap_fsync(int fd)
{
    if (!cut.is_recording)
        return cut.is_checking ? 0 : __real_fsync(fd);
    if (must_fail(true))
        return -1;
    if (fd == cut.dirfd)
        add_call((Call){.type = CALL_SYNC_DIR});
    else if (fd_file(fd))
        add_call((Call){.type = CALL_SYNC, .file = fd_file(fd) - 1});
    return 0;
}

int __wrap_renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    guint file;

    if (!cut.is_recording)
        return __real_renameat(from_dir, from, to_dir, to);
    if (must_fail(false) || __real_renameat(from_dir, from, to_dir, to) < 0)
        return -1;
    file = file_of(cut.now, from);
    g_assert_cmpuint(file, !=, 0);
    add_call(
        (Call){.type = CALL_RENAME, .name = g_strdup(from), .to = g_strdup(to), .file = file - 1});
    g_hash_table_insert(cut.now, g_strdup(to), GUINT_TO_POINTER(file));
    g_hash_table_remove(cut.now, from);
    return 0;
}

int __wrap_unlinkat(int dirfd, const char *path, int flags)
{
    if (!cut.is_recording)
        return __real_unlinkat(dirfd, path, flags);
    if (must_fail(false) || __real_unlinkat(dirfd, path, flags) < 0)
        return -1;
    add_call((Call){.type = CALL_REMOVE, .name = g_strdup(path)});
    g_hash_table_remove(cut.now, path);
    return 0;
}

int __wrap_close(int fd)
{
    if (cut.is_recording)
        g_hash_table_remove(cut.fds, GINT_TO_POINTER(fd));
    return __real_close(fd);
}

/* --- directories ---------------------------------------------------------------------------------
 */

static void clear_call(gpointer data)
{
    Call *call = data;

    g_free(call->name);
    g_free(call->to);
    g_clear_pointer(&call->data, g_bytes_unref);
}

static GBytes *read_content(int dirfd, const char *name)
{
    char buffer[FILE_MAX];
    ssize_t length = sp_read_file_at(dirfd, name, buffer, sizeof buffer);

    g_assert_cmpint(length, >=, 0);
    return g_bytes_new(buffer, (gsize)length);
}

/* The names in the directory. */
static GPtrArray *list_names(int dirfd)
{
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", dirfd);
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    const char *name;

    g_assert_nonnull(dir);
    while ((name = g_dir_read_name(dir)))
        g_ptr_array_add(names, g_strdup(name));
    return names;
}

void cut_record(int dirfd)
{
    g_autoptr(GPtrArray) names = list_names(dirfd);

    g_clear_pointer(&cut.calls, g_array_unref);
    g_clear_pointer(&cut.contents, g_ptr_array_unref);
    g_clear_pointer(&cut.names, g_hash_table_unref);
    g_clear_pointer(&cut.now, g_hash_table_unref);
    g_clear_pointer(&cut.fds, g_hash_table_unref);
    cut.calls = g_array_new(FALSE, FALSE, sizeof(Call));
    g_array_set_clear_func(cut.calls, clear_call);
    cut.contents = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    cut.names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    cut.now = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    cut.fds = g_hash_table_new(NULL, NULL);
    for (guint i = 0; i < names->len; i++) {
        const char *name = g_ptr_array_index(names, i);

        g_ptr_array_add(cut.contents, read_content(dirfd, name));
        g_hash_table_insert(cut.names, g_strdup(name), GUINT_TO_POINTER(i + 1));
        g_hash_table_insert(cut.now, g_strdup(name), GUINT_TO_POINTER(i + 1));
    }
    cut.count = 0;
    cut.dirfd = dirfd;
    cut.was_interrupted = false;
    cut.is_recording = true;
}

void cut_fail(int index, int error)
{
    cut.fail_index = index;
    cut.fail_error = error;
}

void cut_interrupt(bool is_interrupting)
{
    cut.is_interrupting = is_interrupting;
}

unsigned cut_calls(void)
{
    return cut.count;
}

/* --- disks ----------------------------------------------------------------------------------- */

/* What the file holds once the calls [0, end) are carried out, of those at and after @synced only
 * what makes up @extra bytes written (G_MAXUINT: all). The bytes in excess of what was synced are
 * zeros if @is_zeroed. */
static GByteArray *content_at(guint file, guint end, guint synced, guint extra, bool is_zeroed)
{
    gsize size;
    const guint8 *start = g_bytes_get_data(cut.contents->pdata[file], &size);
    GByteArray *content = g_byte_array_new();

    g_byte_array_append(content, start, (guint)size);
    for (guint i = 0; i < end; i++) {
        const Call *call = &g_array_index(cut.calls, Call, i);
        guint old = content->len, take;

        if (call->type == CALL_TRUNCATE && call->file == file && (i < synced || extra > 0))
            g_byte_array_set_size(content, 0);
        if (call->type != CALL_WRITE || call->file != file)
            continue;
        take = (guint)g_bytes_get_size(call->data);
        if (i >= synced) {
            take = MIN(take, extra);
            extra -= take;
        }
        g_byte_array_append(content, g_bytes_get_data(call->data, NULL), take);
        if (i >= synced && is_zeroed && take > 0)
            memset(content->data + old, 0, take);
    }
    return content;
}

/* The first call that the last sync of the file (of the directory: G_MAXUINT) does not cover. */
static guint synced_until(guint file, guint end)
{
    guint until = 0;

    for (guint i = 0; i < end; i++) {
        const Call *call = &g_array_index(cut.calls, Call, i);

        if (file == G_MAXUINT ? call->type == CALL_SYNC_DIR
                              : call->type == CALL_SYNC && call->file == file)
            until = i + 1;
    }
    return until;
}

static bool changes_names(const Call *call)
{
    return call->type == CALL_NAME || call->type == CALL_REMOVE || call->type == CALL_RENAME;
}

/* The names on the disk: all changes before @synced, and of those after it the ones in @chosen. */
static GHashTable *names_at(guint end, guint synced, unsigned chosen)
{
    GHashTable *names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    GHashTableIter iter;
    gpointer key, value;
    unsigned nth = 0;

    g_hash_table_iter_init(&iter, cut.names);
    while (g_hash_table_iter_next(&iter, &key, &value))
        g_hash_table_insert(names, g_strdup(key), value);
    for (guint i = 0; i < end; i++) {
        const Call *call = &g_array_index(cut.calls, Call, i);

        if (!changes_names(call) || (i >= synced && !(chosen & 1u << nth++)))
            continue;
        if (call->type != CALL_NAME)
            g_hash_table_remove(names, call->name);
        if (call->type != CALL_REMOVE)
            g_hash_table_insert(names, g_strdup(call->type == CALL_RENAME ? call->to : call->name),
                GUINT_TO_POINTER(call->file + 1));
    }
    return names;
}

static unsigned count_pending_names(guint end, guint synced)
{
    unsigned count = 0;

    for (guint i = synced; i < end; i++)
        count += changes_names(&g_array_index(cut.calls, Call, i));
    return count;
}

static guint count_pending_bytes(guint file, guint end, guint synced)
{
    guint count = 0;

    for (guint i = synced; i < end; i++) {
        const Call *call = &g_array_index(cut.calls, Call, i);

        if (call->type == CALL_WRITE && call->file == file)
            count += (guint)g_bytes_get_size(call->data);
    }
    return count;
}

static void put_file(int dirfd, const char *name, const GByteArray *content)
{
    int fd = __real_openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(__real_write(fd, content->data, content->len), ==, content->len);
    __real_close(fd);
}

static void empty_folder(int dirfd)
{
    g_autoptr(GPtrArray) names = list_names(dirfd);

    for (guint i = 0; i < names->len; i++)
        g_assert_cmpint(__real_unlinkat(dirfd, names->pdata[i], 0), ==, 0);
}

typedef struct {
    int dirfd;
    cut_check_func check;
    void *data;
    unsigned checked, refused;
} Checker;

/* Builds the directory with @names, the file @varied holding @extra bytes of what is pending. */
static void check_one(
    Checker *c, GHashTable *names, guint end, guint varied, guint extra, bool is_zeroed)
{
    GHashTableIter iter;
    gpointer key, value;

    empty_folder(c->dirfd);
    g_hash_table_iter_init(&iter, names);
    while (g_hash_table_iter_next(&iter, &key, &value)) {
        guint file = GPOINTER_TO_UINT(value) - 1;
        bool is_varied = file == varied;
        g_autoptr(GByteArray) content = content_at(file, end, synced_until(file, end),
            is_varied ? extra : G_MAXUINT, is_varied && is_zeroed);

        put_file(c->dirfd, key, content);
    }
    c->checked++;
    c->refused += !c->check(c->dirfd, end == cut.calls->len, c->data);
}

static void check_names(Checker *c, GHashTable *names, guint end)
{
    GHashTableIter iter;
    gpointer value;

    check_one(c, names, end, G_MAXUINT, 0, false);
    g_hash_table_iter_init(&iter, names);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        guint file = GPOINTER_TO_UINT(value) - 1;
        guint pending = count_pending_bytes(file, end, synced_until(file, end));

        for (guint extra = 0; extra <= pending && pending > 0; extra++) {
            check_one(c, names, end, file, extra, false);
            check_one(c, names, end, file, extra, true);
        }
    }
}

unsigned cut_check(cut_check_func check, void *data, unsigned *ret_checked)
{
    g_autofree char *path = g_dir_make_tmp("cut-XXXXXX", NULL);
    Checker c = {.check = check, .data = data};

    g_assert_false(cut.is_recording);
    g_assert_nonnull(path);
    c.dirfd = __real_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    g_assert_cmpint(c.dirfd, >=, 0);
    cut.is_checking = true;
    for (guint end = 0; end <= cut.calls->len; end++) {
        guint synced = synced_until(G_MAXUINT, end);
        unsigned pending = count_pending_names(end, synced);

        for (unsigned chosen = 0; chosen < 1u << pending; chosen++) {
            g_autoptr(GHashTable) names = names_at(end, synced, chosen);

            check_names(&c, names, end);
        }
    }
    cut.is_checking = false;
    empty_folder(c.dirfd);
    __real_close(c.dirfd);
    g_assert_cmpint(g_rmdir(path), ==, 0);
    *ret_checked = c.checked;
    return c.refused;
}

void cut_stop(void)
{
    g_autoptr(GPtrArray) names = NULL;

    cut.is_recording = false;
    names = list_names(cut.dirfd);
    g_assert_cmpuint(names->len, ==, g_hash_table_size(cut.now));
    for (guint i = 0; i < names->len; i++) {
        guint file = file_of(cut.now, names->pdata[i]);
        g_autoptr(GBytes) content = read_content(cut.dirfd, names->pdata[i]);
        g_autoptr(GByteArray) expected = NULL;

        g_assert_cmpuint(file, !=, 0);
        expected = content_at(file - 1, cut.calls->len, cut.calls->len, 0, false);
        g_assert_cmpmem(expected->data, expected->len, g_bytes_get_data(content, NULL),
            g_bytes_get_size(content));
    }
}
