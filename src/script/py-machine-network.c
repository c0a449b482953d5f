/* SPDX-License-Identifier: MIT */

/* Methods of Machine that are about its network cards. A network is a number, as in test.conf. */

#include "script/py-machine.h"

#include <math.h>

#define DELAY_MAX_S 3600.0

static PyObject *set_links(SpPyMachine *self, PyObject *args, PyObject *kwargs, bool are_up)
{
    char *keywords[] = {"network", NULL};
    const char *what = are_up ? "unblock" : "block";
    g_autofree char *name = NULL;
    PyObject *network = NULL;
    GError *error = NULL;
    bool is_good;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O", keywords, &network))
        return NULL;
    if (network && network != Py_None) {
        long number = PyLong_AsLong(network);
        if (PyErr_Occurred())
            return NULL;
        name = g_strdup_printf("%ld", number);
    }
    sp_py_machine_begin(self, "network", "%s %s", what, name ? name : "all networks");
    is_good = sp_machine_set_links(self->machine, name, are_up, &error);
    return sp_py_machine_end(self, is_good, error);
}

static PyObject *block(SpPyMachine *self, PyObject *args, PyObject *kwargs)
{
    return set_links(self, args, kwargs, false);
}

static PyObject *unblock(SpPyMachine *self, PyObject *args, PyObject *kwargs)
{
    return set_links(self, args, kwargs, true);
}

static PyObject *set_link(SpPyMachine *self, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {"network", "loss", "delay", NULL};
    double loss = 0, delay_s = 0;
    PyObject *delay = NULL;
    g_autofree char *name = NULL;
    GError *error = NULL;
    long network;
    bool is_good;

    if (!PyArg_ParseTupleAndKeywords(
            args, kwargs, "l|dO:set_link", keywords, &network, &loss, &delay))
        return NULL;
    if (!(loss >= 0 && loss <= 1))
        return PyErr_Format(PyExc_ValueError, "loss is a fraction, from 0.0 to 1.0");
    if (delay && !sp_py_seconds(delay, "delay", DELAY_MAX_S, &delay_s))
        return NULL;
    name = g_strdup_printf("%ld", network);
    sp_py_machine_begin(
        self, "network", "network %s: loss %.3f, delay %.3f s", name, loss, delay_s);
    is_good =
        sp_machine_set_cable(self->machine, name, loss, (guint)lround(delay_s * 1000), &error);
    return sp_py_machine_end(self, is_good, error);
}

static PyObject *forward_port(SpPyMachine *self, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {"host_port", "guest_port", NULL};
    long host_port = 8080, guest_port = 80;
    PyObject *none;
    GError *error = NULL;
    guint port = 0;
    bool is_good;

    if (!PyArg_ParseTupleAndKeywords(
            args, kwargs, "|ll:forward_port", keywords, &host_port, &guest_port))
        return NULL;
    if (host_port < 0 || host_port > G_MAXUINT16 || guest_port < 1 || guest_port > G_MAXUINT16)
        return PyErr_Format(PyExc_ValueError,
            "ports are numbers from 1 to 65535, and host_port 0 for any that is free");
    sp_py_machine_begin(self, "network", "forward port %ld to %ld", host_port, guest_port);
    is_good =
        sp_machine_forward_port(self->machine, (guint)host_port, (guint)guest_port, &port, &error);
    none = sp_py_machine_end(self, is_good, error);
    Py_XDECREF(none);
    return none ? PyLong_FromUnsignedLong(port) : NULL;
}

SP_PY_SERVED(block)
SP_PY_SERVED(unblock)
SP_PY_SERVED(set_link)
SP_PY_SERVED(forward_port)

PyMethodDef sp_py_machine_network_methods[] = {
    SP_PY_METHOD("block", block, SP_PY_KEYWORDS,
        "block(network=None)\n--\n\nTake the link of its card on that network away, or of all its "
        "network cards. The guest sees it; holds while the machine runs."),
    SP_PY_METHOD("unblock", unblock, SP_PY_KEYWORDS, "unblock(network=None)\n--\n\nGive it back."),
    SP_PY_METHOD("set_link", set_link, SP_PY_KEYWORDS,
        "set_link(network, loss=0.0, delay=0.0)\n--\n\nFrom now on, that fraction of the frames "
        "between the network and the machine is lost, each way, and those to the machine take "
        "delay seconds more. Holds until it is set anew, also while the machine is off."),
    SP_PY_METHOD("forward_port", forward_port, SP_PY_KEYWORDS,
        "forward_port(host_port=8080, guest_port=80)\n--\n\nFrom now on, connections to host_port "
        "of the host's 127.0.0.1 reach guest_port of the guest's localhost, whenever the machine "
        "is on and takes commands. Returns the host's port: one that is free for host_port=0. "
        "What goes over them goes on only while a call of slotproof waits, such as succeed(), "
        "sleep() or retry(): have another process connect, and wait for it by such a call."),
    {NULL, NULL, 0, NULL},
};
