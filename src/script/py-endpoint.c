/* SPDX-License-Identifier: MIT */

/* The type Endpoint: a station without a kernel behind it, which sends what the script tells it to.
 */

#include "network/port-scan.h"
#include "script/api.h"
#include "script/py-call.h"

#include <math.h>
#include <string.h>

struct SpPyEndpoint {
    PyObject_HEAD SpPyStation *station;
};

void sp_py_station_free(SpPyStation *station)
{
    if (!station)
        return;
    if (station->repeat_id)
        g_source_remove(station->repeat_id);
    if (station->frame)
        g_byte_array_unref(station->frame);
    sp_endpoint_free(station->endpoint);
    g_free(station->name);
    g_free(station);
}

static PyObject *represent_endpoint(SpPyEndpoint *self)
{
    return PyUnicode_FromFormat("<endpoint '%s'>", self->station->name);
}

bool sp_py_ip(PyObject *value, SpIp *ret_ip)
{
    const char *text = PyUnicode_AsUTF8(value);
    g_autoptr(GError) error = NULL;

    if (text && !sp_ip_parse(text, ret_ip, &error))
        PyErr_SetString(PyExc_ValueError, error->message);
    return text && !error;
}

bool sp_py_mac(PyObject *value, SpMac *ret_mac)
{
    const char *text = PyUnicode_AsUTF8(value);

    if (!text || sp_mac_parse(text, ret_mac))
        return text != NULL;
    PyErr_Format(PyExc_ValueError, "'%s' is not a MAC address", text);
    return false;
}

PyObject *sp_py_endpoint_resolve(SpPyEndpoint *self, const SpIp *address, gint64 timeout_ms)
{
    SpPyState *state = sp_py_state((PyObject *)self);
    g_autofree char *ip_text = sp_ip_format(address);
    SpInterrupt interrupt = sp_script_interrupt();
    g_autofree char *mac_text = NULL;
    GError *error = NULL;
    PyObject *result;
    SpMac mac;

    sp_py_step_begin(state, NULL, "network", "%s: who has %s?", self->station->name, ip_text);
    if (sp_endpoint_resolve(
            self->station->endpoint, address, sp_deadline(timeout_ms), &interrupt, &mac, &error)) {
        mac_text = sp_mac_format(&mac);
        result = PyUnicode_FromString(mac_text);
    } else {
        result = sp_py_raise(state, error);
    }
    return sp_py_step_end(state, result, NULL);
}

PyObject *sp_py_endpoint_ping(SpPyEndpoint *self, const SpIp *address, gint64 timeout_ms)
{
    SpPyState *state = sp_py_state((PyObject *)self);
    g_autofree char *text = sp_ip_format(address);
    SpInterrupt interrupt = sp_script_interrupt();
    GError *error = NULL;
    PyObject *result;
    gint64 time_us;

    sp_py_step_begin(state, NULL, "network", "%s: ping %s", self->station->name, text);
    if (sp_endpoint_ping(self->station->endpoint, address, sp_deadline(timeout_ms), &interrupt,
            &time_us, &error))
        result = PyFloat_FromDouble((double)time_us / G_TIME_SPAN_SECOND);
    else
        result = sp_py_raise(state, error);
    return sp_py_step_end(state, result, NULL);
}

static bool to_port(PyObject *value, guint16 *ret_port)
{
    long port = PyLong_AsLong(value);

    if (port == -1 && PyErr_Occurred())
        return false;
    if (port < 1 || port > 65535) {
        PyErr_Format(PyExc_ValueError, "%R is not a port: expected 1 to 65535", value);
        return false;
    }
    *ret_port = (guint16)port;
    return true;
}

/* @value is a sequence of numbers, or NULL or None for all; false with an exception. */
static bool to_ports(PyObject *value, GArray **ret_ports)
{
    g_autoptr(GArray) ports = g_array_new(FALSE, FALSE, sizeof(guint16));
    PyObject *list;

    *ret_ports = NULL;
    if (!value || value == Py_None)
        return true;
    list = PySequence_Fast(value, "ports: expected a list of numbers, or None for all");
    for (Py_ssize_t i = 0; list && i < PySequence_Fast_GET_SIZE(list); i++) {
        guint16 port;
        if (!to_port(PySequence_Fast_GET_ITEM(list, i), &port)) {
            Py_DECREF(list);
            return false;
        }
        g_array_append_val(ports, port);
    }
    Py_XDECREF(list);
    if (list)
        *ret_ports = g_steal_pointer(&ports);
    return list != NULL;
}

static PyObject *list_ports(const guint8 *states, SpPortScanState state)
{
    PyObject *list = PyList_New(0);

    for (guint port = 0; port < SP_PORT_SCAN_PORTS && list; port++) {
        PyObject *number = states[port] == state ? PyLong_FromUnsignedLong(port) : NULL;
        if (states[port] == state && (!number || PyList_Append(list, number) < 0))
            Py_CLEAR(list);
        Py_XDECREF(number);
    }
    return list;
}

