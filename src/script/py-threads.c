/* SPDX-License-Identifier: MIT */
#include "script/py-threads.h"

#include "base/loop.h"
#include "script/py-convert.h"
#include "script/py-polling.h"

#include <glib-unix.h>
#include <unistd.h>

/* How often a wait checks for signals that it has not been told of. */
#define ASK_US (G_TIME_SPAN_SECOND / 4)

/* Of the wait that this thread is in; NULL if it is in none that releases the GIL. */
static __thread PyThreadState *released;
static __thread SpPyState *waiting;
static __thread gint64 asked_us;
static __thread guint seen_signals;

void sp_py_hold(void)
{
    while (!sp_loop_try_hold()) {
        Py_BEGIN_ALLOW_THREADS;
        sp_loop_hold();
        sp_loop_release();
        Py_END_ALLOW_THREADS;
    }
}

void sp_py_release(void)
{
    sp_loop_release();
}

guint sp_py_suspend(void)
{
    return sp_loop_suspend();
}

void sp_py_resume(guint depth)
{
    if (depth == 0)
        return;
    sp_py_hold();
    sp_loop_resume(depth);
}

SpPyState *sp_py_current_state(void)
{
    /* borrowed */
    PyObject *module = PyDict_GetItemString(PyImport_GetModuleDict(), "slotproof");

    return module ? sp_py_module_state(module) : NULL;
}

/* Whether a signal has come that the main context has not dispatched yet. */
static bool has_unread_signal(const SpPyState *state)
{
    GPollFD fd = {.fd = state->signal_fds[0], .events = G_IO_IN};

    return state->signal_source != 0 && g_poll(&fd, 1, 0) > 0;
}

static void begin_wait(void)
{
    waiting = Py_IsInitialized() && PyGILState_Check() ? sp_py_current_state() : NULL;
    if (waiting && !waiting->is_running)
        waiting = NULL;
    /* asking Python releases the loop, which takes longer than many waits: only do it with a reason
     */
    asked_us = !waiting || has_unread_signal(waiting) ? 0 : g_get_monotonic_time();
    released = waiting ? PyEval_SaveThread() : NULL;
}

static void end_wait(void)
{
    guint depth;

    waiting = NULL;
    if (!released)
        return;
    depth = sp_loop_suspend();
    PyEval_RestoreThread(g_steal_pointer(&released));
    sp_py_resume(depth);
}

/* Whether to ask Python for signals, or to check conditions: both need the GIL. */
static bool must_ask_python(gint64 now)
{
    return asked_us == 0 || now - asked_us >= ASK_US || seen_signals != waiting->signals ||
           (sp_py_is_main_thread() && waiting->is_waiting && sp_py_condition_is_due(waiting));
}

static bool has_signal(void)
{
    guint depth;
    bool has_raised;

    if (PyErr_Occurred())
        return true;
    depth = sp_py_suspend();
    has_raised = PyErr_CheckSignals() < 0;
    sp_py_resume(depth);
    return has_raised;
}

static bool is_script_interrupted(void *data)
{
    gint64 now = g_get_monotonic_time();
    SpPyState *state = waiting;
    bool is_over;

    /* only waits of a running script are interrupted by its signals */
    if (!state || !must_ask_python(now))
        return false;
    seen_signals = state->signals;
    end_wait();
    is_over = has_signal() ||
              (sp_py_is_main_thread() && state->is_waiting && !sp_py_check_conditions(state));
    begin_wait();
    asked_us = now;
    return is_over;
}

SpInterrupt sp_script_interrupt(void)
{
    return (SpInterrupt){.func = is_script_interrupted, .begin = begin_wait, .end = end_wait};
}

/* Python writes a byte for each signal, whichever thread it came in. */
static gboolean on_python_signal(int fd, GIOCondition condition, void *data)
{
    SpPyState *state = data;
    char bytes[64];

    while (read(fd, bytes, sizeof bytes) > 0)
        ;
    state->signals++;
    return G_SOURCE_CONTINUE;
}

