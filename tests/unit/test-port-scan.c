/* SPDX-License-Identifier: MIT */
#include "network/port-scan.h"

#include "base/error.h"
#include "fake-target.h"

#include <string.h>

typedef struct {
    SpSwitch *sw;
    FakeTarget *target;
    SpEndpoint *endpoint;
    guint8 states[SP_PORT_SCAN_PORTS];
    SpPortScanStats stats;
    GError *error;
} Fixture;

static void set_up(Fixture *f, gconstpointer data)
{
    static const SpMac mac = {{0x52, 0x54, 0, 0, 0, 9}};

    f->sw = sp_switch_new("1", 7);
    f->target = fake_target_new(f->sw);
    f->endpoint = sp_endpoint_new(f->sw, "scanner", &mac);
    g_assert_true(sp_endpoint_add_address(f->endpoint, "10.0.0.9/24", NULL));
    g_assert_true(sp_endpoint_add_address(f->endpoint, "fd00::9/64", NULL));
}

static void tear_down(Fixture *f, gconstpointer data)
{
    g_clear_error(&f->error);
    sp_endpoint_free(f->endpoint);
    fake_target_free(f->target);
    sp_switch_free(f->sw);
}

static const SpIp *address(Fixture *f, bool is_v6)
{
    return is_v6 ? &f->target->v6 : &f->target->v4;
}

static bool scan_ports(
    Fixture *f, bool is_v6, SpPortScanProtocol protocol, const guint16 *ports, gsize n)
{
    memset(f->states, 0xee, sizeof f->states);
    return sp_port_scan_run(f->endpoint, address(f, is_v6), protocol, ports, n, sp_deadline(60000),
        NULL, f->states, &f->stats, &f->error);
}

/* Every port is found in the state that it has. */
static void assert_truth(Fixture *f, SpPortScanProtocol protocol)
{
    const guint8 *truth = protocol == SP_PORT_SCAN_TCP ? f->target->tcp : f->target->udp;

    g_assert_no_error(f->error);
    g_assert_cmpuint(f->states[0], ==, SP_PORT_SCAN_NONE);
    for (guint port = 1; port < SP_PORT_SCAN_PORTS; port++) {
        SpPortScanState expected = MAX(truth[port], SP_PORT_SCAN_SILENT);
        if (f->states[port] != expected)
            g_error("port %u is %s, not %s", port, sp_port_scan_state_name(f->states[port]),
                sp_port_scan_state_name(expected));
    }
}

static void assert_failed(Fixture *f, SpErrorCode code, const char *words)
{
    g_assert_error(f->error, SP_ERROR, (int)code);
    if (!strstr(f->error->message, words))
        g_error("'%s' does not say '%s'", f->error->message, words);
    g_assert_cmpuint(f->states[80], ==, 0xee);
}

/* No frame of the port scan is left in the queue of received frames. */
static void assert_nothing_left(Fixture *f)
{
    g_autoptr(GBytes) left = sp_endpoint_receive(f->endpoint, NULL, NULL, 0, NULL, &f->error);

    g_assert_null(left);
    g_assert_error(f->error, SP_ERROR, SP_ERROR_TIMEOUT);
    g_clear_error(&f->error);
}

/* Some of each, over all ports. */
static void mix(Fixture *f)
{
    for (guint port = 0; port < SP_PORT_SCAN_PORTS; port++) {
        f->target->tcp[port] = (guint8)(port % 5);
        f->target->udp[port] = (guint8)(port / 7 % 5);
    }
}

static void test_all(Fixture *f, gconstpointer data)
{
    static const guint most[] = {SP_PORT_SCAN_TCP_WINDOW_MAX, SP_PORT_SCAN_UDP_WINDOW_MAX};

    mix(f);
    for (guint i = 0; i < 4; i++) {
        SpPortScanProtocol protocol = i % 2 == 0 ? SP_PORT_SCAN_TCP : SP_PORT_SCAN_UDP;

        f->target->largest_window = 0;
        scan_ports(f, i >= 2, protocol, NULL, 0);
        assert_truth(f, protocol);
        /* as large as they may be, with the resets of what was open in between */
        g_assert_cmpuint(f->target->largest_window, >=, most[i % 2]);
        g_assert_cmpuint(f->target->largest_window, <=, most[i % 2] * 5 / 4);
        g_assert_cmpuint(f->stats.rounds, ==, 2);
        g_assert_cmpuint(f->stats.late, ==, 0);
        /* each once, and the silent ones twice */
        g_assert_cmpuint(f->stats.probes, >=, 65535 * 7 / 5 - 2);
        g_assert_cmpuint(f->target->half_open, ==, 0);
        g_test_message("%s %s: %u ms, %u windows, %u repeated", i >= 2 ? "IPv6" : "IPv4",
            i % 2 == 0 ? "TCP" : "UDP", (guint)(f->stats.time_us / 1000), f->stats.windows,
            f->stats.repeated);
    }
    assert_nothing_left(f);
}

