/* SPDX-License-Identifier: MIT */
#include "cmd-options.h"
#include "commands.h"
#include "powercut/campaign.h"

#include <stdio.h>

static bool is_range(int value, int low, int high, const char *option)
{
    if (value >= low && value <= high)
        return true;
    sp_usage_error("--%s=%d: expected a number from %d to %d", option, value, low, high);
    return false;
}

int sp_cmd_powercut(int argc, char **argv)
{
    g_autofree char *image = NULL, *log = NULL, *check = NULL, *boot = NULL, *rootfs = NULL;
    g_autofree char *report = NULL, *state = NULL, *write = NULL;
    int seed = 0, samples = (int)sp_crash_options.samples, states_max = 0, shown = 10;
    int installed = -1, started = -1;
    const GOptionEntry options[] = {
        {"image", 0, 0, G_OPTION_ARG_FILENAME, &image,
            "The disk as it was when the recording began, raw", "DISK"},
        {"log", 0, 0, G_OPTION_ARG_FILENAME, &log,
            "What was written since: a log of QEMU's blklogwrites, or dm-log-writes", "LOG"},
        {"check", 0, 0, G_OPTION_ARG_STRING, &check,
            "A shell command that fails where the disk $SLOTPROOF_DISK is not well; else what must "
            "hold of the gateway's slots",
            "CMD"},
        {"boot", 0, 0, G_OPTION_ARG_FILENAME, &boot, "The boot image that was installed", "FILE"},
        {"rootfs", 0, 0, G_OPTION_ARG_FILENAME, &rootfs, "The root image that was installed",
            "FILE"},
        {"installed-from", 0, 0, G_OPTION_ARG_INT, &installed,
            "The entry of the log at which the installation had ended", "N"},
        {"started-from", 0, 0, G_OPTION_ARG_INT, &started,
            "The entry of the log at which the new release was started", "N"},
        {"seed", 0, 0, G_OPTION_ARG_INT, &seed, "Of the choices by chance (0)", "N"},
        {"samples", 0, 0, G_OPTION_ARG_INT, &samples,
            "Such choices between two flushes with many writes (16)", "N"},
        {"max-states", 0, 0, G_OPTION_ARG_INT, &states_max, "Stop after so many (0: all)", "N"},
        {"max-failures", 0, 0, G_OPTION_ARG_INT, &shown, "Tell of so many kinds of failure (10)",
            "N"},
        {"report", 0, 0, G_OPTION_ARG_FILENAME, &report, "Write all that was found as JSON",
            "FILE"},
        {"state", 0, 0, G_OPTION_ARG_STRING, &state, "With --write: the state to make", "NAME"},
        {"write", 0, 0, G_OPTION_ARG_FILENAME, &write,
            "Write the disk of --state as a raw file, and check nothing", "FILE"},
        G_OPTION_ENTRY_NULL,
    };
    SpCampaign campaign = {.states = sp_crash_options};
    g_autoptr(GError) error = NULL;
    int status;

    if (!sp_parse_options(&argc, &argv, "slotproof powercut", NULL,
            "Check a disk in every state that a power cut can leave it in, between any two of the "
            "writes that were recorded.",
            options))
        return 2;
    if (argc > 1)
        return sp_usage_error("powercut takes no '%s'", argv[1]);
    if (!image || !log)
        return sp_usage_error("powercut needs --image and --log; 'slotproof run power-cut-states' "
                              "records an installation of the gateway's, and checks it");
    if (!state != !write)
        return sp_usage_error("--state and --write go together");
    if (!is_range(seed, 0, G_MAXINT, "seed") || !is_range(samples, 0, 100000, "samples") ||
        !is_range(states_max, 0, G_MAXINT, "max-states") ||
        !is_range(shown, 0, G_MAXINT, "max-failures"))
        return 2;
    campaign.image = image;
    campaign.log = log;
    campaign.check = check;
    campaign.boot = boot;
    campaign.rootfs = rootfs;
    campaign.report = report;
    campaign.installed_from = installed < 0 ? G_MAXUINT : (guint)installed;
    campaign.started_from = started < 0 ? G_MAXUINT : (guint)started;
    campaign.failures_shown = (guint)shown;
    campaign.states_max = (guint)states_max;
    campaign.states.seed = (guint32)seed;
    campaign.states.samples = (guint)samples;
    if (write)
        status = sp_campaign_write_state(&campaign, state, write, &error) ? 0 : 2;
    else
        status = sp_campaign_run(&campaign, &error);
    if (error)
        return sp_usage_error("%s", error->message);
    return status;
}
