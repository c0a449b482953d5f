/* SPDX-License-Identifier: MIT */
#include "runner/durations.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#define GROUP "Seconds"
/* No test takes longer than its Timeout= can be. */
#define SECONDS_MAX 1e8

struct SpDurations {
    char *path;
    GKeyFile *file;
};

SpDurations *sp_durations_load(const char *path)
{
    SpDurations *durations = g_new0(SpDurations, 1);

    durations->path = g_strdup(path);
    durations->file = g_key_file_new();
    g_key_file_load_from_file(durations->file, path, G_KEY_FILE_NONE, NULL);
    return durations;
}

void sp_durations_free(SpDurations *durations)
{
    if (!durations)
        return;
    g_key_file_unref(durations->file);
    g_free(durations->path);
    g_free(durations);
}

/* A directory may have a name that is not a valid key. */
static char *compute_key(const SpTestConf *test)
{
    return g_compute_checksum_for_string(G_CHECKSUM_SHA256, test->dir, -1);
}

/* Negative if it can't be locked. */
static int lock_file(const SpDurations *durations)
{
    g_autofree char *path = g_strconcat(durations->path, ".lock", NULL);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

    while (fd >= 0 && flock(fd, LOCK_EX) < 0) {
        if (errno == EINTR)
            continue;
        close(fd);
        fd = -1;
    }
    return fd;
}

void sp_durations_set(SpDurations *durations, const SpTestConf *test, double seconds)
{
    g_autofree char *key = compute_key(test);
    g_autofree char *dir = g_path_get_dirname(durations->path);

    int fd = g_mkdir_with_parents(dir, 0700) == 0 ? lock_file(durations) : -1;

    /* another run may have added to it */
    if (fd >= 0)
        g_key_file_load_from_file(durations->file, durations->path, G_KEY_FILE_NONE, NULL);
    g_key_file_set_double(durations->file, GROUP, key, seconds);
    if (fd >= 0) {
        g_key_file_save_to_file(durations->file, durations->path, NULL);
        close(fd);
    }
}

bool sp_durations_get(const SpDurations *durations, const SpTestConf *test, double *ret_seconds)
{
    g_autofree char *key = compute_key(test);
    g_autoptr(GError) error = NULL;
    double seconds = g_key_file_get_double(durations->file, GROUP, key, &error);

    if (error || !(seconds >= 0) || seconds > SECONDS_MAX)
        return false;
    *ret_seconds = seconds;
    return true;
}

/* Tests without a recorded duration count as the longest. */
static double get_or_longest(const SpDurations *durations, const SpTestConf *test)
{
    double seconds = G_MAXDOUBLE;

    (void)sp_durations_get(durations, test, &seconds);
    return seconds;
}

/* g_ptr_array_sort_with_data() is stable. */
static int compare_durations(const void *a, const void *b, void *data)
{
    double one = get_or_longest(data, *(SpTestConf *const *)a);
    double other = get_or_longest(data, *(SpTestConf *const *)b);

    return one < other ? 1 : (one > other ? -1 : 0);
}

void sp_durations_sort(const SpDurations *durations, GPtrArray *tests)
{
    g_ptr_array_sort_with_data(tests, compare_durations, (void *)(gpointer)durations);
}
