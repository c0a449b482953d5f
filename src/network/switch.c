/* SPDX-License-Identifier: MIT */
#include "network/switch.h"

#include "base/stream.h"
#include "lib/byte-order.h"

#include <string.h>

#define LENGTH_SIZE 4u
#define READ_SIZE (128u * 1024)

struct SpPort {
    SpSwitch *owner;
    char *name;
    guint interface;  /* of the capture */
    SpStream *stream; /* of lengths and frames. NULL: the driver's own port, or its peer is gone */
    SpFrameFunc func;
    void *func_data;
    GQueue delayed; /* of Delayed, the first due first */
    gsize delayed_bytes;
    guint delay_source;
    guint delay_ms;
    double loss;
    bool is_blocked;
    SpPortStats stats;
};

typedef struct {
    gint64 due;
    GBytes *frame;
} Delayed;

typedef struct {
    SpPort *port;
    gint64 seen;
} Station;

struct SpSwitch {
    char *name;
    GPtrArray *ports;
    GHashTable *stations; /* guint64 of make_station_key(), of Station */
    GRand *random;
    SpCapture *capture;
    guint write_source; /* writes what the driver's own ports sent */
};

static guint64 make_station_key(const SpMac *mac)
{
    return (guint64)sp_get_be32(mac->bytes) << 16 | sp_get_be16(mac->bytes + 4);
}

static void flush_port(SpPort *port)
{
    if (port->stream)
        sp_stream_flush(port->stream);
}

/* Queue the frame for the socket, or pass it to the driver's function. */
static void deliver_frame(SpPort *port, const guint8 *frame, gsize length)
{
    guint8 *space;

    if (port->func) {
        port->stats.sent++;
        port->func(frame, length, port->func_data);
        return;
    }
    if (!port->stream)
        return;
    space = sp_stream_reserve(port->stream, LENGTH_SIZE + length);
    if (!space) {
        port->stats.overflown++;
        return;
    }
    sp_put_be32(space, (guint32)length);
    memcpy(space + LENGTH_SIZE, frame, length);
    sp_stream_commit(port->stream, LENGTH_SIZE + length);
    port->stats.sent++;
}

static void delayed_free(void *data)
{
    Delayed *delayed = data;

    g_bytes_unref(delayed->frame);
    g_free(delayed);
}

static void plan_delayed(SpPort *port);

static gboolean on_due(void *data)
{
    SpPort *port = data;
    gint64 now = g_get_monotonic_time();
    Delayed *first;

    port->delay_source = 0;
    while ((first = g_queue_peek_head(&port->delayed)) && first->due <= now) {
        gsize length;
        const guint8 *frame = g_bytes_get_data(first->frame, &length);

        g_queue_pop_head(&port->delayed);
        port->delayed_bytes -= length;
        if (port->is_blocked)
            port->stats.blocked++;
        else
            deliver_frame(port, frame, length);
        delayed_free(first);
    }
    flush_port(port);
    plan_delayed(port);
    return G_SOURCE_REMOVE;
}

static void plan_delayed(SpPort *port)
{
    const Delayed *first = g_queue_peek_head(&port->delayed);
    gint64 wait_us;

    if (!first || port->delay_source != 0)
        return;
    wait_us = MAX(first->due - g_get_monotonic_time(), 0);
    port->delay_source = g_timeout_add((guint)((wait_us + 999) / 1000), on_due, port);
}

static void delay_frame(SpPort *port, const guint8 *frame, gsize length)
{
    Delayed *delayed;

    if (port->delayed_bytes + length > SP_PORT_QUEUE_MAX) {
        port->stats.overflown++;
        return;
    }
    delayed = g_new(Delayed, 1);
    delayed->due = g_get_monotonic_time() + (gint64)port->delay_ms * 1000;
    delayed->frame = g_bytes_new(frame, length);
    g_queue_push_tail(&port->delayed, delayed);
    port->delayed_bytes += length;
    plan_delayed(port);
}

