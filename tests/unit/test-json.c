/* SPDX-License-Identifier: MIT */
#include "base/json.h"

#include <string.h>

/* The document comes out as @expected, in jansson's own form; NULL: it is refused. */
static void assert_parsed(const char *text, const char *expected)
{
    json_auto_t *json = sp_json_parse(text, strlen(text));
    g_autofree char *form = json ? sp_json_format(json) : NULL;

    g_test_message("%s", text);
    g_assert_cmpstr(form, ==, expected);
}

static void test_integers(void)
{
    static const struct {
        const char *text, *expected;
    } numbers[] = {
        {"0", "0"},
        {"-1", "-1"},
        {"9007199254740992", "9007199254740992"},
        {"9007199254740993", "9007199254740993"},
        {"9223372036854775807", "9223372036854775807"},
        {"9223372036854775808", "-9223372036854775808"},
        {"18446744071578845184", "-2130706432"}, /* 0xffffffff81000000 */
        {"18446744073709551615", "-1"},
        {"18446744073709551616", "1.8446744073709552e19"},
        {"99999999999999999999999", "9.9999999999999992e22"},
        {"-9223372036854775808", "-9223372036854775808"},
        {"-9223372036854775809", "-9.2233720368547758e18"},
        {"-18446744073709551615", "-1.8446744073709552e19"},
        {"18446744073709551615.0", "1.8446744073709552e19"},
        {"18446744073709551615e0", "1.8446744073709552e19"},
        {"0.500000000000000000000000", "0.5"},
        /* what is not JSON */
        {"018446744073709551615", NULL},
        {"-018446744073709551615", NULL},
        {"+18446744073709551615", NULL},
        {"--18446744073709551615", NULL},
        {"18446744073709551615.", NULL},
        {"18446744073709551616.", NULL},
        {"18446744073709551615-", NULL},
        {"18446744073709551615x", NULL},
        {"0x18446744073709551615", NULL},
        {"0.500000000000000000000000", "0.5"},
        {"true18446744073709551615", NULL},
        {"1e999", NULL},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(numbers); i++) {
        const char *expected = numbers[i].expected;
        g_autofree char *text = g_strdup_printf("[%s]", numbers[i].text);
        g_autofree char *form = expected ? g_strdup_printf("[%s]", expected) : NULL;
        /* the numbers beside it stay what they are */
        g_autofree char *mixed = g_strdup_printf(
            "{\"val\": %s, \"size\":4096,\"r\":0.5, \"large\":[18446744073709551615 ]\n}",
            numbers[i].text);
        g_autofree char *mixed_form =
            expected
                ? g_strdup_printf("{\"val\":%s,\"size\":4096,\"r\":0.5,\"large\":[-1]}", expected)
                : NULL;

        assert_parsed(text, form);
        assert_parsed(mixed, mixed_form);
    }
}

/* Digits in strings and names are text. */
static void test_strings(void)
{
    assert_parsed(
        "{\"18446744073709551615\": 18446744073709551615}", "{\"18446744073709551615\":-1}");
    assert_parsed("[\"a 18446744073709551615\", 18446744073709551615, \"-18446744073709551616\"]",
        "[\"a 18446744073709551615\",-1,\"-18446744073709551616\"]");
    assert_parsed("[\"\\\"18446744073709551615\", 18446744073709551615]",
        "[\"\\\"18446744073709551615\",-1]");
    assert_parsed("[\"\\\\\", 18446744073709551615, \"\\\\\\\"18446744073709551615\"]",
        "[\"\\\\\",-1,\"\\\\\\\"18446744073709551615\"]");
    assert_parsed("[18446744073709551615, \"\\u0022 18446744073709551615\"]",
        "[-1,\"\\\" 18446744073709551615\"]");
    assert_parsed("[18446744073709551615, \"\xc3\xbc\"]", "[-1,\"\xc3\xbc\"]");
    assert_parsed("[18446744073709551615, \"18446744073709551615", NULL);
    assert_parsed("[18446744073709551615, \"\\", NULL);
    assert_parsed("[18446744073709551615, \"\xff\"]", NULL);
}

static void test_refused(void)
{
    assert_parsed("", NULL);
    assert_parsed("1", NULL);
    assert_parsed("[1] 2", NULL);
    assert_parsed("{\"a\": 1, \"a\": 2}", NULL);
    assert_parsed("{\"a\": 18446744073709551615, \"a\": 2}", NULL);
    assert_parsed("{\"a\": 2, \"a\": 18446744073709551615}", NULL);
}

static void test_nul(void)
{
    static const char text[] = "[\"a\\u0000b\", 18446744073709551615]";
    json_auto_t *json = sp_json_parse(text, strlen(text));

    g_assert_cmpuint(json_string_length(json_array_get(json, 0)), ==, 3);
    g_assert_cmpint(json_integer_value(json_array_get(json, 1)), ==, -1);
}

static void test_flat(void)
{
    static const char flat[] = "{\"a\": 18446744073709551615, \"b\": 4096, \"c\": \"[]\"}";
    static const char *const nested[] = {
        "{\"a\": []}", "{\"a\": {}}", "{\"a\": 18446744073709551615, \"b\": [4096]}", "[1]"};
    json_auto_t *json = sp_json_parse_flat(flat, strlen(flat));

    g_assert_cmpint(sp_json_int(json, "a", 0), ==, -1);
    g_assert_cmpint(sp_json_int(json, "b", 0), ==, 4096);
    g_assert_cmpstr(sp_json_text(json, "c"), ==, "[]");
    for (gsize i = 0; i < G_N_ELEMENTS(nested); i++)
        g_assert_null(sp_json_parse_flat(nested[i], strlen(nested[i])));
}

static void test_members(void)
{
    static const char text[] = "{\"i\": 7, \"r\": 7.0, \"big\": 18446744073709551616, \"t\": true}";
    json_auto_t *json = sp_json_parse(text, strlen(text));

    g_assert_cmpint(sp_json_int(json, "i", 1), ==, 7);
    g_assert_cmpint(sp_json_int(json, "r", 1), ==, 1);
    g_assert_cmpint(sp_json_int(json, "big", 1), ==, 1);
    g_assert_cmpint(sp_json_int(json, "t", 1), ==, 1);
    g_assert_cmpint(sp_json_int(json, "none", 1), ==, 1);
    g_assert_cmpint(sp_json_int(NULL, "i", 1), ==, 1);
    g_assert_cmpfloat(sp_json_number(json, "i", 1), ==, 7);
    g_assert_cmpfloat(sp_json_number(json, "big", 1), ==, 18446744073709551616.0);
    g_assert_true(sp_json_is_true(json, "t"));
    g_assert_false(sp_json_is_true(json, "i"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/json/integers", test_integers);
    g_test_add_func("/json/strings", test_strings);
    g_test_add_func("/json/refused", test_refused);
    g_test_add_func("/json/nul", test_nul);
    g_test_add_func("/json/flat", test_flat);
    g_test_add_func("/json/members", test_members);
    return g_test_run();
}
