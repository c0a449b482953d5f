/* SPDX-License-Identifier: MIT */
#include "script/py-chain.h"

/* How many are reported at either end, and how many are looked at. */
#define END_MAX 8u
#define LINKS_MAX 100000u

static bool is_suppressed(PyObject *value)
{
    PyObject *flag = PyObject_GetAttrString(value, "__suppress_context__");
    bool is_true = flag && PyObject_IsTrue(flag) == 1;

    Py_XDECREF(flag);
    PyErr_Clear();
    return is_true;
}

/* The exception that led to @value, borrowed from it; NULL if there is none. */
static PyObject *find_former(PyObject *value, const GHashTable *seen, SpPyLinkKind *ret_kind)
{
    PyObject *cause = PyException_GetCause(value);
    PyObject *context = PyException_GetContext(value);
    PyObject *former = NULL;

    if (cause && !g_hash_table_contains((GHashTable *)seen, cause)) {
        former = cause;
        *ret_kind = SP_PY_CAUSE;
    } else if (context && !is_suppressed(value) &&
               !g_hash_table_contains((GHashTable *)seen, context)) {
        former = context;
        *ret_kind = SP_PY_CONTEXT;
    }
    Py_XDECREF(cause);
    Py_XDECREF(context);
    return former;
}

GArray *sp_py_chain(PyObject *value, GHashTable *seen)
{
    g_autoptr(GArray) all = g_array_new(FALSE, FALSE, sizeof(SpPyLink));
    GArray *chain = g_array_new(FALSE, FALSE, sizeof(SpPyLink));
    SpPyLinkKind kind = SP_PY_CONTEXT;
    guint left_out;

    if (g_hash_table_contains(seen, value))
        return chain;
    while (value && all->len < LINKS_MAX) {
        SpPyLink link = {.value = value};

        g_hash_table_add(seen, value);
        value = find_former(value, seen, &kind);
        link.kind = kind;
        g_array_append_val(all, link);
    }
    left_out = all->len > 2 * END_MAX ? all->len - 2 * END_MAX : 0;
    for (guint i = all->len; i > 0; i--) {
        SpPyLink link = g_array_index(all, SpPyLink, i - 1);

        if (left_out > 0 && chain->len == END_MAX) {
            i -= left_out;
            link = g_array_index(all, SpPyLink, i - 1);
            link.left_out = left_out;
            left_out = 0;
        }
        g_array_append_val(chain, link);
    }
    return chain;
}
