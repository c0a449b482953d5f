/* SPDX-License-Identifier: MIT */
#include "appliance/update/health-list.h"

#include <errno.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define UNTOUCHED "untouched"

static char *untouched_units[1];

/* From the heap and no longer than @length, so that valgrind and sanitizers see a read past it. */
static int parse_exact(
    const char *text, size_t length, struct health_list *ret_list, const char **ret_why)
{
    char *copy = g_malloc(length > 0 ? length : 1);
    int r;

    memcpy(copy, text, length);
    r = health_list_parse(copy, length, ret_list, ret_why);
    g_free(copy);
    return r;
}

/* @why is the expected reason; NULL: any. */
static void assert_refused(const char *text, size_t length, const char *why)
{
    struct health_list list = {.units = untouched_units, .length = 77};
    const char *said = NULL;

    g_assert_cmpint(parse_exact(text, length, &list, &said), ==, -EBADMSG);
    g_assert_nonnull(said);
    g_assert_cmpstr(said, !=, "");
    if (why)
        g_assert_cmpstr(said, ==, why);
    g_assert_true(list.units == untouched_units && list.length == 77);
}

static void assert_parsed(const char *text, const char *const *expected)
{
    struct health_list list = {0};
    const char *why = UNTOUCHED;

    g_assert_cmpint(parse_exact(text, strlen(text), &list, &why), ==, 0);
    g_assert_cmpstr(why, ==, UNTOUCHED);
    g_assert_cmpuint(list.length, ==, g_strv_length((char **)expected));
    for (size_t i = 0; i < list.length; i++)
        g_assert_cmpstr(list.units[i], ==, expected[i]);
    health_list_clear(&list);
    g_assert_null(list.units);
    g_assert_cmpuint(list.length, ==, 0);
    health_list_clear(&list);
}

/* --- text ------------------------------------------------------------------------------------ */

static void test_valid(void)
{
    static const struct {
        const char *text, *units[4];
    } cases[] = {
        {"[]", {NULL}},
        {" [ ] \n", {NULL}},
        {"[\"backup.timer\"]", {"backup.timer", NULL}},
        {"[\"openvpn-server@site.service\", \"backup.timer\"]\n",
            {"openvpn-server@site.service", "backup.timer", NULL}},
        {"\t[\r\n\"a.service\"\n,\n\"b.service\"\t]\r\n", {"a.service", "b.service", NULL}},
        {"[\"a\\u0040b.service\"]", {"a@b.service", NULL}},
        {"[\"a\\\\x2db.service\"]", {"a\\x2db.service", NULL}},
        {"[\"a\\/b\"]", {"a/b", NULL}}, /* whether it is a name is systemd's to say */
        {"[\"!\",\"~\"]", {"!", "~", NULL}},
        {"[\"a\",\"a\"]", {"a", "a", NULL}},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_test_message("%s", cases[i].text);
        assert_parsed(cases[i].text, cases[i].units);
    }
}

#define NO_ARRAY "it must be an array of unit names"
#define NO_STRING "each element must be the name of a unit, as a string"
#define NO_LENGTH "a unit's name has 1 to 255 characters"
#define NO_PRINTABLE "a unit's name consists of printable ASCII characters"
#define NO_UTF8 "it is not valid UTF-8"
#define NO_JSON "it is not valid JSON"
#define CUT "it ends in the middle of its JSON"
#define MORE "something follows its JSON"

