/* SPDX-License-Identifier: MIT */

/* Files between host and guest: single files by the agent, directories as a tar archive. */

#include "base/error.h"
#include "machine/machine-guest.h"
#include "machine/machine-private.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool host_error(GError **error, const char *what, const char *path, int number)
{
    g_set_error(error, SP_ERROR, number == ENOENT ? SP_ERROR_USAGE : SP_ERROR_HOST, "%s '%s': %s",
        what, path, g_strerror(number));
    return false;
}

static bool archive_error(GError **error, const char *what, struct archive *archive)
{
    g_set_error(error, SP_ERROR, SP_ERROR_HOST, "%s: %s", what, archive_error_string(archive));
    return false;
}

bool sp_machine_refuse_empty(const char *path, const char *what, GError **error)
{
    if (*path)
        return true;
    g_set_error(error, SP_ERROR, SP_ERROR_USAGE, "the path of %s is empty", what);
    return false;
}

static const char *name_type(mode_t type)
{
    switch (type) {
    case AE_IFSOCK:
        return "a socket";
    case AE_IFBLK:
    case AE_IFCHR:
        return "a device";
    case AE_IFIFO:
        return "a FIFO";
    default:
        return "neither file nor directory";
    }
}

static void log_skipped(SpMachine *machine, const char *path, mode_t type)
{
    sp_log(
        machine->config.log, machine->config.name, "not copied: '%s' is %s", path, name_type(type));
}

/* Says what was being copied. */
static bool copy_error(const char *purpose, GError *local, GError **error)
{
    g_prefix_error(&local, "%s: ", purpose);
    g_propagate_error(error, local);
    return false;
}

static bool put_file(SpMachine *machine, int fd, const char *target, guint32 mode,
    const char *purpose, GError **error)
{
    g_autoptr(SpChannel) channel = sp_agent_put(machine->agent, fd, target, mode);
    GError *local = NULL;

    return sp_machine_wait_channel(machine, channel, sp_machine_deadline(machine, -1), &local) ||
           copy_error(purpose, local, error);
}

/* The path to write to: @target, or a name in it if it is a directory. Makes its parents. */
static char *resolve_target(
    SpMachine *machine, const char *source, const char *target, const char *purpose, GError **error)
{
    const char *const argv[] = {"/bin/sh", "-c",
        "mkdir -p -- \"$(dirname -- \"$1\")\" && if [ -d \"$1\" ]; then echo directory; fi", "sh",
        target, NULL};
    g_autofree char *name = g_path_get_basename(source);
    GString *output = NULL;
    bool is_directory;

    if (!sp_machine_run(machine, purpose, argv, &output, error))
        return NULL;
    is_directory = output->len > 0;
    g_string_free(output, TRUE);
    return is_directory ? g_build_filename(target, name, NULL) : g_strdup(target);
}

static bool is_skipped(mode_t type)
{
    return type == AE_IFSOCK || type == AE_IFBLK || type == AE_IFCHR;
}