static void test_some(Fixture *f, gconstpointer data)
{
    static const guint16 ports[] = {443, 22, 443, 65535, 0};

    f->target->tcp[22] = SP_PORT_SCAN_CLOSED;
    f->target->tcp[443] = SP_PORT_SCAN_OPEN;
    f->target->tcp[80] = SP_PORT_SCAN_OPEN;
    g_assert_true(scan_ports(f, false, SP_PORT_SCAN_TCP, ports, G_N_ELEMENTS(ports)));
    g_assert_cmpuint(f->states[22], ==, SP_PORT_SCAN_CLOSED);
    g_assert_cmpuint(f->states[443], ==, SP_PORT_SCAN_OPEN);
    g_assert_cmpuint(f->states[65535], ==, SP_PORT_SCAN_SILENT);
    g_assert_cmpuint(f->states[0], ==, SP_PORT_SCAN_SILENT);
    g_assert_cmpuint(f->states[80], ==, SP_PORT_SCAN_NONE);
    if (f->stats.repeated == 0) /* as on a host that is not very busy */
        g_assert_cmpuint(f->stats.probes, ==, 4 + 2);
    /* none at all */
    g_assert_true(scan_ports(f, false, SP_PORT_SCAN_TCP, ports, 0));
    g_assert_cmpuint(f->states[22], ==, SP_PORT_SCAN_NONE);
    g_assert_cmpuint(f->stats.probes, ==, 0);
}

static void test_questions(Fixture *f, gconstpointer data)
{
    static const struct {
        guint16 port;
        guint bytes;
    } known[] = {{53, 17}, {123, 48}, {1194, 14}, {7, 0}};

    for (gsize i = 0; i < G_N_ELEMENTS(known); i++) {
        f->target->udp[known[i].port] = SP_PORT_SCAN_OPEN;
        g_assert_true(scan_ports(f, false, SP_PORT_SCAN_UDP, &known[i].port, 1));
        g_assert_cmpuint(f->states[known[i].port], ==, SP_PORT_SCAN_OPEN);
        g_assert_cmpuint(f->target->udp_bytes, ==, known[i].bytes);
    }
}

/* All that comes in during some time is lost, as when a ring overflows: those windows are sent
 * again, and no port is silent for it. */
static void test_lost_probes(Fixture *f, gconstpointer data)
{
    fake_target_set_all(f->target, SP_PORT_SCAN_CLOSED);
    f->target->tcp[100] = SP_PORT_SCAN_SILENT;
    f->target->mute_from = 1000;
    f->target->mute_sentinels = 2;
    scan_ports(f, false, SP_PORT_SCAN_TCP, NULL, 0);
    assert_truth(f, SP_PORT_SCAN_TCP);
    g_assert_cmpuint(f->stats.repeated, >=, 2);
    g_assert_cmpuint(f->stats.late, ==, 0); /* seen at once, not in a later round */
}

/* The answer to the sentinel of a window comes when that of another one is waited for, of which
 * all is lost. */
static void test_late_sentinel(Fixture *f, gconstpointer data)
{
    for (guint i = 0; i < 2; i++) {
        fake_target_set_all(f->target, SP_PORT_SCAN_CLOSED);
        f->target->frames = 0;
        f->target->mute_from = 1000;
        f->target->mute_sentinels = 2;
        f->target->answers_late = true;
        g_byte_array_set_size(f->target->late, 0);
        scan_ports(f, i == 1, SP_PORT_SCAN_TCP, NULL, 0);
        assert_truth(f, SP_PORT_SCAN_TCP);
        g_assert_cmpuint(f->stats.repeated, >=, 2);
        g_assert_cmpuint(f->stats.late, ==, 0);
        assert_nothing_left(f);
    }
}

/* Of answers that contradict each other, the strongest counts. */
static void test_contradiction(Fixture *f, gconstpointer data)
{
    static const guint16 ports[] = {1, 2, 3};

    f->target->contradicts = true;
    f->target->tcp[1] = SP_PORT_SCAN_OPEN;
    f->target->tcp[2] = SP_PORT_SCAN_CLOSED;
    g_assert_true(scan_ports(f, false, SP_PORT_SCAN_TCP, ports, G_N_ELEMENTS(ports)));
    g_assert_cmpuint(f->states[1], ==, SP_PORT_SCAN_OPEN);
    g_assert_cmpuint(f->states[2], ==, SP_PORT_SCAN_CLOSED);
    g_assert_cmpuint(f->states[3], ==, SP_PORT_SCAN_REJECTED);
}

