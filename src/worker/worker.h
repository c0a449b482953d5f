/* SPDX-License-Identifier: MIT */
#pragma once

/** The descriptor on which a worker reports (worker/message.h) to the program that started it. */
#define SP_WORKER_REPORT_FD 3
/** The ends of the pipe for what programs write (worker/program-output.h). */
#define SP_WORKER_PROGRAMS_READ_FD 4
#define SP_WORKER_PROGRAMS_WRITE_FD 5

/**
 * Run the one test in @test_dir, in this process, with images from @images and output to @out_dir,
 * which exists; the log's lines go to stdout, reports to SP_WORKER_REPORT_FD. @options are words,
 * ended by NULL: "consoles" logs those too, "cold" uses no checkpoints, "save=DIR" makes one in
 * that folder, "capture" writes what the networks carry to network-N.pcapng in @out_dir, also where
 * test.conf does not ask for it; "quiet" logs to files only; "debug" gives the user a prompt on
 * stdin and stdout where the script fails, "prompt" gives one in place of the script and reports
 * nothing; "keep" has the machines' disks stay, in the user's state folder; "keep-disks" copies
 * them to @out_dir where the script fails; "disk=FILE" is a raw file in place of the first
 * machine's disk, and has the test begin without the checkpoint that it goes on from; "live"
 * reports each step; "programs" says that there are the descriptors for what programs write;
 * "begin=TIME" is when the test began, as of g_get_monotonic_time().
 *
 * Returns the process's exit status.
 */
int sp_worker_main(
    const char *test_dir, const char *images, const char *out_dir, const char *const *options);
