/* SPDX-License-Identifier: MIT */
#include "store/result-key.h"

#include "qemu/accel.h"
#include "qemu/command.h"
#include "store/key-parts.h"
#include "suite/images.h"

#include <link.h>
#include <string.h>
#include <sys/utsname.h>

/* To be increased to make existing results unusable. */
#define FORMAT "slotproof result 2"
/* What a script calls to create a machine from any image. */
#define CREATE_WORD "create_machine"

struct SpResultKeys {
    GPtrArray *images;
    bool is_cold;
    char *cache_dir;
    GHashTable *parts; /* digests of what tests have in common, by kind and name */
};

typedef bool (*AddFunc)(SpResultKeys *keys, GChecksum *sum, const void *data, GError **error);

SpResultKeys *sp_result_keys_new(GPtrArray *images, bool is_cold, const char *cache_dir)
{
    SpResultKeys *keys = g_new0(SpResultKeys, 1);

    keys->images = images;
    keys->is_cold = is_cold;
    keys->cache_dir = g_strdup(cache_dir);
    keys->parts = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    return keys;
}

void sp_result_keys_free(SpResultKeys *keys)
{
    if (!keys)
        return;
    g_hash_table_unref(keys->parts);
    g_free(keys->cache_dir);
    g_free(keys);
}

/* Add the digest of what @add adds for @data, computed once for each @kind and @name. */
static bool add_part(SpResultKeys *keys, GChecksum *sum, const char *kind, const char *name,
    AddFunc add, const void *data, GError **error)
{
    g_autofree char *id = g_strdup_printf("%s %s", kind, name);
    const char *known = g_hash_table_lookup(keys->parts, id);
    g_autoptr(GChecksum) part = NULL;

    if (!known) {
        part = g_checksum_new(G_CHECKSUM_SHA256);
        if (!add(keys, part, data, error))
            return false;
        known = g_checksum_get_string(part);
        g_hash_table_insert(keys->parts, g_steal_pointer(&id), g_strdup(known));
    }
    sp_key_add_text(sum, kind, known);
    return true;
}

static int add_library(struct dl_phdr_info *info, size_t size, void *data)
{
    /* the program itself has no name here, and the kernel's vDSO is not a file */
    if (info->dlpi_name && *info->dlpi_name == '/')
        g_ptr_array_add(data, g_strdup(info->dlpi_name));
    return 0;
}

static int compare_strings(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* What the dynamic linker would load for @program, sorted. The linker prints this instead of
 * running the program; a static program prints its version. */
static GPtrArray *list_libraries(const char *program)
{
    const char *const argv[] = {program, "--version", NULL};
    g_auto(GStrv) environment =
        g_environ_setenv(g_get_environ(), "LD_TRACE_LOADED_OBJECTS", "1", TRUE);
    GPtrArray *libraries = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *output = NULL;
    g_auto(GStrv) words = NULL;

    if (!g_spawn_sync(NULL, (char **)argv, environment, G_SPAWN_STDERR_TO_DEV_NULL, NULL, NULL,
            &output, NULL, NULL, NULL))
        return libraries;
    words = g_strsplit_set(output, " \t\n", -1);
    for (char **word = words; *word; word++) {
        if (g_path_is_absolute(*word) && g_file_test(*word, G_FILE_TEST_IS_REGULAR))
            g_ptr_array_add(libraries, g_strdup(*word));
    }
    g_ptr_array_sort(libraries, compare_strings);
    return libraries;
}

static bool add_libraries(
    SpResultKeys *keys, GChecksum *sum, const GPtrArray *libraries, GError **error)
{
    for (guint i = 0; i < libraries->len; i++) {
        if (!sp_key_add_file(sum, "library", libraries->pdata[i], keys->cache_dir, error))
            return false;
    }
    return true;
}

/* Those that machines use besides QEMU. */
static bool add_programs(SpResultKeys *keys, GChecksum *sum, GError **error)
{
    static const char *const names[] = {"qemu-img", "tesseract"};

    for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *path = g_find_program_in_path(names[i]);

        if (!sp_key_add_file(sum, names[i], path, keys->cache_dir, error))
            return false;
    }
    return true;
}

/* Python's standard library is assumed to have the version of libpython. */
static bool add_own_program(SpResultKeys *keys, GChecksum *sum, GError **error)
{
    g_autoptr(GPtrArray) libraries = g_ptr_array_new_with_free_func(g_free);

    if (!sp_key_add_file(sum, "driver", "/proc/self/exe", keys->cache_dir, error))
        return false;
    dl_iterate_phdr(add_library, libraries);
    g_ptr_array_sort(libraries, compare_strings);
    return add_libraries(keys, sum, libraries, error);
}

/* The exceptions say where things are, not what they are. */
static bool is_deciding(const char *variable)
{
    static const char *const names[] = {"PATH", "TZ", "LANG", "LANGUAGE", NULL};
    static const char *const prefixes[] = {"LC_", "PYTHON", "SLOTPROOF_", NULL};
    static const char *const exceptions[] = {"SLOTPROOF_ACCEL", "SLOTPROOF_CACHE_MIB",
        "SLOTPROOF_IMAGES", "SLOTPROOF_PROMPT", "SLOTPROOF_QEMU", NULL};

    if (g_strv_contains(exceptions, variable))
        return false;
    for (const char *const *prefix = prefixes; *prefix; prefix++) {
        if (g_str_has_prefix(variable, *prefix))
            return true;
    }
    return g_strv_contains(names, variable);
}