/* A namespace with the ports of each state, by its name. */
static PyObject *make_ports(const guint8 *states)
{
    PyObject *module = PyImport_ImportModule("types");
    PyObject *result = module ? PyObject_CallMethod(module, "SimpleNamespace", NULL) : NULL;

    for (SpPortScanState state = SP_PORT_SCAN_SILENT; state <= SP_PORT_SCAN_OPEN && result;
         state++) {
        PyObject *list = list_ports(states, state);
        if (!list || PyObject_SetAttrString(result, sp_port_scan_state_name(state), list) < 0)
            Py_CLEAR(result);
        Py_XDECREF(list);
    }
    Py_XDECREF(module);
    return result;
}

/* @states in numbers, and how they were found. */
static void log_ports(SpPyEndpoint *self, const guint8 *states, const SpPortScanStats *stats)
{
    guint counts[SP_PORT_SCAN_OPEN + 1] = {0};

    for (guint port = 0; port < SP_PORT_SCAN_PORTS; port++)
        counts[states[port]]++;
    sp_log(sp_py_state((PyObject *)self)->config->log, NULL,
        "%u open, %u closed, %u rejected, %u silent; %.1f s, %" G_GUINT64_FORMAT
        " probes, %u windows (%u repeated), %u rounds",
        counts[SP_PORT_SCAN_OPEN], counts[SP_PORT_SCAN_CLOSED], counts[SP_PORT_SCAN_REJECTED],
        counts[SP_PORT_SCAN_SILENT], (double)stats->time_us / G_TIME_SPAN_SECOND, stats->probes,
        stats->windows, stats->repeated, stats->rounds);
}

static PyObject *run_probe(SpPyEndpoint *self, const SpIp *target, SpPortScanProtocol protocol,
    const GArray *ports, gint64 timeout_ms)
{
    SpPyState *state = sp_py_state((PyObject *)self);
    g_autofree guint8 *states = g_malloc0(SP_PORT_SCAN_PORTS);
    g_autofree char *text = sp_ip_format(target);
    SpInterrupt interrupt = sp_script_interrupt();
    GError *error = NULL;
    PyObject *result;
    SpPortScanStats stats;

    sp_py_step_begin(state, NULL, "network", "%s: probe %s ports of %s", self->station->name,
        protocol == SP_PORT_SCAN_TCP ? "TCP" : "UDP", text);
    if (sp_port_scan_run(self->station->endpoint, target, protocol,
            ports ? (const guint16 *)(const void *)ports->data : NULL, ports ? ports->len : 0,
            sp_deadline(timeout_ms), &interrupt, states, &stats, &error)) {
        log_ports(self, states, &stats);
        result = make_ports(states);
    } else {
        result = sp_py_raise(state, error);
    }
    return sp_py_step_end(state, result, NULL);
}

PyObject *sp_py_endpoint_probe(SpPyEndpoint *self, const SpIp *address, const char *protocol,
    PyObject *ports, gint64 timeout_ms)
{
    g_autoptr(GArray) numbers = NULL;
    bool is_tcp = g_str_equal(protocol, "tcp");

    if (!to_ports(ports, &numbers))
        return NULL;
    if (!is_tcp && !g_str_equal(protocol, "udp"))
        return PyErr_Format(
            PyExc_ValueError, "protocol is '%s': expected 'tcp' or 'udp'", protocol);
    return run_probe(
        self, address, is_tcp ? SP_PORT_SCAN_TCP : SP_PORT_SCAN_UDP, numbers, timeout_ms);
}

static bool to_kind(const char *protocol, SpPacketKind *ret_kind)
{
    static const struct {
        const char *name;
        SpPacketKind kind;
    } kinds[] = {
        {"icmp", SP_PACKET_ICMP},
        {"tcp", SP_PACKET_TCP},
        {"udp", SP_PACKET_UDP},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++) {
        if (g_str_equal(kinds[i].name, protocol)) {
            *ret_kind = kinds[i].kind;
            return true;
        }
    }
    PyErr_Format(PyExc_ValueError, "protocol is '%s': expected 'icmp', 'tcp' or 'udp'", protocol);
    return false;
}

/* Fill in source and next hop if the script did not name them. */
static bool complete_packet(SpPyEndpoint *self, SpPacket *packet, bool has_source, bool has_mac)
{
    SpInterrupt interrupt = sp_script_interrupt();
    SpEndpoint *endpoint = self->station->endpoint;
    GError *error = NULL;

    if ((has_source || sp_endpoint_source(endpoint, &packet->to, &packet->from, &error)) &&
        (has_mac || sp_endpoint_resolve(endpoint, &packet->to, sp_deadline(10000), &interrupt,
                        &packet->destination, &error)))
        return true;
    sp_py_raise(sp_py_state((PyObject *)self), error);
    return false;
}

static gboolean on_repeat(gpointer data)
{
    SpPyStation *station = data;

    sp_endpoint_send_frame(station->endpoint, station->frame->data, station->frame->len);
    return G_SOURCE_CONTINUE;
}

