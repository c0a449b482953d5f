/* SPDX-License-Identifier: MIT */

/* The type Endpoint: a station without a kernel behind it, which says what a script has it say. */

#include "network/port-scan.h"
#include "script/py-network.h"
#include "script/py-threads.h"

#include <math.h>
#include <string.h>

#define EVERY_MAX_S 3600.0

typedef struct {
    PyObject_HEAD SpPyStation *station;
} Endpoint;

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

static void dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);

    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *repr(Endpoint *self)
{
    return PyUnicode_FromFormat("<endpoint '%s'>", self->station->name);
}

static SpLog *log_of(Endpoint *self)
{
    return sp_py_state((PyObject *)self)->config->log;
}

/* End the log's step; true where the script may go on. */
static bool end(Endpoint *self, bool is_good, GError *error)
{
    sp_log_end(log_of(self), is_good ? NULL : error->message);
    if (!is_good)
        sp_py_raise(sp_py_state((PyObject *)self), error);
    return is_good && !PyErr_Occurred();
}

/* What "O&" converts an address with. */
static int to_ip(PyObject *value, void *ret_ip)
{
    const char *text = PyUnicode_AsUTF8(value);
    g_autoptr(GError) error = NULL;

    if (text && !sp_ip_parse(text, ret_ip, &error))
        PyErr_SetString(PyExc_ValueError, error->message);
    return text && !error;
}

static int to_mac(PyObject *value, void *ret_mac)
{
    const char *text = PyUnicode_AsUTF8(value);

    if (text && !sp_mac_parse(text, ret_mac)) {
        PyErr_Format(PyExc_ValueError, "'%s' is no MAC address", text);
        return false;
    }
    return text != NULL;
}

/* Endpoints answer by themselves, so no accelerator makes them slower. */
static bool to_deadline(PyObject *timeout, double seconds, gint64 *ret_deadline)
{
    gint64 timeout_ms = (gint64)(seconds * 1000);

    if (timeout && !sp_py_timeout(timeout, 1, &timeout_ms))
        return false;
    *ret_deadline = sp_deadline(timeout_ms);
    return true;
}

static PyObject *resolve(Endpoint *self, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {"address", "timeout", NULL};
    SpInterrupt interrupt = sp_script_interrupt();
    g_autofree char *text = NULL;
    PyObject *timeout = NULL;
    GError *error = NULL;
    gint64 deadline;
    bool is_good;
    SpMac mac;
    SpIp ip;

    if (!PyArg_ParseTupleAndKeywords(
            args, kwargs, "O&|O:resolve", keywords, to_ip, &ip, &timeout) ||
        !to_deadline(timeout, 10, &deadline))
        return NULL;
    text = sp_ip_format(&ip);
    sp_log_begin(log_of(self), NULL, "network", "%s: who has %s?", self->station->name, text);
    is_good = sp_endpoint_resolve(self->station->endpoint, &ip, deadline, &interrupt, &mac, &error);
    if (!end(self, is_good, error))
        return NULL;
    g_free(text);
    text = sp_mac_format(&mac);
    return PyUnicode_FromString(text);
}

static PyObject *ping(Endpoint *self, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {"address", "timeout", NULL};
    SpInterrupt interrupt = sp_script_interrupt();
    g_autofree char *text = NULL;
    PyObject *timeout = NULL;
    GError *error = NULL;
    gint64 deadline, time_us;
    bool is_good;
    SpIp ip;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O&|O:ping", keywords, to_ip, &ip, &timeout) ||
        !to_deadline(timeout, 10, &deadline))
        return NULL;
    text = sp_ip_format(&ip);
    sp_log_begin(log_of(self), NULL, "network", "%s: ping %s", self->station->name, text);
    is_good =
        sp_endpoint_ping(self->station->endpoint, &ip, deadline, &interrupt, &time_us, &error);
    if (!end(self, is_good, error))
        return NULL;
    return PyFloat_FromDouble((double)time_us / G_TIME_SPAN_SECOND);
}

static bool to_port(PyObject *value, guint16 *ret_port)
{
    long port = PyLong_AsLong(value);

    if (port == -1 && PyErr_Occurred())
        return false;
    if (port < 1 || port > 65535) {
        PyErr_Format(PyExc_ValueError, "%R is no port: expected 1 to 65535", value);
        return false;
    }
    *ret_port = (guint16)port;
    return true;
}

/* @value, a sequence of numbers or NULL for all of them; false with an exception. */
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
static PyObject *make_result(const guint8 *states)
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

