/* SPDX-License-Identifier: MIT */
#include "store/checkpoint-key.h"

#include "base/error.h"
#include "qemu/command.h"
#include "store/key-parts.h"

#include <errno.h>
#include <sys/stat.h>

/* To be increased when what is saved, or how a script runs, changes: then existing checkpoints are
 * not used any more. */
#define FORMAT "slotproof checkpoint 3"
#define BOOT_SNAPSHOT_FORMAT "slotproof boot snapshot 1"
/* Everything about a machine but the contents of its disk. */
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
           sp_key_add_kernel(sum, config->image, cache_dir, error);
}

static bool add_machine_config(
    GChecksum *sum, const SpMachineConfig *config, const char *cache_dir, GError **error)
{
    return add_board(sum, config, cache_dir, error) &&
           sp_key_add_disk(sum, config->image, cache_dir, error);
}

/* Everything beside the script, or that it can import, and test.conf. */
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
        if (!add_machine_config(sum, g_ptr_array_index(configs, i), cache_dir, error))
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
    if (stat(disk, &st) < 0) {
        g_set_error(error, SP_ERROR, errno == EACCES ? SP_ERROR_DENIED : SP_ERROR_HOST,
            "'%s' can't be read: %s", disk, g_strerror(errno));
        return NULL;
    }
    /* the guest knows no more of a raw disk before it reads */
    size = g_strdup_printf("%" G_GINT64_FORMAT, (gint64)st.st_size);
    if (g_str_equal(format, "raw"))
        sp_key_add_text(sum, "size", size);
    else if (!sp_key_add_disk(sum, config->image, cache_dir, error))
        return NULL;
    return add_board(sum, config, cache_dir, error) ? g_strdup(g_checksum_get_string(sum)) : NULL;
}
