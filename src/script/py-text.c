/* SPDX-License-Identifier: MIT */
#include "script/py-text.h"

char *sp_py_utf8(PyObject *object)
{
    PyObject *text = PyObject_Str(object);
    PyObject *utf8 = text ? PyUnicode_AsEncodedString(text, "utf-8", "backslashreplace") : NULL;
    GString *out = NULL;

    Py_XDECREF(text);
    if (!utf8)
        return NULL;
    out = g_string_new_len(PyBytes_AS_STRING(utf8), PyBytes_GET_SIZE(utf8));
    Py_DECREF(utf8);
    if (memchr(out->str, 0, out->len)) {
        g_autoptr(GString) raw = out;

        out = g_string_sized_new(raw->len);
        for (gsize i = 0; i < raw->len; i++) {
            if (raw->str[i])
                g_string_append_c(out, raw->str[i]);
            else
                g_string_append(out, "\\x00");
        }
    }
    return g_string_free(out, FALSE);
}
