/* SPDX-License-Identifier: MIT */
#include "suite/test-conf.h"

#include "base/error.h"
#include "base/keyfile.h"
#include "script/script.h"

#include <string.h>

#define TIMEOUT_DEFAULT_S 3600u

static const SpKey test_keys[] = {
    {"Test", "Description"},
    {"Test", "Timeout"},
    {"Test", "Clock"},
    {"Test", "Capture"},
    {"Test", "Tags"},
    {"Test", "From"},
    {"Checkpoint", "Description"},
    {"Checkpoint", "Clock"},
    {"Checkpoint", "From"},
    {"Machine *", "Image"},
    {"Machine *", "Memory"},
    {"Machine *", "CPUs"},
    {"Machine *", "Networks"},
    {NULL, NULL},
};

static void machine_free(void *data)
{
    SpTestMachine *machine = data;

    g_free(machine->name);
    g_free(machine->image);
    g_free(machine);
}

static bool is_on_network(const SpTestMachine *machine, guint64 number)
{
    for (guint i = 0; i < machine->nics; i++) {
        if (machine->networks[i] == number)
            return true;
    }
    return false;
}

/* Of the form "1 2": one network card each, in this order. */
static bool read_networks(
    SpTestMachine *machine, SpKeyFile *file, const char *group, GError **error)
{
    g_autofree char *text = sp_key_file_string(file, group, "Networks");
    g_auto(GStrv) words = g_strsplit_set(text ? text : "", " \t", -1);

    for (char **word = words; *word; word++) {
        guint64 number;

        if (!**word)
            continue;
        if (machine->nics == SP_MACHINE_NICS_MAX ||
            !g_ascii_string_to_unsigned(*word, 10, 1, SP_NETWORK_MAX, &number, NULL) ||
            is_on_network(machine, number))
            return sp_key_file_refuse(file, group, "Networks",
                "the numbers of at most 8 networks, from 1 to 255, each once, separated by spaces",
                error);
        machine->networks[machine->nics++] = (guint)number;
    }
    return true;
}

static bool has_machine(const SpTestConf *conf, const char *name)
{
    for (guint i = 0; i < conf->machines->len; i++) {
        const SpTestMachine *machine = g_ptr_array_index(conf->machines, i);
        if (g_str_equal(machine->name, name))
            return true;
    }
    return false;
}

static bool read_machine(SpTestConf *conf, SpKeyFile *file, const char *group, GError **error)
{
    g_autofree char *name = g_strstrip(g_strdup(group + strlen("Machine ")));
    const char *fault = sp_script_name_fault(name);
    SpTestMachine *machine;

    /* a repetition with more spaces is another group to the key file */
    if (!fault && has_machine(conf, name))
        fault = "each machine once: there is already one of this name";
    if (fault)
        return sp_key_file_refuse(file, group, NULL, fault, error);
    for (guint i = 0; i < conf->machines->len; i++) {
        const SpTestMachine *other = g_ptr_array_index(conf->machines, i);
        if (sp_script_is_same_name(other->name, name))
            return sp_key_file_refuse(file, group, NULL,
                "another name: in a script, a machine above has the same", error);
    }
    machine = g_new0(SpTestMachine, 1);
    machine->name = g_steal_pointer(&name);
    g_ptr_array_add(conf->machines, machine);
    machine->image = sp_key_file_string(file, group, "Image");
    if (machine->image && strchr(machine->image, '/')) {
        g_clear_pointer(&machine->image, g_free);
        if (!sp_key_file_path(file, group, "Image", conf->dir, &machine->image, error))
            return false;
    }
    return sp_key_file_size_mib(file, group, "Memory", 0, &machine->memory_mib, error) &&
           sp_key_file_uint(file, group, "CPUs", 0, 1, 255, &machine->cpus, error) &&
           read_networks(machine, file, group, error);
}

