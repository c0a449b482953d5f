/* SPDX-License-Identifier: MIT */
#pragma once

#include "machine/machine.h"

#include <glib.h>
#include <stdbool.h>

#define SP_NETWORK_MAX 255u

/** A machine of a test, as test.conf says. */
typedef struct {
    char *name;
    char *image;      /* the image's name, or its absolute path; NULL for the only one there is */
    guint memory_mib; /* 0: the image's default */
    guint cpus;       /* 0: the image's default */
    guint networks[SP_MACHINE_NICS_MAX]; /* number of each network card's */
    guint nics;
} SpTestMachine;

/**
 * A test: a directory with script.py and test.conf.
 *
 *   [Test]
 *   Description=what it shows    optional
 *   Timeout=600                  seconds; 3600 if missing; longer without hardware virtualisation
 *   Clock=virtual                sleeps of the guest take no time; one machine only; 'real' is
 *                                the default
 *   Capture=yes                  write what the networks carry to out/TEST/network-N.pcapng,
 *                                like 'slotproof run --capture'; no if missing
 *   Tags=nine update             what tests are chosen by; 'slotproof list' groups tests by
 *                                their first
 *
 *   From=booted                  start from this checkpoint, which defines the machines and the
 *                                clock
 *
 *   [Machine NAME]               one or more; NAME is the machine's name in the script
 *
 *   Image=gateway                a name that 'slotproof image' lists; not needed if there is only
 *                                one; or the path of an image's directory, relative to this
 *                                file's (./peer)
 *
 *   Memory=512M, CPUs=2          the image's own if missing
 *
 *   Networks=1 2                 one network card each, joined to the others on the network of
 *                                that number (1 to 255), each once; none if missing
 *
 * A checkpoint is such a directory too, in SP_CHECKPOINTS_DIR in the directory of tests, or beside
 * the tests, with [Checkpoint] in place of [Test], and in it Description=, Clock= and From=. Its
 * script brings the machines into a state that tests, and other checkpoints, start from: they have
 * the same machines, running.
 */
#define SP_CHECKPOINTS_DIR "checkpoints"
#define SP_CHECKPOINTS_MAX 16u
typedef struct SpTestConf SpTestConf;
struct SpTestConf {
    char *name; /* the directory's */
    char *dir;
    char *tests_dir; /* the directory of tests, from which scripts can import modules */
    char *script;
    char *description; /* "" if there is none */
    guint timeout_s;
    bool has_virtual_time;
    bool has_capture;
    bool is_checkpoint;
    char **tags;         /* each once; the first is its group's; empty if there are none */
    SpTestConf *from;    /* the checkpoint that it starts from; NULL: none */
    GPtrArray *machines; /* of SpTestMachine; empty if there is @from, whose count */
};

/** Read the test in the directory @dir. SP_ERROR_USAGE names file, line and what was expected. */
SpTestConf *sp_test_conf_load(const char *dir, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** Whether it has one of @tags, which NULL ends. */
bool sp_test_conf_has_tag(const SpTestConf *conf, const char *const *tags);
/** The configuration that defines the machines of @conf: itself, or the first in its chain of
 * checkpoints. */
const SpTestConf *sp_test_conf_root(const SpTestConf *conf);
/** Returns its machines, of SpTestMachine; not owned. */
GPtrArray *sp_test_conf_machines(const SpTestConf *conf);
void sp_test_conf_free(SpTestConf *conf);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpTestConf, sp_test_conf_free)
