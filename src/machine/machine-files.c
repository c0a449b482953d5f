/* SPDX-License-Identifier: MIT */

/* Files between host and guest: single ones by the agent, folders as a tar archive. */

#include "base/error.h"
#include "machine/machine-private.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
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

static bool put(SpMachine *machine, int fd, const char *target, guint32 mode, GError **error)
{
    g_autoptr(SpChannel) channel = sp_agent_put(machine->agent, fd, target, mode);

    if (sp_machine_wait_channel(machine, channel, sp_machine_deadline(machine, -1), error))
        return true;
    g_prefix_error(error, "copying to '%s': ", target);
    return false;
}

/* The path to write to: @target, or a name in it where it is a folder. Makes the folders above. */
static char *resolve_target(
    SpMachine *machine, const char *source, const char *target, GError **error)
{
    const char *const argv[] = {"/bin/sh", "-c",
        "mkdir -p -- \"$(dirname -- \"$1\")\" && if [ -d \"$1\" ]; then echo folder; fi", "sh",
        target, NULL};
    g_autofree char *name = g_path_get_basename(source);
    GString *output = NULL;
    bool is_folder;

    if (!sp_machine_run(machine, argv, &output, error))
        return NULL;
    is_folder = output->len > 0;
    g_string_free(output, TRUE);
    return is_folder ? g_build_filename(target, name, NULL) : g_strdup(target);
}