static void test_malformed(void)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        /* not an array */
        {"{}", NO_ARRAY},
        {"{\"units\":[]}", NO_ARRAY},
        {"\"a.service\"", NO_ARRAY},
        {"null", NO_ARRAY},
        {"true", NO_ARRAY},
        {"12", NO_ARRAY},
        {"-1.5e3", NO_ARRAY},
        /* elements that are no names */
        {"[12]", NO_STRING},
        {"[null]", NO_STRING},
        {"[\"a.service\",null]", NO_STRING},
        {"[\"a.service\",true,\"b.service\"]", NO_STRING},
        {"[[]]", NO_STRING},
        {"[{}]", NO_STRING},
        {"[\"a.service\",[]]", NO_STRING},
        {"[[\"a.service\"]]", NO_STRING},
        {"[[[\"a.service\"]]]", NO_STRING},
        {"[[[[\"a.service\"]]]]", NO_STRING},
        {"[{\"name\":\"a.service\"}]", NO_STRING},
        {"[\"\"]", NO_LENGTH},
        {"[\"a.service\",\"\"]", NO_LENGTH},
        {"[\"a b\"]", NO_PRINTABLE},
        {"[\"a\\nb\"]", NO_PRINTABLE},
        {"[\"\\u0000\"]", NO_PRINTABLE},
        {"[\"a.service\\u0000\"]", NO_PRINTABLE},
        {"[\"\\u007f\"]", NO_PRINTABLE},
        {"[\"\\u00e9\"]", NO_PRINTABLE},
        {"[\"\xc3\xa9.service\"]", NO_PRINTABLE},
        /* not JSON */
        {"", NULL},
        {" \n", NULL},
        {"a.service", NULL},
        {"[a.service]", NULL},
        {"['a.service']", NULL},
        {"[\"a.service\" \"b.service\"]", NULL},
        {"[\"a.service\",]", NO_JSON},
        {"[,\"a.service\"]", NULL},
        {"[,]", NULL},
        {"[\"a\\x\"]", NULL},
        {"[\"a\nb\"]", NULL},
        {"[\"a.service\"}", NULL},
        {"// units\n[]", NULL},
        {"/* units */[]", NULL},
        {"[] // units", NULL},
        {"\xef\xbb\xbf[]", NULL},
        /* the array, and more */
        {"[]x", MORE},
        {"[] ]", MORE},
        {"[\"a.service\"],", NULL},
        {"[\"a.service\"] [\"b.service\"]", NULL},
        {"[\"a.service\"]\n\"b.service\"", NULL},
        {"[]{}", NULL},
        {"[]\n0", NULL},
        /* not UTF-8 */
        {"[\"\xff\"]", NO_UTF8},
        {"[\"\xc3\"]", NO_UTF8},
        {"[\"\xc3(\"]", NO_UTF8},
        {"[\"\xe2\x82\"]", NO_UTF8},
        {"[\"a.service\"]\xff", NULL},
        {"[]\xc3", NULL},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_test_message("case %zu", i);
        assert_refused(cases[i].text, strlen(cases[i].text), cases[i].why);
    }
}

/* A NUL byte at each place of a valid list, and behind it. */
static void test_nul(void)
{
    static const char text[] = "[\"a.service\", \"b.timer\"]\n";

    for (size_t at = 0; at < sizeof text; at++) {
        char changed[sizeof text];

        memcpy(changed, text, sizeof text);
        changed[at] = '\0';
        assert_refused(changed, sizeof changed, "it has a NUL byte");
    }
}

/* Each beginning of a valid list is refused, and the bytes behind the length given are not read. */
static void test_truncated(void)
{
    static const char text[] = "[\"openvpn-server@site.service\", \"a\\u0040b\", \"backup.timer\"]";
    const size_t length = sizeof text - 1;
    const char *why = NULL;
    struct health_list list = {0};

    for (size_t cut = 0; cut < length; cut++) {
        assert_refused(text, cut, NULL);
        /* where it was cut, the rest of it still lies behind the end */
        g_assert_cmpint(health_list_parse(text, cut, &list, &why), ==, -EBADMSG);
    }
    assert_refused("[\"a.service", strlen("[\"a.service"), CUT);
    g_assert_cmpint(health_list_parse("[\"a\"]x", 5, &list, &why), ==, 0);
    g_assert_cmpuint(list.length, ==, 1);
    health_list_clear(&list);
}

/* --- limits ---------------------------------------------------------------------------------- */

static char *make_list(size_t units, size_t name_length)
{
    GString *text = g_string_new("[");
    g_autofree char *name = g_strnfill(name_length, 'x');

    for (size_t i = 0; i < units; i++)
        g_string_append_printf(text, "%s\"%s\"", i > 0 ? "," : "", name);
    g_string_append(text, "]");
    return g_string_free(text, FALSE);
}

