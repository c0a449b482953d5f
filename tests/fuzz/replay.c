/* SPDX-License-Identifier: MIT */

/* Runs a fuzz target on each file named, or on the files in each directory named. */

#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
    FILE *file = fopen(path, "rbe");
    struct stat st;
    uint8_t *data;
    size_t size;

    if (!file || fstat(fileno(file), &st) < 0) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return -1;
    }
    /* exactly as large as the file, so that a sanitizer catches a read past its end */
    data = malloc(st.st_size > 0 ? (size_t)st.st_size : 1);
    if (!data)
        abort();
    size = fread(data, 1, (size_t)st.st_size, file);
    fclose(file);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    return 0;
}

static int replay(const char *path, int *count)
{
    char name[4096];
    struct dirent *entry;
    DIR *dir = opendir(path);

    if (!dir) {
        ++*count;
        return replay_file(path);
    }
    while ((entry = readdir(dir))) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        ++*count;
        if (replay_file(name) < 0) {
            closedir(dir);
            return -1;
        }
    }
    closedir(dir);
    return 0;
}

int main(int argc, char **argv)
{
    int count = 0;

    for (int i = 1; i < argc; i++) {
        if (replay(argv[i], &count) < 0)
            return 1;
    }
    if (count == 0) {
        fputs("nothing to replay\n", stderr);
        return 1;
    }
    printf("%d inputs replayed\n", count);
    return 0;
}