static bool add_entry(struct archive *out, struct archive *disk, GError **error)
{
    struct archive_entry *entry = archive_entry_new();
    char buffer[65536];
    ssize_t n = 0;
    int fd = -1;
    int status = archive_read_next_header2(disk, entry);
    bool ok = false;

    if (status == ARCHIVE_EOF || status < ARCHIVE_WARN) {
        if (status != ARCHIVE_EOF)
            archive_error(error, "reading the folder", disk);
        goto out;
    }
    archive_read_disk_descend(disk);
    archive_entry_set_uid(entry, 0);
    archive_entry_set_gid(entry, 0);
    if (archive_write_header(out, entry) < ARCHIVE_WARN) {
        archive_error(error, "packing the folder", out);
        goto out;
    }
    if (archive_entry_filetype(entry) == AE_IFREG && archive_entry_size(entry) > 0) {
        fd = open(archive_entry_sourcepath(entry), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        while (fd >= 0 && (n = read(fd, buffer, sizeof buffer)) > 0) {
            if (archive_write_data(out, buffer, (size_t)n) < 0) {
                archive_error(error, "packing the folder", out);
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

/* The contents of the folder @source as a tar archive in an unnamed file, at its start. */
static int pack_folder(const char *source, GError **error)
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
        archive_error(&local, "packing the folder", out);
    } else if (archive_read_disk_open(disk, source) != ARCHIVE_OK) {
        archive_error(&local, "reading the folder", disk);
    } else {
        while (add_entry(out, disk, &local))
            ;
        if (!local && archive_write_close(out) != ARCHIVE_OK)
            archive_error(&local, "packing the folder", out);
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

static bool copy_folder_in(
    SpMachine *machine, const char *source, const char *target, GError **error)
{
    g_autofree char *packed = g_strdup_printf("/run/slotproof-%08x.tar", g_random_int());
    const char *prefix = source + strspn(source, "/");
    /* tar leaves off the names above the folder: as many as its path has. */
    g_auto(GStrv) parts = g_strsplit(prefix, "/", -1);
    g_autofree char *strip = NULL;
    guint depth = 0;
    const char *const unpack[] = {"/bin/sh", "-c",
        "mkdir -p -- \"$2\" && tar -x -p -C \"$2\" --strip-components=\"$3\" -f \"$1\"; "
        "status=$?; rm -f \"$1\"; exit $status",
        "sh", packed, target, NULL, NULL};
    const char *argv[G_N_ELEMENTS(unpack)];
    int fd = pack_folder(source, error);

    if (fd < 0)
        return false;
    for (char **part = parts; *part; part++)
        depth += **part ? 1 : 0;
    strip = g_strdup_printf("%u", depth);
    memcpy(argv, unpack, sizeof argv);
    argv[6] = strip;
    return put(machine, fd, packed, 0600, error) && sp_machine_run(machine, argv, NULL, error);
}

bool sp_machine_copy_from_host(
    SpMachine *machine, const char *source, const char *target, GError **error)
{
    g_autofree char *path = NULL;
    g_autofree char *absolute = g_canonicalize_filename(source, NULL);
    struct stat st;
    int fd = open(absolute, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return host_error(error, "can't read", absolute, errno);
    if (fstat(fd, &st) < 0) {
        int number = errno;
        close(fd);
        return host_error(error, "can't read", absolute, number);
    }
    if (!sp_machine_connect(machine, error) ||
        !(path = resolve_target(machine, absolute, target, error))) {
        close(fd);
        return false;
    }
    if (!S_ISDIR(st.st_mode))
        return put(machine, fd, path, st.st_mode & 0777, error);
    close(fd);
    return copy_folder_in(machine, absolute, path, error);
}

/* Below the machine's out_dir, unless the script names a folder by its whole path. */
static char *resolve_out_dir(SpMachine *machine, const char *target_dir, GError **error)
{
    g_autofree char *base = g_canonicalize_filename(machine->config.out_dir, NULL);
    g_autofree char *dir = g_canonicalize_filename(*target_dir ? target_dir : ".", base);
    g_autofree char *inside = g_strconcat(base, "/", NULL);

    if (!g_path_is_absolute(target_dir) && !g_str_equal(dir, base) &&
        !g_str_has_prefix(dir, inside)) {
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
            "'%s' lies outside the test's output folder: give a path below it, or an absolute one",
            target_dir);
        return NULL;
    }
    if (g_mkdir_with_parents(dir, 0777) < 0) {
        host_error(error, "can't make the folder", dir, errno);
        return NULL;
    }
    return g_steal_pointer(&dir);
}

/* Unpack the guest's archive. What a guest packs is not trusted to stay below the folder. */
static bool unpack_folder(const GString *packed, const char *dir, GError **error)
{
    const int flags = ARCHIVE_EXTRACT_PERM | ARCHIVE_EXTRACT_TIME |
                      ARCHIVE_EXTRACT_SECURE_SYMLINKS | ARCHIVE_EXTRACT_SECURE_NODOTDOT |
                      ARCHIVE_EXTRACT_SECURE_NOABSOLUTEPATHS;
    struct archive *in = archive_read_new();
    struct archive_entry *entry;
    GError *local = NULL;
    int status;

    archive_read_support_format_tar(in);
    if (archive_read_open_memory(in, packed->str, packed->len) != ARCHIVE_OK)
        archive_error(&local, "the guest's archive", in);
    while (!local && (status = archive_read_next_header(in, &entry)) != ARCHIVE_EOF) {
        const char *name = status < ARCHIVE_WARN ? NULL : archive_entry_pathname(entry);
        mode_t type = status < ARCHIVE_WARN ? 0 : archive_entry_filetype(entry);

        if (!name || name[0] == '/' || strstr(name, "..")) {
            g_set_error(&local, SP_ERROR, SP_ERROR_GUEST,
                "the guest's archive holds a name that leads elsewhere: %s",
                name ? name : "(none)");
            break;
        }
        if (type != AE_IFREG && type != AE_IFDIR && type != AE_IFLNK)
            continue; /* devices and sockets are nothing to a report */
        g_autofree char *path = g_build_filename(dir, name, NULL);
        archive_entry_set_pathname(entry, path);
        if (archive_read_extract(in, entry, flags & ~ARCHIVE_EXTRACT_SECURE_NOABSOLUTEPATHS) <
            ARCHIVE_WARN)
            archive_error(&local, "writing the guest's files", in);
    }
    archive_read_free(in);
    if (local)
        g_propagate_error(error, local);
    return !local;
}

static bool copy_folder_out(SpMachine *machine, const char *source, const char *dir, GError **error)
{
    const char *const argv[] = {"/bin/sh", "-c",
        "cd -- \"$(dirname -- \"$1\")\" && exec tar -c -- \"$(basename -- \"$1\")\"", "sh", source,
        NULL};
    GString *packed = NULL;
    bool ok;

    if (!sp_machine_run(machine, argv, &packed, error))
        return false;
    ok = unpack_folder(packed, dir, error);
    g_string_free(packed, TRUE);
    return ok;
}

bool sp_machine_copy_from_machine(
    SpMachine *machine, const char *source, const char *target_dir, GError **error)
{
    const char *const is_folder[] = {"/bin/sh", "-c",
        "if [ -d \"$1\" ]; then echo folder; elif ! [ -e \"$1\" ]; then echo \"no such file\" >&2; "
        "exit 1; fi",
        "sh", source, NULL};
    g_autofree char *dir = resolve_out_dir(machine, target_dir, error);
    g_autofree char *name = g_path_get_basename(source);
    g_autofree char *path = NULL;
    g_autoptr(SpChannel) channel = NULL;
    GString *output = NULL;
    bool folder;
    int fd;

    if (!dir || !sp_machine_run(machine, is_folder, &output, error))
        return false;
    folder = output->len > 0;
    g_string_free(output, TRUE);
    if (folder)
        return copy_folder_out(machine, source, dir, error);
    path = g_build_filename(dir, name, NULL);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (fd < 0)
        return host_error(error, "can't write", path, errno);
    channel = sp_agent_get(machine->agent, source, fd);
    if (sp_machine_wait_channel(machine, channel, sp_machine_deadline(machine, -1), error))
        return true;
    unlink(path);
    g_prefix_error(error, "copying '%s': ", source);
    return false;
}