static bool add_entry(SpMachine *machine, struct archive *out, struct archive *disk, GError **error)
{
    struct archive_entry *entry = archive_entry_new();
    char buffer[65536];
    ssize_t n = 0;
    int fd = -1;
    int status = archive_read_next_header2(disk, entry);
    bool ok = false;

    if (status == ARCHIVE_EOF || status < ARCHIVE_WARN) {
        if (status != ARCHIVE_EOF)
            archive_error(error, "reading the directory", disk);
        goto out;
    }
    archive_read_disk_descend(disk);
    if (is_skipped(archive_entry_filetype(entry))) {
        log_skipped(machine, archive_entry_sourcepath(entry), archive_entry_filetype(entry));
        ok = true;
        goto out;
    }
    archive_entry_set_uid(entry, 0);
    archive_entry_set_gid(entry, 0);
    if (archive_write_header(out, entry) < ARCHIVE_WARN) {
        archive_error(error, "packing the directory", out);
        goto out;
    }
    if (archive_entry_filetype(entry) == AE_IFREG && archive_entry_size(entry) > 0) {
        fd = open(archive_entry_sourcepath(entry), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        while (fd >= 0 && (n = read(fd, buffer, sizeof buffer)) > 0) {
            if (archive_write_data(out, buffer, (size_t)n) < 0) {
                archive_error(error, "packing the directory", out);
                goto out;
            }
        }
        if (fd < 0 || n < 0) {
            host_error(error, "can't read", archive_entry_sourcepath(entry), errno);
            goto out;
        }
    }
    ok = true;
out:
    if (fd >= 0)
        close(fd);
    archive_entry_free(entry);
    return ok;
}

/* The contents of the directory @source as a tar archive in an unnamed file, at its start. */
static int pack_directory(SpMachine *machine, const char *source, GError **error)
{
    struct archive *disk = archive_read_disk_new();
    struct archive *out = archive_write_new();
    g_autofree char *temporary = g_build_filename(g_get_tmp_dir(), NULL);
    int fd = open(temporary, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    GError *local = NULL;

    if (fd < 0) {
        host_error(error, "no temporary file in", temporary, errno);
        goto out;
    }
    archive_write_set_format_pax_restricted(out);
    archive_read_disk_set_symlink_physical(disk);
    archive_read_disk_set_standard_lookup(disk);
    if (archive_write_open_fd(out, fd) != ARCHIVE_OK) {
        archive_error(&local, "packing the directory", out);
    } else if (archive_read_disk_open(disk, source) != ARCHIVE_OK) {
        archive_error(&local, "reading the directory", disk);
    } else {
        while (add_entry(machine, out, disk, &local))
            ;
        if (!local && archive_write_close(out) != ARCHIVE_OK)
            archive_error(&local, "packing the directory", out);
    }
    if (local || lseek(fd, 0, SEEK_SET) < 0) {
        close(fd);
        fd = -1;
        if (local)
            g_propagate_error(error, local);
    }
out:
    archive_write_free(out);
    archive_read_free(disk);
    return fd;
}

/* Under a temporary name until it is complete; an existing directory is filled directly. */
#define UNPACK                                                                                     \
    "packed=$1 target=$2 strip=$3; part=$target.slotproof-part\n"                                  \
    "if [ -e \"$target\" ]; then\n"                                                                \
    "  tar -x -p -C \"$target\" --strip-components=\"$strip\" -f \"$packed\" ||\n"                 \
    "    { status=$?; echo \"'$target' was there before, and now has a part of the copy\" >&2; "   \
    "}\n"                                                                                          \
    "else\n"                                                                                       \
    "  rm -rf -- \"$part\" && mkdir -- \"$part\" &&\n"                                             \
    "    tar -x -p -C \"$part\" --strip-components=\"$strip\" -f \"$packed\" &&\n"                 \
    "    mv -T -- \"$part\" \"$target\" || { status=$?; rm -rf -- \"$part\"; }\n"                  \
    "fi\n"                                                                                         \
    "rm -f \"$packed\"; exit \"${status:-0}\""

static bool copy_directory_in(
    SpMachine *machine, const char *source, const char *target, const char *purpose, GError **error)
{
    g_autofree char *packed = g_strdup_printf("/run/slotproof-%08x.tar", g_random_int());
    const char *prefix = source + strspn(source, "/");
    /* tar strips as many leading names as the path of the directory has */
    g_auto(GStrv) parts = g_strsplit(prefix, "/", -1);
    g_autofree char *strip = NULL;
    guint depth = 0;
    const char *argv[] = {"/bin/sh", "-c", UNPACK, "sh", packed, target, NULL, NULL};
    int fd = pack_directory(machine, source, error);

    if (fd < 0)
        return false;
    for (char **part = parts; *part; part++)
        depth += **part ? 1 : 0;
    strip = g_strdup_printf("%u", depth);
    argv[6] = strip;
    return put_file(machine, fd, packed, 0600, purpose, error) &&
           sp_machine_run(machine, purpose, argv, NULL, error);
}

/* A file or directory of the host; -1 with an error. Reading anything else might never end. */
static int open_source(const char *path, struct stat *ret_st, GError **error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0 || fstat(fd, ret_st) < 0) {
        host_error(error, "can't read", path, errno);
    } else if (!S_ISREG(ret_st->st_mode) && !S_ISDIR(ret_st->st_mode)) {
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE, "can't copy '%s': it is %s", path,
            name_type(ret_st->st_mode & S_IFMT));
    } else {
        return fd;
    }
    if (fd >= 0)
        close(fd);
    return -1;
}