/* The sentinel's answer comes, a port's does not. */
static void test_lost_answers(Fixture *f, gconstpointer data)
{
    mix(f);
    f->target->lose_answers = 50;
    scan_ports(f, false, SP_PORT_SCAN_TCP, NULL, 0);
    assert_truth(f, SP_PORT_SCAN_TCP);
    g_assert_cmpuint(f->stats.late, >, 65535 * 3 / 5 / 50 - 100);
    g_assert_cmpuint(f->stats.rounds, >, 2);
}

/* The sentinel's answer overtakes those of the ports, as with fq_codel. */
static void test_overtaken(Fixture *f, gconstpointer data)
{
    mix(f);
    f->target->holds_answers = true;
    scan_ports(f, false, SP_PORT_SCAN_UDP, NULL, 0);
    assert_truth(f, SP_PORT_SCAN_UDP);
    g_assert_cmpuint(f->stats.rounds, ==, 2);
    g_assert_cmpuint(f->stats.late, ==, 0);
}

/* A link that loses frames, each way and without the switch's knowing which. */
static void test_lossy_link(Fixture *f, gconstpointer data)
{
    guint16 ports[1000];

    for (guint i = 0; i < G_N_ELEMENTS(ports); i++)
        ports[i] = (guint16)(i + 1);
    mix(f);
    sp_port_set_loss(sp_endpoint_port(f->endpoint), 0.03);
    g_assert_true(scan_ports(f, true, SP_PORT_SCAN_TCP, ports, G_N_ELEMENTS(ports)));
    for (guint i = 0; i < G_N_ELEMENTS(ports); i++)
        g_assert_cmpuint(
            f->states[ports[i]], ==, MAX(f->target->tcp[ports[i]], SP_PORT_SCAN_SILENT));
    g_assert_cmpuint(f->stats.repeated, >, 0);
    g_assert_cmpuint(f->stats.late, ==, 0); /* each loss was seen by the switch's counters */
}

static bool has_sent(void *data, GError **error)
{
    return sp_port_stats(data)->sent > 300;
}

static gboolean cut_link(void *data)
{
    Fixture *f = data;

    if (!has_sent(sp_endpoint_port(f->endpoint), NULL))
        return G_SOURCE_CONTINUE;
    sp_port_set_blocked(sp_endpoint_port(f->endpoint), true);
    return G_SOURCE_REMOVE;
}

static void test_cut_link(Fixture *f, gconstpointer data)
{
    fake_target_set_all(f->target, SP_PORT_SCAN_CLOSED);
    g_timeout_add(1, cut_link, f);
    g_assert_false(scan_ports(f, false, SP_PORT_SCAN_TCP, NULL, 0));
    assert_failed(f, SP_ERROR_TIMEOUT, "loses too many frames");
}

static void test_rate_limit(Fixture *f, gconstpointer data)
{
    fake_target_set_all(f->target, SP_PORT_SCAN_CLOSED);
    f->target->limits_icmp = true;
    g_assert_false(scan_ports(f, false, SP_PORT_SCAN_UDP, NULL, 0));
    assert_failed(f, SP_ERROR_GUEST, "icmp_ratelimit");
    /* resets are not limited */
    g_clear_error(&f->error);
    scan_ports(f, false, SP_PORT_SCAN_TCP, NULL, 0);
    assert_truth(f, SP_PORT_SCAN_TCP);
}

static void test_dies(Fixture *f, gconstpointer data)
{
    fake_target_set_all(f->target, SP_PORT_SCAN_CLOSED);
    f->target->dies_at = 5000;
    g_assert_false(scan_ports(f, false, SP_PORT_SCAN_TCP, NULL, 0));
    assert_failed(f, SP_ERROR_MACHINE, "10.0.0.2 went away");
}

static bool is_tired(void *data)
{
    return ++*(guint *)data > 5;
}

