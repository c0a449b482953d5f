/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/**
 * The signals that end a program (SIGHUP, SIGINT, SIGQUIT, SIGTERM) as events of the default main
 * context, as long as the object exists. SIGHUP stays ignored if it was, as with nohup(1). One
 * object at a time; main thread only.
 */
typedef struct SpSignals SpSignals;

typedef void (*SpSignalFunc)(int signal_number, void *data);

SpSignals *sp_signals_watch(SpSignalFunc func, void *data);
/** Restores the former handlers. NULL is accepted. */
void sp_signals_free(SpSignals *signals);
