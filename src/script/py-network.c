/* SPDX-License-Identifier: MIT */

/* The type Network: an Ethernet segment of the test, as a script sees it. */

#include "script/py-network.h"
#include "network/capture-reader.h"
#include "script/py-threads.h"

#include <structmember.h>

typedef struct {
    PyObject_HEAD const SpScriptNetwork *network;
    guint number;
    guint stations; /* made so far */
} Network;

static void dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);

    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *repr(Network *self)
{
    return PyUnicode_FromFormat("<network %u>", self->number);
}

/* A MAC address that is administered locally, and no machine's. */
static SpMac next_mac(const Network *self)
{
    return (SpMac){{0x02, 0x5e, 0x00, (guint8)(self->number >> 8), (guint8)self->number,
        (guint8)(self->stations + 1)}};
}

static bool add_addresses(SpEndpoint *endpoint, PyObject *addresses, GError **error)
{
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(addresses); i++) {
        const char *text = PyUnicode_AsUTF8(PySequence_Fast_GET_ITEM(addresses, i));
        if (!text || !sp_endpoint_add_address(endpoint, text, error))
            return false;
    }
    return true;
}

static PyObject *add_endpoint(Network *self, const char *name, PyObject *addresses, SpMac mac)
{
    SpPyState *state = sp_py_state((PyObject *)self);
    SpPyStation *station = g_new0(SpPyStation, 1);
    GError *error = NULL;

    station->endpoint = sp_endpoint_new(self->network->sw, name, &mac);
    station->name = g_strdup(name);
    if (!add_addresses(station->endpoint, addresses, &error)) {
        sp_py_station_free(station);
        return error ? sp_py_raise(state, error) : NULL;
    }
    self->stations++;
    g_ptr_array_add(state->stations, station);
    return sp_py_endpoint_new(state, station);
}

static PyObject *create_endpoint(Network *self, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {"name", "addresses", "mac", NULL};
    const char *name, *mac_text = NULL;
    PyObject *addresses = NULL, *list, *endpoint;
    SpMac mac = next_mac(self);

    if (!PyArg_ParseTupleAndKeywords(
            args, kwargs, "s|Oz:create_endpoint", keywords, &name, &addresses, &mac_text))
        return NULL;
    if (mac_text && (!sp_mac_parse(mac_text, &mac) || sp_mac_is_group(&mac)))
        return PyErr_Format(PyExc_ValueError,
            "mac is '%s': expected the address of one station, such as 02:00:00:00:00:01",
            mac_text);
    if (!mac_text && self->stations == G_MAXUINT8 - 1)
        return PyErr_Format(
            PyExc_ValueError, "network %u has %u endpoints already", self->number, self->stations);
    if (addresses && PyUnicode_Check(addresses))
        return PyErr_Format(PyExc_TypeError, "addresses is a string: expected a list of them");
    list = addresses ? PySequence_Fast(addresses, "addresses: expected a list of strings")
                     : PyTuple_New(0);
    if (!list)
        return NULL;
    endpoint = add_endpoint(self, name, list, mac);
    Py_DECREF(list);
    return endpoint;
}

static PyObject *list_frames(const GPtrArray *frames)
{
    PyObject *list = PyList_New(0);

    for (guint i = 0; i < frames->len && list; i++) {
        gsize length;
        gconstpointer data = g_bytes_get_data(frames->pdata[i], &length);
        PyObject *frame = PyBytes_FromStringAndSize(data, (Py_ssize_t)length);

        if (!frame || PyList_Append(list, frame) < 0)
            Py_CLEAR(list);
        Py_XDECREF(frame);
    }
    return list;
}

static PyObject *get_frames(Network *self, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {"filter", NULL};
    SpPyState *state = sp_py_state((PyObject *)self);
    g_autoptr(GPtrArray) frames = NULL;
    const char *filter = "";
    GError *error = NULL;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|s:get_frames", keywords, &filter))
        return NULL;
    if (!self->network->capture)
        return PyErr_Format(PyExc_ValueError,
            "network %u has no capture: write Capture=yes below [Test] in test.conf, or run with "
            "--capture",
            self->number);
    sp_capture_flush(self->network->capture);
    if (sp_capture_error(self->network->capture))
        return sp_py_raise(state, g_error_copy(sp_capture_error(self->network->capture)));
    frames = sp_capture_read_frames(sp_capture_path(self->network->capture), filter, &error);
    return frames ? list_frames(frames) : sp_py_raise(state, error);
}

SP_PY_HELD(create_endpoint)
SP_PY_HELD(get_frames)

static PyMethodDef methods[] = {
    {"create_endpoint", (PyCFunction)(void (*)(void))held_create_endpoint,
        METH_VARARGS | METH_KEYWORDS,
        PyDoc_STR("create_endpoint(name, addresses=(), mac=None)\n--\n\nPlug a station of the "
                  "driver's own into this network: an Endpoint. addresses are such as "
                  "'172.20.30.9/24' or 'fd00::9/64'; a link-local one it has anyway.")},
    {"get_frames", (PyCFunction)(void (*)(void))held_get_frames, METH_VARARGS | METH_KEYWORDS,
        PyDoc_STR("get_frames(filter='')\n--\n\nThe frames that this network has carried so far "
                  "and that filter (as tcpdump's, see pcap-filter(7)) takes: a list of bytes. "
                  "Needs Capture=yes in test.conf.")},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef members[] = {
    {"number", T_UINT, offsetof(Network, number), READONLY,
        PyDoc_STR("As in test.conf's Networks=.")},
    {"nr", T_UINT, offsetof(Network, number), READONLY, PyDoc_STR("The same.")},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_dealloc, dealloc},
    {Py_tp_repr, repr},
    {Py_tp_methods, methods},
    {Py_tp_members, members},
    {Py_tp_doc,
        (void *)PyDoc_STR("An Ethernet segment of the test: networks[1], by test.conf's number.")},
    {0, NULL},
};

PyType_Spec sp_py_network_spec = {
    .name = "slotproof.Network",
    .basicsize = sizeof(Network),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = slots,
};

static PyObject *make_network(SpPyState *state, const SpScriptNetwork *network)
{
    Network *object = (Network *)state->network_type->tp_alloc(state->network_type, 0);

    if (!object)
        return NULL;
    object->network = network;
    object->number = network->number;
    return (PyObject *)object;
}

PyObject *sp_py_networks_new(SpPyState *state)
{
    PyObject *networks = PyDict_New();

    for (gsize i = 0; i < state->config->n_networks && networks; i++) {
        const SpScriptNetwork *network = &state->config->networks[i];
        PyObject *number = PyLong_FromUnsignedLong(network->number);
        PyObject *object = number ? make_network(state, network) : NULL;

        if (!object || PyDict_SetItem(networks, number, object) < 0)
            Py_CLEAR(networks);
        Py_XDECREF(object);
        Py_XDECREF(number);
    }
    return networks;
}
