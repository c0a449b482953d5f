/* SPDX-License-Identifier: MIT */

/* The agent's WATCH of units, with a manager that the test provides. The end-to-end tests have the
 * real one. */

#include "agent-peer.h"

#include <errno.h>
#include <gio/gio.h>
#include <glib-unix.h>
#include <glib/gstdio.h>
#include <stdbool.h>
#include <string.h>

#define MANAGER_PATH "/org/freedesktop/systemd1"
#define UNIT_PATH MANAGER_PATH "/unit/demo_2eservice"
#define ADDRESS_VARIABLE "SLOTPROOF_MANAGER_ADDRESS"

static const char interfaces[] =
    "<node><interface name='org.freedesktop.systemd1.Manager'>"
    "<method name='ListUnitsByNames'><arg type='as' direction='in'/>"
    "<arg type='a(ssssssouso)' direction='out'/></method></interface>"
    "<interface name='org.freedesktop.systemd1.Service'>"
    "<property name='Result' type='s' access='read'/></interface></node>";

typedef struct {
    Peer peer;
    GDBusServer *server;
    GDBusConnection *connection; /* the agent's, or NULL */
    GDBusNodeInfo *node;
    const char *active, *result;
    guint32 job;
    guint n_asked, n_refusals; /* how often it was asked; how many more times it is too busy */
} Fixture;

static GVariant *list_unit(Fixture *f, const char *name)
{
    GVariantBuilder builder;

    g_variant_builder_init(&builder, G_VARIANT_TYPE("a(ssssssouso)"));
    if (g_str_equal(name, "demo.service"))
        g_variant_builder_add(&builder, "(ssssssouso)", name, "", "loaded", f->active, "sub", "",
            UNIT_PATH, f->job, "", "/");
    return g_variant_new("(a(ssssssouso))", &builder);
}

/* As systemd does: no row for an invalid name, an error for a template. */
static void on_call(GDBusConnection *connection, const char *sender, const char *path,
    const char *interface, const char *method, GVariant *arguments,
    GDBusMethodInvocation *invocation, void *data)
{
    g_autofree const char **names = NULL;
    Fixture *f = data;

    f->n_asked++;
    g_variant_get(arguments, "(^a&s)", &names);
    if (g_str_equal(names[0], "demo@.service")) {
        g_dbus_method_invocation_return_dbus_error(
            invocation, "org.freedesktop.DBus.Error.InvalidArgs", "missing the instance name");
    } else if (f->n_refusals > 0) {
        f->n_refusals--;
        g_dbus_method_invocation_return_dbus_error(
            invocation, "org.freedesktop.DBus.Error.LimitsExceeded", "busy");
    } else {
        g_dbus_method_invocation_return_value(invocation, list_unit(f, names[0]));
    }
}

static GVariant *on_get(GDBusConnection *connection, const char *sender, const char *path,
    const char *interface, const char *name, GError **error, void *data)
{
    Fixture *f = data;

    return g_variant_new_string(f->result);
}

static gboolean on_connection(GDBusServer *server, GDBusConnection *connection, void *data)
{
    static const GDBusInterfaceVTable vtable = {.method_call = on_call, .get_property = on_get};
    Fixture *f = data;

    g_set_object(&f->connection, connection);
    g_assert_cmpuint(g_dbus_connection_register_object(
                         connection, MANAGER_PATH, f->node->interfaces[0], &vtable, f, NULL, NULL),
        >, 0);
    g_assert_cmpuint(g_dbus_connection_register_object(
                         connection, UNIT_PATH, f->node->interfaces[1], &vtable, f, NULL, NULL),
        >, 0);
    return TRUE;
}

static void fixture_up(Fixture *f, gconstpointer data)
{
    g_autofree char *guid = g_dbus_generate_guid();
    g_autoptr(GError) error = NULL;

    f->active = "active";
    f->result = "success";
    f->node = g_dbus_node_info_new_for_xml(interfaces, &error);
    g_assert_no_error(error);
    f->server = g_dbus_server_new_sync(
        "unix:tmpdir=/tmp", G_DBUS_SERVER_FLAGS_NONE, guid, NULL, NULL, &error);
    g_assert_no_error(error);
    g_signal_connect(f->server, "new-connection", G_CALLBACK(on_connection), f);
    g_dbus_server_start(f->server);
    peer_start(&f->peer, ADDRESS_VARIABLE, g_dbus_server_get_client_address(f->server));
    peer_hello(&f->peer, 1);
}

static void fixture_down(Fixture *f, gconstpointer data)
{
    peer_stop(&f->peer);
    g_dbus_server_stop(f->server);
    g_clear_object(&f->connection);
    g_object_unref(f->server);
    g_dbus_node_info_unref(f->node);
}

