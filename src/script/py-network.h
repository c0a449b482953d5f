/* SPDX-License-Identifier: MIT */
#pragma once

#include "network/endpoint.h"
#include "script/py-convert.h"

/**
 * A station of the driver's own that a script made. It is owned by the script's state, not by the
 * Python object: it must be freed before its switch, and Python makes no promise about that.
 */
typedef struct {
    SpEndpoint *endpoint;
    char *name;
    GByteArray *frame; /* the one that is sent repeatedly */
    guint repeat_id;
} SpPyStation;

typedef struct SpPyNetwork SpPyNetwork;
typedef struct SpPyEndpoint SpPyEndpoint;

/** NULL is accepted. */
void sp_py_station_free(SpPyStation *station);

/** A new Endpoint for @station, which the state of @network has; NULL with an exception. */
PyObject *sp_py_endpoint_new(SpPyState *state, SpPyStation *station);

/** The dictionary `networks`, number to Network; NULL with an exception. */
PyObject *sp_py_networks_new(SpPyState *state);

/** Convert the script's argument @value; false with an exception. */
G_GNUC_WARN_UNUSED_RESULT bool sp_py_ip(PyObject *value, SpIp *ret_ip);
G_GNUC_WARN_UNUSED_RESULT bool sp_py_mac(PyObject *value, SpMac *ret_mac);