static void test_limits(void)
{
    static const struct {
        size_t units, name_length;
        const char *why; /* NULL: it is fine */
    } cases[] = {
        {1, 1, NULL},
        {1, 255, NULL},
        {1, 256, NO_LENGTH},
        {1, 60000, NO_LENGTH},
        {64, 1, NULL},
        {64, 255, NULL},
        {64, 256, NO_LENGTH},
        {65, 1, "it names more than 64 units"},
        {16000, 1, "it names more than 64 units"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = make_list(cases[i].units, cases[i].name_length);
        struct health_list list = {0};
        const char *why = NULL;

        if (cases[i].why) {
            assert_refused(text, strlen(text), cases[i].why);
            continue;
        }
        g_assert_cmpint(parse_exact(text, strlen(text), &list, &why), ==, 0);
        g_assert_cmpuint(list.length, ==, cases[i].units);
        for (size_t n = 0; n < list.length; n++)
            g_assert_cmpuint(strlen(list.units[n]), ==, cases[i].name_length);
        health_list_clear(&list);
    }
}

static void test_size(void)
{
    struct health_list list = {0};
    const char *why = NULL;
    g_autofree char *text = g_strnfill(65537, ' ');

    memcpy(text, "[\"a\"]", 5);
    g_assert_cmpint(parse_exact(text, 65536, &list, &why), ==, 0);
    g_assert_cmpuint(list.length, ==, 1);
    health_list_clear(&list);
    assert_refused(text, 65537, "it is larger than 64 KiB");
    /* deep nesting is refused before it exhausts the stack */
    memset(text, '[', 65536);
    assert_refused(text, 65536, "its JSON is nested too deeply");
}

/* --- files ----------------------------------------------------------------------------------- */

typedef struct {
    char *dir, *path, *other;
} Fixture;

static void fixture_up(Fixture *f, gconstpointer data)
{
    f->dir = g_dir_make_tmp("health-list-XXXXXX", NULL);
    g_assert_nonnull(f->dir);
    f->path = g_build_filename(f->dir, "health-required.json", NULL);
    f->other = g_build_filename(f->dir, "other", NULL);
}

static void fixture_down(Fixture *f, gconstpointer data)
{
    g_remove(f->path);
    g_remove(f->other);
    g_assert_cmpint(g_rmdir(f->dir), ==, 0);
    g_free(f->dir);
    g_free(f->path);
    g_free(f->other);
}

static void put(const char *path, const char *text, size_t length)
{
    g_assert_true(g_file_set_contents(path, text, (gssize)length, NULL));
}

static void assert_loaded(const Fixture *f, size_t length)
{
    struct health_list list = {.length = 77};
    const char *why = UNTOUCHED;

    g_assert_cmpint(health_list_load(f->path, &list, &why), ==, 0);
    g_assert_cmpuint(list.length, ==, length);
    g_assert_cmpstr(why, ==, UNTOUCHED);
    health_list_clear(&list);
}

/* @why NULL: the error says it all. */
static void assert_not_loaded(const Fixture *f, int error, const char *why)
{
    struct health_list list = {.units = untouched_units, .length = 77};
    const char *said = NULL;

    g_assert_cmpint(health_list_load(f->path, &list, &said), ==, error);
    g_assert_true(list.units == untouched_units && list.length == 77);
    g_assert_cmpint(said != NULL, ==, error == -EBADMSG);
    if (why)
        g_assert_cmpstr(said, ==, why);
}

static void test_load(Fixture *f, gconstpointer data)
{
    static const char text[] = "[\"a.service\",\"b.timer\"]\n";
    g_autofree char *large = g_strnfill(65537, ' ');

    assert_loaded(f, 0); /* there is none */
    put(f->path, "[]", 2);
    assert_loaded(f, 0);
    put(f->path, text, strlen(text));
    assert_loaded(f, 2);
    for (size_t cut = 0; cut < strlen(text) - 1; cut++) {
        put(f->path, text, cut);
        assert_not_loaded(f, -EBADMSG, NULL);
    }
    put(f->path, text, sizeof text);
    assert_not_loaded(f, -EBADMSG, "it has a NUL byte");
    memcpy(large, "[]", 2);
    put(f->path, large, 65536);
    assert_loaded(f, 0);
    put(f->path, large, 65537);
    assert_not_loaded(f, -EBADMSG, "it is larger than 64 KiB");
}

/* A list that somebody meant to be there is never taken for an empty one. */
static void test_not_a_file(Fixture *f, gconstpointer data)
{
    g_assert_cmpint(g_mkdir(f->path, 0700), ==, 0);
    assert_not_loaded(f, -EISDIR, NULL);
    g_assert_cmpint(g_rmdir(f->path), ==, 0);

    g_assert_cmpint(symlink(f->other, f->path), ==, 0);
    assert_not_loaded(f, -ELOOP, NULL); /* dangling */
    put(f->other, "[\"a.service\"]", 13);
    assert_not_loaded(f, -ELOOP, NULL);
    g_assert_cmpint(g_unlink(f->path), ==, 0);
    g_assert_cmpint(symlink("/dev/null", f->path), ==, 0);
    assert_not_loaded(f, -ELOOP, NULL);
    g_assert_cmpint(g_unlink(f->path), ==, 0);

    /* nobody writes to it, and yet there is an end to waiting */
    g_assert_cmpint(mkfifo(f->path, 0600), ==, 0);
    assert_not_loaded(f, -EBADMSG, NULL);
}

static void test_no_dir(Fixture *f, gconstpointer data)
{
    g_autofree char *path = g_steal_pointer(&f->path);

    f->path = g_build_filename(path, "below", NULL);
    assert_loaded(f, 0);
    put(path, "[]", 2);
    assert_not_loaded(f, -ENOTDIR, NULL);
    g_assert_cmpint(g_unlink(path), ==, 0);
}

static void add(const char *path, void (*test)(Fixture *, gconstpointer))
{
    g_test_add(path, Fixture, NULL, fixture_up, test, fixture_down);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/health-list/valid", test_valid);
    g_test_add_func("/health-list/malformed", test_malformed);
    g_test_add_func("/health-list/nul", test_nul);
    g_test_add_func("/health-list/truncated", test_truncated);
    g_test_add_func("/health-list/limits", test_limits);
    g_test_add_func("/health-list/size", test_size);
    add("/health-list/load", test_load);
    add("/health-list/not-a-file", test_not_a_file);
    add("/health-list/no-directory", test_no_dir);
    return g_test_run();
}