static gboolean on_readable(int fd, GIOCondition condition, void *data)
{
    *(bool *)data = true;
    return G_SOURCE_REMOVE;
}

static gboolean on_deadline(void *data)
{
    g_assert_not_reached(); /* nothing came from the agent in time */
    return G_SOURCE_REMOVE;
}

/* peer_turn(), while the manager serves. */
static void turn(Fixture *f)
{
    struct sp_agent_frame frame;
    bool is_readable = false;
    guint deadline;

    if (sp_agent_frame_decode(
            f->peer.input->data + f->peer.used, f->peer.input->len - f->peer.used, &frame) == 0) {
        g_unix_fd_add(f->peer.fd, G_IO_IN, on_readable, &is_readable);
        deadline = g_timeout_add_seconds(10, on_deadline, NULL);
        while (!is_readable)
            g_main_context_iteration(NULL, TRUE);
        g_source_remove(deadline);
    }
    peer_turn(&f->peer);
}

static void assert_state(Fixture *f, guint32 channel, guint n, const char *state)
{
    PeerResult *result = peer_result(&f->peer, channel);
    g_autofree char *last = NULL;

    while (result->states->len < n) {
        g_assert_false(result->is_done);
        turn(f);
    }
    g_assert_cmpuint(result->states->len, ==, n);
    last = g_strjoinv(" ", g_ptr_array_index(result->states, n - 1));
    g_assert_cmpstr(last, ==, state);
}

static void assert_refused(Fixture *f, const char *name)
{
    guint32 channel = peer_watch(&f->peer, SP_WATCH_UNIT, name);
    PeerResult *result = peer_result(&f->peer, channel);

    while (!result->is_done)
        turn(f);
    peer_assert_error(result, EINVAL);
}

static void emit(
    Fixture *f, const char *path, const char *interface, const char *signal, GVariant *arguments)
{
    g_autoptr(GError) error = NULL;

    g_dbus_connection_emit_signal(f->connection, NULL, path, interface, signal, arguments, &error);
    g_assert_no_error(error);
}

static void emit_changed(Fixture *f)
{
    emit(f, UNIT_PATH, "org.freedesktop.DBus.Properties", "PropertiesChanged",
        g_variant_new("(sa{sv}as)", "org.freedesktop.systemd1.Unit", NULL, NULL));
}

static void emit_job(Fixture *f, const char *signal, const char *name)
{
    emit(f, MANAGER_PATH, "org.freedesktop.systemd1.Manager", signal,
        g_variant_new("(uos)", 7u, "/job/7", name));
}

/* Serve until the manager has been asked this often. */
static void wait_asked(Fixture *f, guint n)
{
    guint deadline = g_timeout_add_seconds(10, on_deadline, NULL);

    while (f->n_asked < n)
        g_main_context_iteration(NULL, TRUE);
    g_source_remove(deadline);
}

static void test_changes(Fixture *f, gconstpointer data)
{
    guint32 channel = peer_watch(&f->peer, SP_WATCH_UNIT, "demo.service");
    guint n_asked;

    assert_state(f, channel, 1, "loaded active sub success 0");
    f->active = "failed";
    f->result = "exit-code";
    emit_changed(f);
    assert_state(f, channel, 2, "loaded failed sub exit-code 0");
    f->job = 7;
    emit_job(f, "JobNew", "demo.service");
    assert_state(f, channel, 3, "loaded failed sub exit-code 7");
    /* nothing new */
    n_asked = f->n_asked;
    emit_changed(f);
    wait_asked(f, n_asked + 1);
    f->job = 0;
    emit_job(f, "JobRemoved", "demo.service");
    assert_state(f, channel, 4, "loaded failed sub exit-code 0");
    peer_cancel(&f->peer, channel);
    while (!peer_result(&f->peer, channel)->is_done)
        turn(f);
    peer_assert_error(peer_result(&f->peer, channel), ECANCELED);
}

/* A signal about another unit leads to no question. */
static void test_others(Fixture *f, gconstpointer data)
{
    guint32 channel = peer_watch(&f->peer, SP_WATCH_UNIT, "demo.service");
    guint n_asked;

    assert_state(f, channel, 1, "loaded active sub success 0");
    n_asked = f->n_asked;
    emit_job(f, "JobNew", "other.service");
    g_assert_true(g_dbus_connection_flush_sync(f->connection, NULL, NULL));
    /* this is answered after the signal */
    channel = peer_watch(&f->peer, SP_WATCH_UNIT, "demo.service");
    assert_state(f, channel, 1, "loaded active sub success 0");
    g_assert_cmpuint(f->n_asked, ==, n_asked + 1);
}

