/* SPDX-License-Identifier: MIT */

/* The type Network: an Ethernet segment of the test, as a script sees it. */

#include "network/capture-reader.h"
#include "script/api.h"

struct SpPyNetwork {
    PyObject_HEAD const SpScriptNetwork *network;
    guint stations; /* made so far */
};

static PyObject *represent_network(SpPyNetwork *self)
{
    return PyUnicode_FromFormat("<network %u>", self->network->number);
}

/* A locally administered MAC address that no machine has. */
static SpMac next_mac(const SpPyNetwork *self)
{
    return (SpMac){{0x02, 0x5e, 0x00, (guint8)(self->network->number >> 8),
        (guint8)self->network->number, (guint8)(self->stations + 1)}};
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

static PyObject *add_endpoint(SpPyNetwork *self, const char *name, PyObject *addresses, SpMac mac)
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

PyObject *sp_py_network_create_endpoint(
    SpPyNetwork *self, const char *name, PyObject *addresses, const char *mac_text)
{
    SpMac mac = next_mac(self);
    PyObject *list, *endpoint;

    if (mac_text && (!sp_mac_parse(mac_text, &mac) || sp_mac_is_group(&mac)))
        return PyErr_Format(PyExc_ValueError,
            "mac is '%s': expected the address of one station, such as 02:00:00:00:00:01",
            mac_text);
    if (!mac_text && self->stations == G_MAXUINT8 - 1)
        return PyErr_Format(PyExc_ValueError, "network %u has %u endpoints already",
            self->network->number, self->stations);
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

PyObject *sp_py_network_get_frames(SpPyNetwork *self, const char *filter)
{
    SpPyState *state = sp_py_state((PyObject *)self);
    g_autoptr(GPtrArray) frames = NULL;
    GError *error = NULL;

    if (!self->network->capture)
        return PyErr_Format(PyExc_ValueError,
            "network %u has no capture: write Capture=yes below [Test] in test.conf, or run with "
            "--capture",
            self->network->number);
    sp_capture_flush(self->network->capture);
    if (sp_capture_error(self->network->capture))
        return sp_py_raise(state, g_error_copy(sp_capture_error(self->network->capture)));
    frames = sp_capture_read_frames(sp_capture_path(self->network->capture), filter, &error);
    return frames ? list_frames(frames) : sp_py_raise(state, error);
}

PyObject *sp_py_network_get_number(SpPyNetwork *self)
{
    return PyLong_FromUnsignedLong(self->network->number);
}

PyObject *sp_py_network_get_nr(SpPyNetwork *self)
{
    return sp_py_network_get_number(self);
}

static PyType_Slot slots[] = {
    {Py_tp_doc, (void *)SP_PY_NETWORK_DOC},
    {Py_tp_dealloc, sp_py_free_object},
    {Py_tp_repr, represent_network},
    {Py_tp_methods, sp_py_network_methods},
    {Py_tp_getset, sp_py_network_attributes},
    {0, NULL},
};

PyType_Spec sp_py_network_spec = {
    .name = "slotproof.Network",
    .basicsize = sizeof(SpPyNetwork),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = slots,
};

static PyObject *make_network(SpPyState *state, const SpScriptNetwork *network)
{
    SpPyNetwork *object = (SpPyNetwork *)state->network_type->tp_alloc(state->network_type, 0);

    if (!object)
        return NULL;
    object->network = network;
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
