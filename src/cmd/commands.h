/* SPDX-License-Identifier: MIT */
#pragma once

/** The subcommands. Each parses its own arguments (argv[0] is its name) and returns an exit status.
 */
int sp_cmd_run(int argc, char **argv);
int sp_cmd_debug(int argc, char **argv);
int sp_cmd_list(int argc, char **argv);
int sp_cmd_cache(int argc, char **argv);
int sp_cmd_powercut(int argc, char **argv);
int sp_cmd_report(int argc, char **argv);
int sp_cmd_image(int argc, char **argv);
/** Not for people: runs one test in the process that an engine starts for it. */
int sp_cmd_worker(int argc, char **argv);