static void test_hangs(Fixture *f, gconstpointer data)
{
    guint asked = 0;
    SpInterrupt interrupt = {.func = is_tired, .data = &asked};
    gint64 begin = g_get_monotonic_time();

    fake_target_set_all(f->target, SP_PORT_SCAN_CLOSED);
    f->target->mute_from = 3000;
    f->target->mute_sentinels = G_MAXUINT;
    memset(f->states, 0xee, sizeof f->states);
    g_assert_false(sp_port_scan_run(f->endpoint, &f->target->v4, SP_PORT_SCAN_TCP, NULL, 0,
        sp_deadline(1000), NULL, f->states, NULL, &f->error));
    assert_failed(f, SP_ERROR_TIMEOUT, "not finished in time");
    g_assert_cmpint(g_get_monotonic_time() - begin, <, 10 * G_TIME_SPAN_SECOND);
    g_clear_error(&f->error);
    f->target->frames = 0;
    g_assert_false(sp_port_scan_run(f->endpoint, &f->target->v4, SP_PORT_SCAN_TCP, NULL, 0,
        SP_FOREVER, &interrupt, f->states, NULL, &f->error));
    g_assert_error(f->error, SP_ERROR, SP_ERROR_INTERRUPTED);
    g_clear_error(&f->error);
    if (!g_test_slow())
        return;
    f->target->frames = 0;
    g_assert_false(sp_port_scan_run(f->endpoint, &f->target->v6, SP_PORT_SCAN_TCP, NULL, 0,
        SP_FOREVER, NULL, f->states, NULL, &f->error));
    assert_failed(f, SP_ERROR_TIMEOUT, "no longer answers neighbour solicitations");
}

static void test_no_sentinel(Fixture *f, gconstpointer data)
{
    f->target->has_no_arp = true;
    memset(f->states, 0xee, sizeof f->states);
    for (guint i = 0; i < 2; i++) {
        g_assert_false(sp_port_scan_run(f->endpoint, address(f, i == 1), SP_PORT_SCAN_TCP, NULL, 0,
            sp_deadline(100), NULL, f->states, NULL, &f->error));
        assert_failed(f, SP_ERROR_TIMEOUT,
            i == 1 ? "fd00::2 does not answer neighbour" : "10.0.0.2 does not answer ARP");
        g_clear_error(&f->error);
    }
}

/* Answers to what was not asked are no answers. */
static void test_wrong_answers(Fixture *f, gconstpointer data)
{
    static const guint16 ports[] = {1, 2, 3, 4000};

    f->target->answers_wrongly = true;
    for (guint i = 0; i < 4; i++) {
        g_assert_true(scan_ports(f, i >= 2, i % 2 == 0 ? SP_PORT_SCAN_TCP : SP_PORT_SCAN_UDP, ports,
            G_N_ELEMENTS(ports)));
        for (gsize j = 0; j < G_N_ELEMENTS(ports); j++)
            g_assert_cmpuint(f->states[ports[j]], ==, SP_PORT_SCAN_SILENT);
    }
}

static void test_no_family(void)
{
    static const SpMac mac = {{2, 0, 0, 0, 0, 9}};
    g_autoptr(SpSwitch) sw = sp_switch_new("1", 1);
    g_autoptr(SpEndpoint) endpoint = sp_endpoint_new(sw, "scanner", &mac);
    g_autoptr(GError) error = NULL;
    g_autofree guint8 *states = g_malloc0(SP_PORT_SCAN_PORTS);
    SpIp target;

    g_assert_true(sp_ip_parse("10.0.0.1", &target, NULL));
    g_assert_false(sp_port_scan_run(
        endpoint, &target, SP_PORT_SCAN_TCP, NULL, 0, SP_FOREVER, NULL, states, NULL, &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_USAGE);
    g_assert_nonnull(strstr(error->message, "no IPv4 address"));
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*test)(Fixture *f, gconstpointer data);
    } tests[] = {
        {"/port-scan/all", test_all},
        {"/port-scan/some", test_some},
        {"/port-scan/questions", test_questions},
        {"/port-scan/lost-probes", test_lost_probes},
        {"/port-scan/late-sentinel", test_late_sentinel},
        {"/port-scan/contradiction", test_contradiction},
        {"/port-scan/lost-answers", test_lost_answers},
        {"/port-scan/overtaken", test_overtaken},
        {"/port-scan/lossy-link", test_lossy_link},
        {"/port-scan/cut-link", test_cut_link},
        {"/port-scan/rate-limit", test_rate_limit},
        {"/port-scan/dies", test_dies},
        {"/port-scan/hangs", test_hangs},
        {"/port-scan/no-sentinel", test_no_sentinel},
        {"/port-scan/wrong-answers", test_wrong_answers},
    };

    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].path, Fixture, NULL, set_up, tests[i].test, tear_down);
    g_test_add_func("/port-scan/no-family", test_no_family);
    return g_test_run();
}
