/* SPDX-License-Identifier: MIT */
#include "agent/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

static const char hosts[] = "127.0.0.1\tlocalhost\n"
                            "10.1.2.3 # not.this\n"
                            "# 10.1.2.4 commented\n"
                            "10.1.2.5\tserver.example Server  alias # aside\n"
                            "fd00::5 server.example\r\n"
                            "not-an-address broken\n"
                            "10.1.2.6 broken\n"
                            "::1%no-such-interface scoped\n"
                            "10.1.2.7 last";

/* The addresses found, with spaces between them, each with the port; "" for none. */
static char *find(const char *host, const char *port, gsize max)
{
    FILE *file = fmemopen((void *)(uintptr_t)hosts, sizeof hosts - 1, "re");
    struct address addresses[8];
    int n = address_find_in(file, host, port, addresses, max);
    GString *text = g_string_new(NULL);

    g_assert_true(n > 0 || n == -EADDRNOTAVAIL);
    for (int i = 0; i < n; i++) {
        const struct address *a = &addresses[i];
        bool is_v4 = a->any.sa_family == AF_INET;
        char name[INET6_ADDRSTRLEN];

        g_assert_cmpint(a->length, ==, is_v4 ? sizeof a->in : sizeof a->in6);
        inet_ntop(a->any.sa_family, is_v4 ? (const void *)&a->in.sin_addr : &a->in6.sin6_addr, name,
            sizeof name);
        g_string_append_printf(text, "%s%s:%d", i > 0 ? " " : "", name,
            ntohs(is_v4 ? a->in.sin_port : a->in6.sin6_port));
    }
    fclose(file);
    return g_string_free(text, FALSE);
}

static void assert_found(const char *host, const char *port, const char *expected)
{
    g_autofree char *text = find(host, port, 8);

    g_assert_cmpstr(text, ==, expected);
}

static void test_numbers(void)
{
    assert_found("192.0.2.1", "80", "192.0.2.1:80");
    assert_found("127.1", "65535", "127.0.0.1:65535");
    assert_found("fd00::1", "0", "fd00::1:0");
    assert_found("fe80::1%lo", "80", "fe80::1:80");
    assert_found("fe80::1%1", "80", "fe80::1:80");
    assert_found("fe80::1%", "80", "");
    assert_found("fe80::1%no-such-interface", "80", "");
    assert_found("192.0.2.1 x", "80", "");
    assert_found("192.0.2.256", "80", "");
    assert_found("", "80", "");
}

static void test_ports(void)
{
    static const char *const bad[] = {
        "", "65536", "99999999999999999999", "http", "8x", "-1", " 8"};

    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++)
        assert_found("192.0.2.1", bad[i], "");
}

static void test_names(void)
{
    g_autofree char *first = NULL;

    assert_found("server.example", "1", "10.1.2.5:1 fd00::5:1");
    assert_found("SERVER", "1", "10.1.2.5:1");
    assert_found("alias", "1", "10.1.2.5:1");
    assert_found("broken", "1", "10.1.2.6:1");
    assert_found("last", "1", "10.1.2.7:1");
    assert_found("aside", "1", "");
    assert_found("not.this", "1", "");
    assert_found("commented", "1", "");
    assert_found("scoped", "1", "");
    assert_found("serve", "1", "");
    /* both, though the file has one */
    assert_found("localhost", "1", "127.0.0.1:1 ::1:1");
    first = find("server.example", "1", 1);
    g_assert_cmpstr(first, ==, "10.1.2.5:1");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/agent-address/numbers", test_numbers);
    g_test_add_func("/agent-address/ports", test_ports);
    g_test_add_func("/agent-address/names", test_names);
    return g_test_run();
}