/* @states is what is returned, in numbers; the log has how it was found. */
static void log_result(Endpoint *self, const guint8 *states, const SpPortScanStats *stats)
{
    guint counts[SP_PORT_SCAN_OPEN + 1] = {0};

    for (guint port = 0; port < SP_PORT_SCAN_PORTS; port++)
        counts[states[port]]++;
    sp_log(log_of(self), NULL,
        "%u open, %u closed, %u rejected, %u silent; %.1f s, %" G_GUINT64_FORMAT
        " probes, %u windows (%u repeated), %u rounds",
        counts[SP_PORT_SCAN_OPEN], counts[SP_PORT_SCAN_CLOSED], counts[SP_PORT_SCAN_REJECTED],
        counts[SP_PORT_SCAN_SILENT], (double)stats->time_us / G_TIME_SPAN_SECOND, stats->probes,
        stats->windows, stats->repeated, stats->rounds);
}

static PyObject *run_probe(Endpoint *self, const SpIp *target, SpPortScanProtocol protocol,
    const GArray *ports, gint64 deadline)
{
    g_autofree guint8 *states = g_malloc0(SP_PORT_SCAN_PORTS);
    g_autofree char *text = sp_ip_format(target);
    SpInterrupt interrupt = sp_script_interrupt();
    GError *error = NULL;
    SpPortScanStats stats;
    bool is_good;

    sp_log_begin(log_of(self), NULL, "network", "%s: probe %s ports of %s", self->station->name,
        protocol == SP_PORT_SCAN_TCP ? "TCP" : "UDP", text);
    is_good = sp_port_scan_run(self->station->endpoint, target, protocol,
        ports ? (const guint16 *)(const void *)ports->data : NULL, ports ? ports->len : 0, deadline,
        &interrupt, states, &stats, &error);
    if (is_good)
        log_result(self, states, &stats);
    return end(self, is_good, error) ? make_result(states) : NULL;
}

static PyObject *probe(Endpoint *self, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {"address", "protocol", "ports", "timeout", NULL};
    PyObject *port_list = NULL, *timeout = NULL;
    g_autoptr(GArray) ports = NULL;
    const char *protocol = "tcp";
    gint64 deadline;
    SpIp ip;

    if (!PyArg_ParseTupleAndKeywords(
            args, kwargs, "O&|sOO:probe", keywords, to_ip, &ip, &protocol, &port_list, &timeout) ||
        !to_ports(port_list, &ports) || !to_deadline(timeout, 300, &deadline))
        return NULL;
    if (!g_str_equal(protocol, "tcp") && !g_str_equal(protocol, "udp"))
        return PyErr_Format(
            PyExc_ValueError, "protocol is '%s': expected 'tcp' or 'udp'", protocol);
    return run_probe(
        self, &ip, *protocol == 't' ? SP_PORT_SCAN_TCP : SP_PORT_SCAN_UDP, ports, deadline);
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

/* Source and next hop where the script did not name them. */
static bool complete(Endpoint *self, SpPacket *packet, bool has_source, bool has_mac)
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

static bool send_or_repeat(Endpoint *self, const SpPacket *packet, double every)
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
        PyErr_SetString(PyExc_ValueError, "from and to are not of one family, or payload is long");
        return false;
    }
    station->repeat_id = g_timeout_add((guint)ceil(every * 1000), on_repeat, station);
    return true;
}

static PyObject *send(Endpoint *self, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {
        "protocol", "to", "to_port", "from_port", "payload", "source", "mac", "every", NULL};
    PyObject *source = NULL, *mac = NULL, *every_time = NULL;
    int to_port_number = 0, from_port = 0;
    const char *protocol, *payload = NULL;
    Py_ssize_t payload_length = 0;
    SpPacket packet = {0};
    double every = 0;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "sO&|iiy#OOO:send", keywords, &protocol, to_ip,
            &packet.to, &to_port_number, &from_port, &payload, &payload_length, &source, &mac,
            &every_time) ||
        !to_kind(protocol, &packet.kind) || (source && !to_ip(source, &packet.from)) ||
        (mac && !to_mac(mac, &packet.destination)))
        return NULL;
    if (to_port_number < 0 || to_port_number > 65535 || from_port < 0 || from_port > 65535)
        return PyErr_Format(PyExc_ValueError, "expected ports from 0 to 65535");
    if (every_time && !sp_py_seconds(every_time, "every", EVERY_MAX_S, &every))
        return NULL;
    packet.to_port = (guint16)to_port_number;
    packet.from_port =
        from_port ? (guint16)from_port : sp_endpoint_take_port(self->station->endpoint);
    packet.tcp.flags = SP_TCP_SYN;
    packet.tcp.window = 65535;
    packet.icmp.type = packet.to.is_v6 ? SP_ICMPV6_ECHO : SP_ICMP_ECHO;
    packet.payload = (const guint8 *)payload;
    packet.payload_length = (gsize)payload_length;
    if (!complete(self, &packet, source, mac) || !send_or_repeat(self, &packet, every))
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *send_frame(Endpoint *self, PyObject *args)
{
    Py_buffer frame;

    if (!PyArg_ParseTuple(args, "y*:send_frame", &frame))
        return NULL;
    sp_endpoint_send_frame(self->station->endpoint, frame.buf, (gsize)frame.len);
    PyBuffer_Release(&frame);
    Py_RETURN_NONE;
}