static void stop_repeating(SpPyStation *station)
{
    if (station->repeat_id)
        g_source_remove(station->repeat_id);
    station->repeat_id = 0;
}

static bool send_or_repeat(SpPyEndpoint *self, const SpPacket *packet, double every)
{
    SpPyStation *station = self->station;
    SpPacket whole = *packet;
    GError *error = NULL;

    if (every == 0) {
        if (sp_endpoint_send(station->endpoint, packet, &error))
            return true;
        sp_py_raise(sp_py_state((PyObject *)self), error);
        return false;
    }
    whole.source = *sp_endpoint_mac(station->endpoint);
    stop_repeating(station);
    if (!station->frame)
        station->frame = g_byte_array_new();
    if (!sp_packet_build(&whole, station->frame)) {
        PyErr_SetString(
            PyExc_ValueError, "source and to are not of the same family, or payload is too long");
        return false;
    }
    station->repeat_id = g_timeout_add((guint)ceil(every * 1000), on_repeat, station);
    return true;
}

PyObject *sp_py_endpoint_send(SpPyEndpoint *self, const char *protocol, const SpIp *to,
    guint to_port, guint from_port, const guint8 *payload, gsize payload_length, const SpIp *source,
    const SpMac *mac, double every)
{
    SpPacket packet = {.to = *to, .to_port = (guint16)to_port};

    if (!to_kind(protocol, &packet.kind))
        return NULL;
    if (source)
        packet.from = *source;
    if (mac)
        packet.destination = *mac;
    packet.from_port =
        from_port ? (guint16)from_port : sp_endpoint_take_port(self->station->endpoint);
    packet.tcp.flags = TH_SYN;
    packet.tcp.window = 65535;
    packet.icmp.type = packet.to.is_v6 ? ICMP6_ECHO_REQUEST : ICMP_ECHO;
    packet.payload = payload;
    packet.payload_length = payload_length;
    if (!complete_packet(self, &packet, source != NULL, mac != NULL) ||
        !send_or_repeat(self, &packet, every))
        return NULL;
    Py_RETURN_NONE;
}

PyObject *sp_py_endpoint_send_frame(SpPyEndpoint *self, PyObject *frame)
{
    Py_buffer bytes;

    if (PyObject_GetBuffer(frame, &bytes, PyBUF_SIMPLE) < 0)
        return NULL;
    sp_endpoint_send_frame(self->station->endpoint, bytes.buf, (gsize)bytes.len);
    PyBuffer_Release(&bytes);
    Py_RETURN_NONE;
}

PyObject *sp_py_endpoint_stop(SpPyEndpoint *self)
{
    stop_repeating(self->station);
    Py_RETURN_NONE;
}

PyObject *sp_py_endpoint_receive_frame(SpPyEndpoint *self, gint64 timeout_ms)
{
    SpPyState *state = sp_py_state((PyObject *)self);
    SpInterrupt interrupt = sp_script_interrupt();
    g_autoptr(GBytes) frame = NULL;
    GError *error = NULL;
    PyObject *result;
    gconstpointer data;
    gsize length;

    sp_py_step_begin(state, NULL, "network", "%s: wait for a frame", self->station->name);
    frame = sp_endpoint_receive(
        self->station->endpoint, NULL, NULL, sp_deadline(timeout_ms), &interrupt, &error);
    if (frame) {
        data = g_bytes_get_data(frame, &length);
        result = PyBytes_FromStringAndSize(data, (Py_ssize_t)length);
    } else {
        result = sp_py_raise(state, error);
    }
    return sp_py_step_end(state, result, NULL);
}

PyObject *sp_py_endpoint_get_mac(SpPyEndpoint *self)
{
    g_autofree char *text = sp_mac_format(sp_endpoint_mac(self->station->endpoint));

    return PyUnicode_FromString(text);
}

PyObject *sp_py_endpoint_get_link_local(SpPyEndpoint *self)
{
    SpIp ip = sp_ip_link_local(sp_endpoint_mac(self->station->endpoint));
    g_autofree char *text = sp_ip_format(&ip);

    return PyUnicode_FromString(text);
}

static PyType_Slot slots[] = {
    {Py_tp_doc, (void *)SP_PY_ENDPOINT_DOC},
    {Py_tp_dealloc, sp_py_free_object},
    {Py_tp_repr, represent_endpoint},
    {Py_tp_methods, sp_py_endpoint_methods},
    {Py_tp_getset, sp_py_endpoint_attributes},
    {0, NULL},
};

PyType_Spec sp_py_endpoint_spec = {
    .name = "slotproof.Endpoint",
    .basicsize = sizeof(SpPyEndpoint),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = slots,
};

PyObject *sp_py_endpoint_new(SpPyState *state, SpPyStation *station)
{
    SpPyEndpoint *object = (SpPyEndpoint *)state->endpoint_type->tp_alloc(state->endpoint_type, 0);

    if (object)
        object->station = station;
    return (PyObject *)object;
}
