/* SPDX-License-Identifier: MIT */
#include "network/address.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is formatted parses to the same address. */
static void check_ip(const SpIp *ip)
{
    g_autofree char *text = sp_ip_format(ip);
    SpIp again;

    if (!sp_ip_parse(text, &again, NULL) || !sp_ip_equal(ip, &again))
        abort();
}

static void check_mac(const SpMac *mac)
{
    g_autofree char *text = sp_mac_format(mac);
    SpMac again;

    if (!sp_mac_parse(text, &again) || !sp_mac_equal(mac, &again))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *text = g_strndup((const char *)data, size);
    g_autoptr(GError) error = NULL;
    guint prefix;
    SpMac mac;
    SpIp ip;

    if (sp_ip_parse(text, &ip, &error))
        check_ip(&ip);
    else if (!error)
        abort();
    if (sp_ip_parse_prefix(text, &ip, &prefix, NULL)) {
        check_ip(&ip);
        if (prefix > sp_ip_size(&ip) * 8)
            abort();
    }
    if (sp_mac_parse(text, &mac))
        check_mac(&mac);
    return 0;
}