static PyObject *stop(Endpoint *self, PyObject *unused)
{
    stop_repeating(self->station);
    Py_RETURN_NONE;
}

static PyObject *receive_frame(Endpoint *self, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {"timeout", NULL};
    SpInterrupt interrupt = sp_script_interrupt();
    g_autoptr(GBytes) frame = NULL;
    PyObject *timeout = NULL;
    GError *error = NULL;
    gconstpointer data;
    gint64 deadline;
    gsize length;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:receive_frame", keywords, &timeout) ||
        !to_deadline(timeout, 10, &deadline))
        return NULL;
    sp_log_begin(log_of(self), NULL, "network", "%s: wait for a frame", self->station->name);
    frame = sp_endpoint_receive(self->station->endpoint, NULL, NULL, deadline, &interrupt, &error);
    if (!end(self, frame != NULL, error))
        return NULL;
    data = g_bytes_get_data(frame, &length);
    return PyBytes_FromStringAndSize(data, (Py_ssize_t)length);
}

static PyObject *get_mac(Endpoint *self, void *data)
{
    g_autofree char *text = sp_mac_format(sp_endpoint_mac(self->station->endpoint));

    return PyUnicode_FromString(text);
}

static PyObject *get_link_local(Endpoint *self, void *data)
{
    SpIp ip = sp_ip_link_local(sp_endpoint_mac(self->station->endpoint));
    g_autofree char *text = sp_ip_format(&ip);

    return PyUnicode_FromString(text);
}

SP_PY_HELD(resolve)
SP_PY_HELD(ping)
SP_PY_HELD(probe)
SP_PY_HELD(send)
SP_PY_HELD_PLAIN(stop)
SP_PY_HELD_PLAIN(send_frame)
SP_PY_HELD(receive_frame)

#define METHOD(name, function, flags, doc)                                                         \
    {                                                                                              \
        name, (PyCFunction)(void (*)(void))(held_##function), flags, PyDoc_STR(doc)                \
    }
#define KEYWORDS (METH_VARARGS | METH_KEYWORDS)

static PyMethodDef methods[] = {
    METHOD("resolve", resolve, KEYWORDS,
        "resolve(address, timeout=10)\n--\n\nAsk by ARP or neighbour discovery which MAC address "
        "has this one."),
    METHOD("ping", ping, KEYWORDS,
        "ping(address, timeout=10)\n--\n\nWait until it answers to an echo request; returns the "
        "seconds that it took."),
    METHOD("probe", probe, KEYWORDS,
        "probe(address, protocol='tcp', ports=None, timeout=300)\n--\n\nTry ports (None: 1 to "
        "65535). Returns a namespace of lists: open (answers), closed (a reset, or an ICMP "
        "error that says that the port is unreachable), rejected (another ICMP error), silent "
        "(dropped; known from what the target answered after it, not from a lack of patience). "
        "A UDP service that does not answer to what it does not understand is silent."),
    METHOD("send", send, KEYWORDS,
        "send(protocol, to, to_port=0, from_port=0, payload=b'', source=..., mac=..., "
        "every=0)\n--\n\nSend a packet: 'udp', 'tcp' (a SYN), 'icmp' (an echo request). source "
        "may be a lie, mac is the next hop's (that of to, unless said). With every, send it "
        "again each so many seconds, whatever the script does meanwhile, until stop()."),
    METHOD("stop", stop, METH_NOARGS, "stop()\n--\n\nNo more of what send(every=...) began."),
    METHOD("send_frame", send_frame, METH_VARARGS,
        "send_frame(frame)\n--\n\nSend these bytes as they are."),
    METHOD("receive_frame", receive_frame, KEYWORDS,
        "receive_frame(timeout=10)\n--\n\nThe next frame that came in, as bytes; wait if there is "
        "none."),
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef attributes[] = {
    {"mac", (getter)(void (*)(void))get_mac, NULL, PyDoc_STR("Its MAC address."), NULL},
    {"link_local", (getter)(void (*)(void))get_link_local, NULL,
        PyDoc_STR("Its link-local IPv6 address."), NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_dealloc, dealloc},
    {Py_tp_repr, repr},
    {Py_tp_methods, methods},
    {Py_tp_getset, attributes},
    {Py_tp_doc, (void *)PyDoc_STR("A station of the driver's own on a network: it answers ARP, "
                                  "neighbour discovery and echo requests, and says what it is "
                                  "told to.")},
    {0, NULL},
};

PyType_Spec sp_py_endpoint_spec = {
    .name = "slotproof.Endpoint",
    .basicsize = sizeof(Endpoint),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = slots,
};

PyObject *sp_py_endpoint_new(SpPyState *state, SpPyStation *station)
{
    Endpoint *object = (Endpoint *)state->endpoint_type->tp_alloc(state->endpoint_type, 0);

    if (object)
        object->station = station;
    return (PyObject *)object;
}