static void add_variables(GChecksum *sum)
{
    g_auto(GStrv) variables = g_listenv();

    qsort(variables, g_strv_length(variables), sizeof *variables, compare_strings);
    for (char **variable = variables; *variable; variable++) {
        if (!is_deciding(*variable))
            continue;
        sp_key_add_text(sum, "variable", *variable);
        sp_key_add_text(sum, "value", g_getenv(*variable));
    }
}

static void add_host_kernel(GChecksum *sum)
{
    g_autofree char *processors = NULL;
    struct utsname name;
    const char *model;

    if (uname(&name) == 0) {
        sp_key_add_text(sum, "kernel", name.release);
        sp_key_add_text(sum, "architecture", name.machine);
    }
    if (!g_file_get_contents("/proc/cpuinfo", &processors, NULL, NULL))
        return;
    model = strstr(processors, "model name");
    if (model) {
        g_autofree char *line = g_strndup(model, strcspn(model, "\n"));
        sp_key_add_text(sum, "processor", line);
    }
}

static bool add_host(SpResultKeys *keys, GChecksum *sum, const void *data, GError **error)
{
    sp_key_add_text(sum, "format", FORMAT);
    sp_key_add_text(sum, "checkpoints", keys->is_cold ? "no" : "yes");
    add_variables(sum);
    add_host_kernel(sum);
    return add_own_program(keys, sum, error) && add_programs(keys, sum, error);
}

static bool add_emulator(SpResultKeys *keys, GChecksum *sum, const void *data, GError **error)
{
    const SpBoard *board = sp_board_find(data);
    g_autofree char *program = sp_qemu_program(data, error);
    g_autoptr(GPtrArray) libraries = program ? list_libraries(program) : NULL;
    g_autoptr(SpAccel) accel =
        program ? sp_accel_detect(board, program, keys->cache_dir, error) : NULL;

    if (!accel)
        return false;
    sp_key_add_text(sum, "accelerator", accel->argument);
    sp_key_add_text(sum, "cpu", sp_accel_cpu(accel, board));
    return sp_key_add_qemu(sum, board, program, keys->cache_dir, error) &&
           add_libraries(keys, sum, libraries, error);
}

static bool add_image(SpResultKeys *keys, GChecksum *sum, const void *data, GError **error)
{
    const SpImage *image = data;

    sp_key_add_text(sum, "image", image->name);
    return sp_key_add_tree(sum, image->dir, SP_TREE_ALL, keys->cache_dir, error) &&
           sp_key_add_image(sum, image, keys->cache_dir, error);
}

static bool add_image_and_emulator(
    SpResultKeys *keys, GChecksum *sum, const SpImage *image, GError **error)
{
    return add_part(keys, sum, "image", image->dir, add_image, image, error) &&
           add_part(keys, sum, "emulator", image->architecture, add_emulator, image->architecture,
               error);
}

static bool add_test_machines(
    SpResultKeys *keys, GChecksum *sum, const SpTestConf *conf, GError **error)
{
    const GPtrArray *machines = sp_test_conf_machines(conf);

    for (guint i = 0; i < machines->len; i++) {
        const SpTestMachine *machine = g_ptr_array_index(machines, i);
        const SpImage *image = sp_images_find(keys->images, machine->image, error);

        if (!image || !add_image_and_emulator(keys, sum, image, error))
            return false;
    }
    return true;
}

/* An image with a fault is not used by any machine. */
static bool add_all_images(SpResultKeys *keys, GChecksum *sum, GError **error)
{
    for (guint i = 0; i < keys->images->len; i++) {
        const SpImage *image = g_ptr_array_index(keys->images, i);

        if (!image->fault && !image->is_by_path && !add_image_and_emulator(keys, sum, image, error))
            return false;
    }
    return true;
}

/* Whether a Python file in @dir contains @word. */
static bool has_word(const char *dir, SpTreeKind kind, const char *word)
{
    g_autoptr(GPtrArray) paths = sp_tree_list(dir, kind, NULL);

    for (guint i = 0; paths && i < paths->len; i++) {
        g_autofree char *path = g_build_filename(dir, paths->pdata[i], NULL);
        g_autofree char *text = NULL;

        if (g_str_has_suffix(path, ".py") && g_file_get_contents(path, &text, NULL, NULL) &&
            strstr(text, word))
            return true;
    }
    return false;
}

static bool add_shared(SpResultKeys *keys, GChecksum *sum, const void *data, GError **error)
{
    if (!sp_key_add_tree(sum, data, SP_TREE_SHARED, keys->cache_dir, error))
        return false;
    return !has_word(data, SP_TREE_SHARED, CREATE_WORD) || add_all_images(keys, sum, error);
}

static bool add_script(SpResultKeys *keys, GChecksum *sum, const void *data, GError **error)
{
    const SpTestConf *conf = data;

    sp_key_add_text(sum, "name", conf->name);
    if (!sp_key_add_tree(sum, conf->dir, SP_TREE_ALL, keys->cache_dir, error) ||
        !add_part(keys, sum, "shared", conf->tests_dir, add_shared, conf->tests_dir, error))
        return false;
    if (has_word(conf->dir, SP_TREE_ALL, CREATE_WORD) && !add_all_images(keys, sum, error))
        return false;
    return !conf->from ||
           add_part(keys, sum, "from", conf->from->dir, add_script, conf->from, error);
}

char *sp_result_keys_get(SpResultKeys *keys, const SpTestConf *conf, GError **error)
{
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);

    if (!add_part(keys, sum, "host", "", add_host, NULL, error) ||
        !add_test_machines(keys, sum, conf, error) || !add_script(keys, sum, conf, error))
        return NULL;
    return g_strdup(g_checksum_get_string(sum));
}