static bool copy_in(SpMachine *machine, const char *source, const char *target, GError **error)
{
    g_autofree char *path = NULL;
    g_autofree char *absolute = g_canonicalize_filename(source, NULL);
    g_autofree char *purpose = g_strdup_printf("copying '%s' to '%s'", source, target);
    struct stat st;
    int fd;

    if (!sp_machine_refuse_empty(source, "what is copied", error) ||
        !sp_machine_refuse_empty(target, "the copy", error))
        return false;
    fd = open_source(absolute, &st, error);
    if (fd < 0)
        return false;
    if (!sp_machine_contact_within(machine, -1, error) ||
        !(path = resolve_target(machine, absolute, target, purpose, error))) {
        close(fd);
        return false;
    }
    if (!S_ISDIR(st.st_mode))
        return put_file(machine, fd, path, st.st_mode & 0777, purpose, error);
    close(fd);
    return copy_directory_in(machine, absolute, path, purpose, error);
}

bool sp_machine_copy_from_host(
    SpMachine *machine, const char *source, const char *target, GError **error)
{
    GError *local = NULL;

    copy_in(machine, source, target, &local);
    return sp_machine_report(machine, local, error);
}

/* Below the machine's out_dir, unless the script gives an absolute path. */
static char *resolve_out_dir(SpMachine *machine, const char *target_dir, GError **error)
{
    g_autofree char *base = g_canonicalize_filename(machine->config.out_dir, NULL);
    g_autofree char *dir = g_canonicalize_filename(*target_dir ? target_dir : ".", base);
    g_autofree char *inside = g_strconcat(base, "/", NULL);

    if (!g_path_is_absolute(target_dir) && !g_str_equal(dir, base) &&
        !g_str_has_prefix(dir, inside)) {
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
            "'%s' lies outside the test's output directory: give a path below it, or an absolute "
            "one",
            target_dir);
        return NULL;
    }
    if (g_mkdir_with_parents(dir, 0777) < 0) {
        host_error(error, "can't make the directory", dir, errno);
        return NULL;
    }
    return g_steal_pointer(&dir);
}

/* Whether @name, of a guest's archive, leads out of the directory. */
static bool leads_elsewhere(const char *name)
{
    g_auto(GStrv) parts = g_strsplit(name, "/", -1);

    return name[0] == '/' || g_strv_contains((const char *const *)parts, "..");
}

/* Puts it below @dir; false with @error if its names lead elsewhere. */
static bool place_entry(struct archive_entry *entry, const char *dir, GError **error)
{
    const char *name = archive_entry_pathname(entry), *link = archive_entry_hardlink(entry);
    g_autofree char *path = NULL;
    g_autofree char *target = NULL;

    if (!name || leads_elsewhere(name) || (link && leads_elsewhere(link))) {
        g_set_error(error, SP_ERROR, SP_ERROR_GUEST,
            "the guest's archive holds a name that leads elsewhere: %s", name ? name : "(none)");
        return false;
    }
    path = g_build_filename(dir, name, NULL);
    archive_entry_set_pathname(entry, path);
    if (link) {
        target = g_build_filename(dir, link, NULL);
        archive_entry_set_hardlink(entry, target);
    }
    return true;
}

static bool is_wanted(struct archive_entry *entry)
{
    mode_t type = archive_entry_filetype(entry);

    return type == AE_IFREG || type == AE_IFDIR || type == AE_IFLNK ||
           archive_entry_hardlink(entry);
}

/* Unpack the guest's archive. A guest is not trusted to stay below the directory. */
static bool unpack_directory(
    SpMachine *machine, const GString *packed, const char *dir, GError **error)
{
    const int flags = ARCHIVE_EXTRACT_PERM | ARCHIVE_EXTRACT_TIME |
                      ARCHIVE_EXTRACT_SECURE_SYMLINKS | ARCHIVE_EXTRACT_SECURE_NODOTDOT;
    struct archive *in = archive_read_new();
    struct archive_entry *entry;
    GError *local = NULL;
    int status;

    archive_read_support_format_tar(in);
    if (archive_read_open_memory(in, packed->str, packed->len) != ARCHIVE_OK)
        archive_error(&local, "the guest's archive", in);
    while (!local && (status = archive_read_next_header(in, &entry)) != ARCHIVE_EOF) {
        if (status < ARCHIVE_WARN)
            archive_error(&local, "the guest's archive", in);
        else if (!is_wanted(entry))
            log_skipped(machine, archive_entry_pathname(entry), archive_entry_filetype(entry));
        else if (place_entry(entry, dir, &local) &&
                 archive_read_extract(in, entry, flags) < ARCHIVE_WARN)
            archive_error(&local, "writing the guest's files", in);
    }
    archive_read_free(in);
    if (local)
        g_propagate_error(error, local);
    return !local;
}