static void test_names(Fixture *f, gconstpointer data)
{
    guint32 channel;

    assert_refused(f, "no name");
    assert_refused(f, "demo@.service");
    channel = peer_watch(&f->peer, SP_WATCH_UNIT, "demo.service");
    assert_state(f, channel, 1, "loaded active sub success 0");
    /* ... also while another one is followed, which goes on */
    assert_refused(f, "demo@.service");
    f->active = "inactive";
    emit_changed(f);
    assert_state(f, channel, 2, "loaded inactive sub success 0");
}

/* A busy manager is asked again; one that was gone is found again. */
static void test_busy(Fixture *f, gconstpointer data)
{
    guint32 channel = peer_watch(&f->peer, SP_WATCH_UNIT, "demo.service");

    f->n_refusals = 3;
    assert_state(f, channel, 1, "loaded active sub success 0");
    g_assert_cmpuint(f->n_asked, ==, 4);
    f->active = "inactive";
    g_assert_true(g_dbus_connection_close_sync(f->connection, NULL, NULL));
    assert_state(f, channel, 2, "loaded inactive sub success 0");
}

/* A channel that ends while the manager is being asked. */
static void test_cancelled(Fixture *f, gconstpointer data)
{
    guint32 kept = peer_watch(&f->peer, SP_WATCH_UNIT, "demo.service");

    for (int i = 0; i < 20; i++)
        peer_cancel(&f->peer, peer_watch(&f->peer, SP_WATCH_UNIT, "demo.service"));
    assert_state(f, kept, 1, "loaded active sub success 0");
    peer_hello(&f->peer, 2);
    kept = peer_watch(&f->peer, SP_WATCH_UNIT, "demo.service");
    assert_state(f, kept, 1, "loaded active sub success 0");
}

/* A shutdown's SIGTERM is for the agent, which has the program end with it. */
static void test_program_terminated(Fixture *f, gconstpointer data)
{
    guint32 channel = peer_watch(&f->peer, SP_WATCH_UNIT, "demo.service");
    PeerResult *result;

    assert_state(f, channel, 1, "loaded active sub success 0");
    result = peer_wait(&f->peer, peer_shell(&f->peer, "pkill -TERM -P $PPID -x slotproof-agent"));
    peer_assert_exit(result, 0);
    f->active = "inactive";
    emit_changed(f);
    assert_state(f, channel, 2, "loaded inactive sub success 0");
}

/* Killed, it is started again by the next request. */
static void test_program_ends(Fixture *f, gconstpointer data)
{
    guint32 channel = peer_watch(&f->peer, SP_WATCH_UNIT, "demo.service");
    PeerResult *result;

    assert_state(f, channel, 1, "loaded active sub success 0");
    /* the kernel cuts its name to that of the agent, which is no child of its own */
    result = peer_wait(&f->peer, peer_shell(&f->peer, "pkill -KILL -P $PPID -x slotproof-agent"));
    peer_assert_exit(result, 0);
    peer_assert_error(peer_wait(&f->peer, channel), EPIPE);
    channel = peer_watch(&f->peer, SP_WATCH_UNIT, "demo.service");
    assert_state(f, channel, 1, "loaded active sub success 0");
}

/* A guest without the program: units are refused with that reason, all else works. */
static void test_absent(void)
{
    g_autofree char *directory = g_dir_make_tmp("slotproof-test-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(directory, "agent", NULL);
    const char *const argv[] = {path, NULL};
    g_autoptr(GFile) from = g_file_new_for_path(SLOTPROOF_AGENT);
    g_autoptr(GFile) to = g_file_new_for_path(path);
    g_autoptr(GError) error = NULL;
    PeerResult *result;
    Peer peer;

    g_file_copy(from, to, G_FILE_COPY_NONE, NULL, NULL, NULL, &error);
    g_assert_no_error(error);
    peer_start_program(&peer, argv, NULL, NULL);
    peer_hello(&peer, 1);
    result = peer_wait(&peer, peer_watch(&peer, SP_WATCH_UNIT, "demo.service"));
    peer_assert_error(result, EOPNOTSUPP);
    g_assert_nonnull(strstr(result->message, "this guest has no slotproof-agent-units"));
    peer_assert_exit(peer_wait(&peer, peer_shell(&peer, "true")), 0);
    peer_stop(&peer);
    g_assert_cmpint(g_unlink(path), ==, 0);
    g_assert_cmpint(g_rmdir(directory), ==, 0);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*func)(Fixture *, gconstpointer);
    } tests[] = {
        {"/agent-units/changes", test_changes},
        {"/agent-units/others", test_others},
        {"/agent-units/names", test_names},
        {"/agent-units/busy", test_busy},
        {"/agent-units/cancelled", test_cancelled},
        {"/agent-units/program-terminated", test_program_terminated},
        {"/agent-units/program-ends", test_program_ends},
    };

    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].path, Fixture, NULL, fixture_up, tests[i].func, fixture_down);
    g_test_add_func("/agent-units/absent", test_absent);
    return g_test_run();
}