static bool read_flags(SpTestConf *conf, SpKeyFile *file, const char *group, GError **error)
{
    g_autofree char *clock = sp_key_file_string(file, group, "Clock");
    g_autofree char *capture = sp_key_file_string(file, group, "Capture");

    conf->has_virtual_time = g_strcmp0(clock, "virtual") == 0;
    if (clock && !conf->has_virtual_time && !g_str_equal(clock, "real"))
        return sp_key_file_refuse(file, group, "Clock", "'real' or 'virtual'", error);
    conf->has_capture = g_strcmp0(capture, "yes") == 0;
    if (capture && !conf->has_capture && !g_str_equal(capture, "no"))
        return sp_key_file_refuse(file, group, "Capture", "'yes' or 'no'", error);
    return true;
}

static bool is_tag(const char *word)
{
    return g_ascii_islower(*word) &&
           strspn(word, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(word);
}

/* Words of lower-case letters, digits and '-', each once. */
static bool read_tags(SpTestConf *conf, SpKeyFile *file, const char *group, GError **error)
{
    g_autofree char *text = sp_key_file_string(file, group, "Tags");
    g_auto(GStrv) words = g_strsplit_set(text ? text : "", " \t", -1);
    g_autoptr(GPtrArray) tags = g_ptr_array_new_with_free_func(g_free);

    for (char **word = words; *word; word++) {
        if (!**word)
            continue;
        if (!is_tag(*word) || g_ptr_array_find_with_equal_func(tags, *word, g_str_equal, NULL))
            return sp_key_file_refuse(file, group, "Tags",
                "words of lower-case letters, digits and '-' that begin with a letter, each once, "
                "separated by spaces",
                error);
        g_ptr_array_add(tags, g_strdup(*word));
    }
    g_ptr_array_add(tags, NULL);
    conf->tags = (char **)g_ptr_array_free(g_steal_pointer(&tags), FALSE);
    return true;
}

static bool read_machines(SpTestConf *conf, SpKeyFile *file, const char *group, GError **error)
{
    g_auto(GStrv) groups = sp_key_file_groups(file);

    for (char **machine = groups; *machine; machine++) {
        if (g_str_has_prefix(*machine, "Machine ") && !read_machine(conf, file, *machine, error))
            return false;
    }
    if (conf->has_virtual_time && conf->machines->len > 1)
        return sp_key_file_refuse(file, group, "Clock",
            "'real': each of several machines would run on a clock of its own", error);
    return true;
}

static SpTestConf *load_conf(const char *dir, guint depth, GError **error);

/* The directory of tests: the one above, or, of a checkpoint in SP_CHECKPOINTS_DIR, two above. */
static char *find_tests_dir(const SpTestConf *conf)
{
    g_autofree char *parent = g_path_get_dirname(conf->dir);
    g_autofree char *base = g_path_get_basename(parent);

    if (conf->is_checkpoint && g_str_equal(base, SP_CHECKPOINTS_DIR))
        return g_path_get_dirname(parent);
    return g_steal_pointer(&parent);
}

/* The directory of the checkpoint @name: beside that of @conf if there is a test.conf, or else in
 * SP_CHECKPOINTS_DIR if there is one. A directory beside it may be what another branch has left. */
static char *find_checkpoint_dir(const SpTestConf *conf, const char *name)
{
    g_autofree char *parent = g_path_get_dirname(conf->dir);
    g_autofree char *beside = g_build_filename(parent, name, NULL);
    g_autofree char *beside_conf = g_build_filename(beside, "test.conf", NULL);
    g_autofree char *own = g_build_filename(conf->tests_dir, SP_CHECKPOINTS_DIR, name, NULL);

    if (!g_file_test(beside_conf, G_FILE_TEST_EXISTS) && g_file_test(own, G_FILE_TEST_EXISTS))
        return g_steal_pointer(&own);
    return g_steal_pointer(&beside);
}

/* The checkpoint that it starts from, whose machines it has. */
static bool read_from(
    SpTestConf *conf, SpKeyFile *file, const char *group, guint depth, GError **error)
{
    g_autofree char *name = sp_key_file_string(file, group, "From");
    g_autofree char *dir = name ? find_checkpoint_dir(conf, name) : NULL;
    g_autofree char *clock = sp_key_file_string(file, group, "Clock");

    if (!name)
        return true;
    if (!*name || strchr(name, '/') || depth == SP_CHECKPOINTS_MAX)
        return sp_key_file_refuse(file, group, "From",
            "the name of a checkpoint's directory in '" SP_CHECKPOINTS_DIR
            "' or beside this one, at most 16 on top of each other",
            error);
    if (conf->machines->len > 0 || clock)
        return sp_key_file_refuse(file, group, "From",
            "neither groups [Machine NAME] nor Clock=: both are the checkpoint's", error);
    conf->from = load_conf(dir, depth + 1, error);
    if (!conf->from) {
        g_prefix_error(error, "%s: From=%s: ", conf->name, name);
        return false;
    }
    if (!conf->from->is_checkpoint)
        return sp_key_file_refuse(
            file, group, "From", "the name of a checkpoint, not of a test", error);
    conf->has_virtual_time = conf->from->has_virtual_time;
    return true;
}

static bool read_test(SpTestConf *conf, SpKeyFile *file, guint depth, GError **error)
{
    g_auto(GStrv) groups = sp_key_file_groups(file);
    const char *group;

    conf->is_checkpoint = g_strv_contains((const char *const *)groups, "Checkpoint");
    conf->tests_dir = find_tests_dir(conf);
    group = conf->is_checkpoint ? "Checkpoint" : "Test";
    if (conf->is_checkpoint && g_strv_contains((const char *const *)groups, "Test"))
        return sp_key_file_refuse(file, "Test", NULL, "[Test] or [Checkpoint], not both", error);
    conf->description = sp_key_file_string(file, group, "Description");
    if (!conf->description)
        conf->description = g_strdup("");
    return sp_key_file_uint(
               file, group, "Timeout", TIMEOUT_DEFAULT_S, 1, 1000000, &conf->timeout_s, error) &&
           read_flags(conf, file, group, error) && read_tags(conf, file, group, error) &&
           read_machines(conf, file, group, error) && read_from(conf, file, group, depth, error);
}

static SpTestConf *load_conf(const char *dir, guint depth, GError **error)
{
    g_autoptr(SpTestConf) conf = g_new0(SpTestConf, 1);
    g_autofree char *path = NULL;
    g_autoptr(SpKeyFile) file = NULL;

    conf->dir = g_canonicalize_filename(dir, NULL);
    conf->name = g_path_get_basename(conf->dir);
    conf->script = g_build_filename(dir, "script.py", NULL);
    conf->machines = g_ptr_array_new_with_free_func(machine_free);
    path = g_build_filename(dir, "test.conf", NULL);
    file = sp_key_file_load(path, test_keys, error);
    if (!file || !read_test(conf, file, depth, error))
        return NULL;
    if (sp_test_conf_machines(conf)->len == 0) {
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
            "%s:1: expected at least one machine: a group [Machine NAME]", path);
        return NULL;
    }
    if (!g_file_test(conf->script, G_FILE_TEST_IS_REGULAR)) {
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
            "%s is missing: expected the test's script beside test.conf", conf->script);
        return NULL;
    }
    return g_steal_pointer(&conf);
}

bool sp_test_conf_has_tag(const SpTestConf *conf, const char *const *tags)
{
    for (; *tags; tags++) {
        if (g_strv_contains((const char *const *)conf->tags, *tags))
            return true;
    }
    return false;
}

SpTestConf *sp_test_conf_load(const char *dir, GError **error)
{
    return load_conf(dir, 0, error);
}

const SpTestConf *sp_test_conf_root(const SpTestConf *conf)
{
    while (conf->from)
        conf = conf->from;
    return conf;
}

GPtrArray *sp_test_conf_machines(const SpTestConf *conf)
{
    return sp_test_conf_root(conf)->machines;
}

void sp_test_conf_free(SpTestConf *conf)
{
    if (!conf)
        return;
    g_free(conf->name);
    g_free(conf->dir);
    g_free(conf->tests_dir);
    g_free(conf->script);
    g_free(conf->description);
    g_strfreev(conf->tags);
    g_ptr_array_unref(conf->machines);
    sp_test_conf_free(conf->from);
    g_free(conf);
}
