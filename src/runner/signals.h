/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/**
 * The signals that end a program (SIGHUP, SIGINT, SIGQUIT, SIGTERM), as events of the default main
 * context while the object is there. SIGHUP stays ignored where it was, as by nohup(1). One object
 * at a time; main thread only.
 */
typedef struct SpSignals SpSignals;

typedef void (*SpSignalFunc)(int signal_number, void *data);

SpSignals *sp_signals_watch(SpSignalFunc func, void *data);
/** Puts the former handlers back. NULL is fine. */
void sp_signals_free(SpSignals *signals);