static bool is_lost(SpPort *port)
{
    if (port->is_blocked) {
        port->stats.blocked++;
        return true;
    }
    if (port->loss > 0 && g_rand_double(port->owner->random) < port->loss) {
        port->stats.lost++;
        return true;
    }
    return false;
}

/* Send the frame out at @port. Sockets are written at the end of the turn, many frames at once. */
static void forward_frame(SpPort *port, const guint8 *frame, gsize length)
{
    if (is_lost(port))
        return;
    if (port->delay_ms > 0 || !g_queue_is_empty(&port->delayed))
        delay_frame(port, frame, length);
    else
        deliver_frame(port, frame, length);
}

static void learn_station(SpSwitch *sw, SpPort *port, const SpMac *mac, gint64 now)
{
    guint64 number = make_station_key(mac);
    Station *station = g_hash_table_lookup(sw->stations, &number);
    guint64 *key;

    if (!station) {
        /* a sender of made-up addresses only causes more flooding */
        if (g_hash_table_size(sw->stations) >= SP_SWITCH_STATIONS_MAX)
            g_hash_table_remove_all(sw->stations);
        key = g_new(guint64, 1);
        *key = number;
        station = g_new(Station, 1);
        g_hash_table_insert(sw->stations, key, station);
    }
    *station = (Station){.port = port, .seen = now};
}

static SpPort *find_station(SpSwitch *sw, const SpMac *mac, gint64 now)
{
    guint64 key = make_station_key(mac);
    const Station *station = sp_mac_is_group(mac) ? NULL : g_hash_table_lookup(sw->stations, &key);

    return station && now - station->seen < SP_SWITCH_AGE_US ? station->port : NULL;
}

/* Take a frame in at @port, and forward it. */
static void switch_frame(SpPort *port, const guint8 *frame, gsize length)
{
    SpSwitch *sw = port->owner;
    gint64 now = g_get_monotonic_time();
    SpMac destination, source;
    SpPort *target;

    if (length < SP_ETHERNET_FRAME_MIN || length > SP_ETHERNET_FRAME_MAX) {
        port->stats.malformed++;
        return;
    }
    destination = sp_mac_read(frame);
    source = sp_mac_read(frame + SP_MAC_SIZE);
    if (sp_mac_is_group(&source)) {
        port->stats.malformed++;
        return;
    }
    if (is_lost(port))
        return;
    port->stats.received++;
    if (sw->capture)
        sp_capture_frame(sw->capture, port->interface, g_get_real_time(), frame, length);
    learn_station(sw, port, &source, now);
    target = find_station(sw, &destination, now);
    if (target) {
        if (target != port)
            forward_frame(target, frame, length);
        return;
    }
    for (guint i = 0; i < sw->ports->len; i++) {
        SpPort *other = g_ptr_array_index(sw->ports, i);

        if (other != port)
            forward_frame(other, frame, length);
    }
}

static void flush_ports(SpSwitch *sw)
{
    for (guint i = 0; i < sw->ports->len; i++)
        flush_port(g_ptr_array_index(sw->ports, i));
}

static gboolean on_write(void *data)
{
    SpSwitch *sw = data;

    sw->write_source = 0;
    flush_ports(sw);
    return G_SOURCE_REMOVE;
}

/* Take all complete frames out of the input. */
static gsize on_port_input(const guint8 *bytes, gsize length, void *data)
{
    SpPort *port = data;
    gsize at = 0;

    while (length - at >= LENGTH_SIZE) {
        guint32 frame_length = sp_get_be32(bytes + at);

        if (frame_length > SP_ETHERNET_LENGTH_MAX) {
            /* where the next one begins is unknown */
            port->stats.malformed++;
            sp_stream_flush(port->stream); /* what it was sent before */
            g_clear_pointer(&port->stream, sp_stream_free);
            break;
        }
        if (length - at - LENGTH_SIZE < frame_length)
            break;
        switch_frame(port, bytes + at + LENGTH_SIZE, frame_length);
        at += LENGTH_SIZE + frame_length;
    }
    flush_ports(port->owner);
    return at;
}

static void on_port_disconnected(int error_number, void *data)
{
    SpPort *port = data;

    g_clear_pointer(&port->stream, sp_stream_free);
}