static int make_writable(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    if (type == FTW_D || type == FTW_DNR)
        (void)chmod(path, 0700);
    return 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)remove(path);
    return 0;
}

/* Only root can move a read-only directory, so it is made writable for a moment. */
static bool move_directory(const char *from, const char *to, GError **error)
{
    struct stat st;

    if (lstat(from, &st) == 0 && S_ISDIR(st.st_mode) && chmod(from, st.st_mode | S_IRWXU) == 0 &&
        rename(from, to) == 0 && chmod(to, st.st_mode & 07777) == 0)
        return true;
    return host_error(error, "can't write", to, errno);
}

/* Under a temporary name until it is complete; an existing directory is filled directly. */
static bool place_directory(
    SpMachine *machine, const GString *packed, const char *dir, const char *name, GError **error)
{
    g_autofree char *part = g_build_filename(dir, ".slotproof-part-XXXXXX", NULL);
    g_autofree char *from = NULL;
    g_autofree char *to = g_build_filename(dir, name, NULL);
    bool is_good;

    if (g_file_test(to, G_FILE_TEST_EXISTS)) {
        if (unpack_directory(machine, packed, dir, error))
            return true;
        g_prefix_error(error, "'%s' was there before, and now has a part of the copy: ", to);
        return false;
    }
    if (!g_mkdtemp_full(part, 0777))
        return host_error(error, "can't make the directory", part, errno);
    from = g_build_filename(part, name, NULL);
    is_good = unpack_directory(machine, packed, part, error) && move_directory(from, to, error);
    nftw(part, make_writable, 16, FTW_PHYS);
    nftw(part, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    return is_good;
}

static bool copy_directory_out(
    SpMachine *machine, const char *source, const char *dir, const char *purpose, GError **error)
{
    const char *const argv[] = {"/bin/sh", "-c",
        "cd -- \"$(dirname -- \"$1\")\" && exec tar -c -- \"$(basename -- \"$1\")\"", "sh", source,
        NULL};
    g_autofree char *name = g_path_get_basename(source);
    GString *packed = NULL;
    GError *local = NULL;
    bool ok;

    if (!sp_machine_run(machine, purpose, argv, &packed, error))
        return false;
    ok = place_directory(machine, packed, dir, name, &local) || copy_error(purpose, local, error);
    g_string_free(packed, TRUE);
    return ok;
}

/* Under a temporary name until it is complete. */
static bool get_file(
    SpMachine *machine, const char *source, const char *dir, const char *purpose, GError **error)
{
    g_autofree char *name = g_path_get_basename(source);
    g_autofree char *path = g_build_filename(dir, name, NULL);
    g_autofree char *part = g_strdup_printf("%s/.slotproof-part-%08x", dir, g_random_int());
    g_autoptr(SpChannel) channel = NULL;
    GError *local = NULL;
    int fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);

    if (fd < 0)
        return host_error(error, "can't write", part, errno);
    channel = sp_agent_get(machine->agent, source, fd);
    if (!sp_machine_wait_channel(machine, channel, sp_machine_deadline(machine, -1), &local))
        copy_error(purpose, local, error);
    else if (rename(part, path) < 0)
        host_error(error, "can't write", path, errno);
    else
        return true;
    unlink(part);
    return false;
}

static bool copy_out(SpMachine *machine, const char *source, const char *target_dir, GError **error)
{
    const char *const is_directory[] = {"/bin/sh", "-c",
        "if [ -d \"$1\" ]; then echo directory; elif ! [ -e \"$1\" ]; then "
        "echo \"there is no such file\" >&2; exit 1; fi",
        "sh", source, NULL};
    g_autofree char *purpose = g_strdup_printf("copying '%s' from the machine", source);
    g_autofree char *dir = NULL;
    GString *output = NULL;
    bool directory;

    if (!sp_machine_refuse_empty(source, "what is copied", error))
        return false;
    dir = resolve_out_dir(machine, target_dir, error);
    if (!dir || !sp_machine_run(machine, purpose, is_directory, &output, error))
        return false;
    directory = output->len > 0;
    g_string_free(output, TRUE);
    return directory ? copy_directory_out(machine, source, dir, purpose, error)
                     : get_file(machine, source, dir, purpose, error);
}

bool sp_machine_copy_from_machine(
    SpMachine *machine, const char *source, const char *target_dir, GError **error)
{
    GError *local = NULL;

    copy_out(machine, source, target_dir, &local);
    return sp_machine_report(machine, local, error);
}