/* @fd is negative to unset it. */
static bool set_wakeup_fd(int fd)
{
    PyObject *module = PyImport_ImportModule("signal");
    PyObject *result = module ? PyObject_CallMethod(module, "set_wakeup_fd", "i", fd) : NULL;

    Py_XDECREF(result);
    Py_XDECREF(module);
    return result != NULL;
}

static bool watch_signals(SpPyState *state)
{
    if (!g_unix_open_pipe(state->signal_fds, FD_CLOEXEC, NULL))
        return PyErr_SetFromErrno(PyExc_OSError) != NULL;
    g_unix_set_fd_nonblocking(state->signal_fds[0], TRUE, NULL);
    g_unix_set_fd_nonblocking(state->signal_fds[1], TRUE, NULL);
    state->signal_source = g_unix_fd_add(state->signal_fds[0], G_IO_IN, on_python_signal, state);
    return set_wakeup_fd(state->signal_fds[1]);
}

static void unwatch_signals(SpPyState *state)
{
    if (state->signal_source == 0)
        return;
    if (!set_wakeup_fd(-1))
        PyErr_Clear();
    g_source_remove(state->signal_source);
    state->signal_source = 0;
    close(state->signal_fds[0]);
    close(state->signal_fds[1]);
}

/* threading.excepthook: an assertion that fails in a thread is a failure of the script. */
static PyObject *keep_exception(PyObject *module, PyObject *args)
{
    SpPyState *state = sp_py_module_state(module);
    PyObject *value = PyObject_GetAttrString(args, "exc_value");
    PyObject *thread = PyObject_GetAttrString(args, "thread");
    PyObject *text = value ? PyObject_Str(value) : NULL;
    PyObject *name = thread && thread != Py_None ? PyObject_GetAttrString(thread, "name") : NULL;
    const char *words = text ? PyUnicode_AsUTF8(text) : NULL;
    const char *which = name ? PyUnicode_AsUTF8(name) : NULL;

    PyErr_Clear();
    if (value && !PyErr_GivenExceptionMatches(value, PyExc_SystemExit)) {
        sp_log(state->config->log, NULL, "exception in thread '%s': %s: %s", which ? which : "?",
            Py_TYPE(value)->tp_name, words ? words : "");
        if (!state->thread_failure && value != Py_None)
            state->thread_failure = Py_NewRef(value);
    }
    Py_XDECREF(name);
    Py_XDECREF(text);
    Py_XDECREF(thread);
    Py_XDECREF(value);
    Py_RETURN_NONE;
}
SP_PY_HELD_PLAIN(keep_exception)

static bool watch_threads(PyObject *module)
{
    static PyMethodDef hook = {"excepthook", held_keep_exception, METH_O, NULL};
    PyObject *threading = PyImport_ImportModule("threading");
    PyObject *function = threading ? PyCFunction_New(&hook, module) : NULL;
    bool is_good = function && PyObject_SetAttrString(threading, "excepthook", function) >= 0;

    Py_XDECREF(function);
    Py_XDECREF(threading);
    return is_good;
}

bool sp_py_threads_start(SpPyState *state)
{
    PyObject *module = PyImport_ImportModule("slotproof");
    bool is_good = module && watch_threads(module) && watch_signals(state);

    Py_XDECREF(module);
    state->users = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    state->is_running = is_good;
    if (is_good)
        sp_loop_start();
    return is_good;
}

/* The name of a running thread that is neither the main one nor a daemon; NULL if there is none, or
 * with an exception. */
static PyObject *find_left_thread(void)
{
    PyObject *threading = PyImport_ImportModule("threading");
    PyObject *list = threading ? PyObject_CallMethod(threading, "enumerate", NULL) : NULL;
    PyObject *main = list ? PyObject_CallMethod(threading, "main_thread", NULL) : NULL;
    PyObject *name = NULL;

    for (Py_ssize_t i = 0; main && i < PyList_GET_SIZE(list) && !name; i++) {
        PyObject *thread = PyList_GET_ITEM(list, i);
        PyObject *is_daemon = PyObject_GetAttrString(thread, "daemon");

        if (thread != main && is_daemon && !PyObject_IsTrue(is_daemon))
            name = PyObject_GetAttrString(thread, "name");
        Py_XDECREF(is_daemon);
    }
    Py_XDECREF(main);
    Py_XDECREF(list);
    Py_XDECREF(threading);
    return name;
}