static const SpStreamFuncs stream_funcs = {
    .input = on_port_input, .disconnected = on_port_disconnected};

SpSwitch *sp_switch_new(const char *name, guint32 seed)
{
    SpSwitch *sw = g_new0(SpSwitch, 1);

    sw->name = g_strdup(name);
    sw->ports = g_ptr_array_new();
    sw->stations = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
    sw->random = g_rand_new_with_seed(seed);
    return sw;
}

void sp_switch_free(SpSwitch *sw)
{
    if (!sw)
        return;
    while (sw->ports->len > 0)
        sp_port_unplug(g_ptr_array_index(sw->ports, sw->ports->len - 1));
    if (sw->write_source != 0)
        g_source_remove(sw->write_source);
    g_ptr_array_unref(sw->ports);
    g_hash_table_unref(sw->stations);
    g_rand_free(sw->random);
    g_free(sw->name);
    g_free(sw);
}

const char *sp_switch_name(const SpSwitch *sw)
{
    return sw->name;
}

static void add_interface(SpSwitch *sw, SpPort *port)
{
    if (sw->capture)
        port->interface = sp_capture_add_interface(sw->capture, port->name);
}

void sp_switch_set_capture(SpSwitch *sw, SpCapture *capture)
{
    sw->capture = capture;
    for (guint i = 0; i < sw->ports->len; i++)
        add_interface(sw, g_ptr_array_index(sw->ports, i));
}

static SpPort *port_new(SpSwitch *sw, const char *name)
{
    SpPort *port = g_new0(SpPort, 1);

    port->owner = sw;
    port->name = g_strdup(name);
    g_queue_init(&port->delayed);
    g_ptr_array_add(sw->ports, port);
    add_interface(sw, port);
    return port;
}

SpPort *sp_switch_plug(SpSwitch *sw, const char *name, int fd)
{
    SpPort *port = port_new(sw, name);
    const SpStreamConfig config = {.funcs = &stream_funcs,
        .data = port,
        .read_size = READ_SIZE,
        .input_max = LENGTH_SIZE + SP_ETHERNET_LENGTH_MAX,
        .output_max = SP_PORT_QUEUE_MAX};

    port->stream = sp_stream_new(fd, &config);
    return port;
}

SpPort *sp_switch_plug_func(SpSwitch *sw, const char *name, SpFrameFunc func, void *data)
{
    SpPort *port = port_new(sw, name);

    port->func = func;
    port->func_data = data;
    return port;
}

SpPort *sp_switch_find(SpSwitch *sw, const SpMac *mac)
{
    return find_station(sw, mac, g_get_monotonic_time());
}

void sp_port_send(SpPort *port, const guint8 *frame, gsize length)
{
    SpSwitch *sw = port->owner;

    switch_frame(port, frame, length);
    if (sw->write_source == 0)
        sw->write_source = g_idle_add_full(G_PRIORITY_DEFAULT, on_write, sw, NULL);
}

static gboolean is_behind(void *key, void *value, void *port)
{
    return ((const Station *)value)->port == port;
}

void sp_port_unplug(SpPort *port)
{
    if (!port)
        return;
    sp_stream_free(port->stream);
    if (port->delay_source != 0)
        g_source_remove(port->delay_source);
    g_queue_clear_full(&port->delayed, delayed_free);
    g_hash_table_foreach_remove(port->owner->stations, is_behind, port);
    g_ptr_array_remove(port->owner->ports, port);
    g_free(port->name);
    g_free(port);
}

bool sp_port_is_connected(const SpPort *port)
{
    return port->func || port->stream;
}

void sp_port_set_blocked(SpPort *port, bool is_blocked)
{
    port->is_blocked = is_blocked;
}

void sp_port_set_loss(SpPort *port, double loss)
{
    port->loss = CLAMP(loss, 0, 1);
}

void sp_port_set_delay(SpPort *port, guint delay_ms)
{
    port->delay_ms = delay_ms;
}

const SpPortStats *sp_port_stats(const SpPort *port)
{
    return &port->stats;
}