void sp_py_threads_stop(SpPyState *state)
{
    PyObject *name = find_left_thread();
    guint depth;

    state->has_left_threads = name != NULL;
    Py_XDECREF(name);
    PyErr_Clear();
    state->is_running = false;
    depth = sp_py_suspend();
    /* a wait of another thread may need the GIL to end */
    Py_BEGIN_ALLOW_THREADS;
    sp_loop_stop();
    Py_END_ALLOW_THREADS;
    sp_py_resume(depth);
    unwatch_signals(state);
    g_clear_pointer(&state->users, g_hash_table_unref);
}

/* The threads of concurrent.futures wait for work until Python ends them at its own end. */
static void end_executors(void)
{
    PyObject *module =
        PyDict_GetItemString(PyImport_GetModuleDict(), "concurrent.futures.thread"); /* borrowed */
    guint depth = sp_py_suspend();
    PyObject *result = module ? PyObject_CallMethod(module, "_python_exit", NULL) : NULL;

    sp_py_resume(depth);
    Py_XDECREF(result);
}

/* Assume that what ended a thread led to the script's own failure. */
static void add_context(PyObject *value, PyObject *failure)
{
    PyObject *context = PyException_GetContext(value);

    if (!context && value != failure)
        PyException_SetContext(value, Py_NewRef(failure));
    Py_XDECREF(context);
}

bool sp_py_threads_check(SpPyState *state)
{
    PyObject *type, *value, *trace, *name;

    PyErr_Fetch(&type, &value, &trace);
    PyErr_NormalizeException(&type, &value, &trace);
    if (type && sp_py_is_good_exit(type, value)) {
        Py_CLEAR(type);
        Py_CLEAR(value);
        Py_CLEAR(trace);
    }
    if (!type) {
        end_executors();
        PyErr_Fetch(&type, &value, &trace);
        PyErr_NormalizeException(&type, &value, &trace);
    }
    name = find_left_thread();
    if (type && state->thread_failure)
        add_context(value, state->thread_failure);
    if (type)
        PyErr_Restore(type, value, trace);
    else if (state->thread_failure)
        PyErr_Restore(Py_NewRef((PyObject *)Py_TYPE(state->thread_failure)),
            Py_NewRef(state->thread_failure), PyException_GetTraceback(state->thread_failure));
    else if (name)
        PyErr_Format(PyExc_RuntimeError,
            "the script has ended, but its thread '%U' still runs: join() it, or start it with "
            "daemon=True",
            name);
    Py_XDECREF(name);
    return !PyErr_Occurred();
}

typedef struct {
    GThread *thread;
    guint depth;
} User;

bool sp_py_claim(SpPyState *state, SpMachine *machine)
{
    User *user;

    if (!state->is_running) {
        PyErr_Format(PyExc_RuntimeError, "machine '%s' takes no calls: the script has ended",
            sp_machine_name(machine));
        return false;
    }
    user = g_hash_table_lookup(state->users, machine);
    if (user && user->thread != g_thread_self()) {
        PyErr_Format(PyExc_RuntimeError,
            "machine '%s' is in use: another thread is in a call about it, and a machine takes one "
            "at a time",
            sp_machine_name(machine));
        return false;
    }
    if (!user) {
        user = g_new0(User, 1);
        user->thread = g_thread_self();
        g_hash_table_insert(state->users, machine, user);
    }
    user->depth++;
    return true;
}

void sp_py_unclaim(SpPyState *state, SpMachine *machine)
{
    User *user = state->users ? g_hash_table_lookup(state->users, machine) : NULL;

    if (user && user->thread == g_thread_self() && --user->depth == 0)
        g_hash_table_remove(state->users, machine);
}
