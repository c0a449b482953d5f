/* SPDX-License-Identifier: MIT */

/* The prompt on the user's terminal: ptpython or IPython if installed, or Python's own console with
 * readline. */

#include "script/py-prompt.h"
#include "script/api.h"
#include "script/py-prompt-rich.h"

#include "script/py-threads.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define HISTORY_LINES 10000
/* How long it takes at most to notice a signal that came just before poll() began. */
#define SIGNAL_MS 250

/* Consoles are shown during a call, where one sees a machine boot, but not while the user types.
 * After serial_stdout_off() they are not shown at all. */
static void show_consoles(SpPyState *state, bool are_shown)
{
    SpLog *log = state->config->log;

    sp_py_hold();
    if (are_shown && state->is_showing)
        sp_log_show_consoles(log, true);
    if (!are_shown && state->is_showing) {
        state->is_showing = sp_log_shows_consoles(log);
        sp_log_show_consoles(log, false);
    }
    sp_py_release();
}

/* For ptpython and IPython: wait until a descriptor of their choice is readable. */
static PyObject *wait_for_prompt(PyObject *module, PyObject *number)
{
    struct pollfd pollfd = {.fd = PyObject_AsFileDescriptor(number), .events = POLLIN};
    SpPyState *state = sp_py_module_state(module);
    int r = 0;

    if (pollfd.fd < 0)
        return NULL;
    show_consoles(state, false);
    while (r <= 0 && PyErr_CheckSignals() == 0) {
        Py_BEGIN_ALLOW_THREADS;
        r = poll(&pollfd, 1, SIGNAL_MS);
        Py_END_ALLOW_THREADS;
    }
    show_consoles(state, true);
    return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
}

/* For Python's own console: the function that reads a line. */
static PyObject *read_line(PyObject *module, PyObject *args)
{
    SpPyState *state = sp_py_module_state(module);
    PyObject *input = PyDict_GetItemString(PyEval_GetBuiltins(), "input"); /* borrowed */
    PyObject *line = NULL;

    show_consoles(state, false);
    if (input)
        line = PyObject_Call(input, args, NULL);
    show_consoles(state, true);
    return line;
}

static void on_alarm(int number)
{
}

/*
 * Python's input hook, which is called ten times a second while readline waits for a key. readline
 * only checks for signals if its select() was interrupted, which a signal just before it does not
 * do: the alarm interrupts it.
 */
static int interrupt_select(void)
{
    const struct itimerval soon = {.it_value.tv_usec = 2000};
    PyGILState_STATE held = PyGILState_Ensure();
    SpPyState *state = sp_py_current_state();

    if (state && state->prompt_signals != state->signals) {
        state->prompt_signals = state->signals;
        setitimer(ITIMER_REAL, &soon, NULL);
    }
    PyGILState_Release(held);
    return 0;
}

static PyMethodDef wait_method = {"wait", wait_for_prompt, METH_O, NULL};
static PyMethodDef line_method = {"raw_input", read_line, METH_VARARGS, NULL};

/* module.function(arguments); true unless that raised an exception, which is cleared. */
static bool try_call(PyObject *module, const char *function, const char *format, ...)
{
    PyObject *callable = module ? PyObject_GetAttrString(module, function) : NULL;
    PyObject *arguments = NULL, *result = NULL;
    va_list list;

    va_start(list, format);
    if (callable)
        arguments = Py_VaBuildValue(format, list);
    va_end(list);
    if (arguments)
        result = PyObject_CallObject(callable, arguments);
    PyErr_Clear();
    Py_XDECREF(callable);
    Py_XDECREF(arguments);
    Py_XDECREF(result);
    return result != NULL;
}

/* The module readline, set up for @names; NULL if there is none, or no terminal. */
static PyObject *start_readline(SpPyState *state, PyObject *names)
{
    bool is_terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    PyObject *readline = is_terminal ? PyImport_ImportModule("readline") : NULL;
    PyObject *completion = readline ? PyImport_ImportModule("rlcompleter") : NULL;
    PyObject *completer =
        completion ? PyObject_CallMethod(completion, "Completer", "O", names) : NULL;
    PyObject *function = completer ? PyObject_GetAttrString(completer, "complete") : NULL;

    PyErr_Clear();
    if (function)
        try_call(readline, "set_completer", "(O)", function);
    try_call(readline, "parse_and_bind", "(s)", "tab: complete");
    try_call(readline, "clear_history", "()");
    try_call(readline, "set_history_length", "(i)", HISTORY_LINES);
    if (state->config->history)
        try_call(readline, "read_history_file", "(s)", state->config->history);
    Py_XDECREF(function);
    Py_XDECREF(completer);
    Py_XDECREF(completion);
    return readline;
}

static void end_readline(SpPyState *state, PyObject *readline)
{
    g_autofree char *dir = NULL;

    if (!readline)
        return;
    if (state->config->history) {
        dir = g_path_get_dirname(state->config->history);
        g_mkdir_with_parents(dir, 0700);
        if (!try_call(readline, "write_history_file", "(s)", state->config->history))
            sp_log(
                state->config->log, NULL, "can't write the history to %s", state->config->history);
    }
    try_call(readline, "set_completer", "()");
    Py_DECREF(readline);
}

/* sys.@name becomes sys.@source; returns what it was. */
static PyObject *swap_stream(const char *name, const char *source)
{
    PyObject *former = Py_XNewRef(PySys_GetObject(name));
    PyObject *real = PySys_GetObject(source);

    if (real)
        PySys_SetObject(name, real);
    return former;
}

static void put_back(const char *name, PyObject *former)
{
    PySys_SetObject(name, former);
    Py_XDECREF(former);
}

static bool interact(PyObject *names, const char *banner, PyObject *read)
{
    PyObject *module = PyImport_ImportModule("code");
    PyObject *console =
        module ? PyObject_CallMethod(module, "InteractiveConsole", "O", names) : NULL;
    PyObject *result = NULL;

    if (console && PyObject_SetAttrString(console, "raw_input", read) >= 0)
        result = PyObject_CallMethod(console, "interact", "ss", banner, "");
    Py_XDECREF(result);
    Py_XDECREF(console);
    Py_XDECREF(module);
    return result != NULL;
}

bool sp_py_prompt(SpPyState *state, PyObject *names, const char *banner)
{
    PyObject *module = PyImport_ImportModule("slotproof");
    PyObject *wait = module ? PyCFunction_New(&wait_method, module) : NULL;
    PyObject *read = module ? PyCFunction_New(&line_method, module) : NULL;
    PyObject *readline = NULL;
    PyObject *output = swap_stream("stdout", "__stdout__");
    PyObject *errors = swap_stream("stderr", "__stderr__");
    bool was_shown = sp_log_shows_consoles(state->config->log), was_showing = state->is_showing;
    const struct sigaction quiet = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    int (*former_hook)(void) = PyOS_InputHook;
    PyObject *type, *value, *trace;
    struct sigaction former;
    guint depth;

    state->is_showing = !was_shown;
    show_consoles(state, true);
    depth = sp_py_suspend();
    if (wait && read && !sp_py_prompt_rich(state, names, banner, wait)) {
        readline = start_readline(state, names);
        sigaction(SIGALRM, &quiet, &former);
        PyOS_InputHook = interrupt_select;
        interact(names, banner, read);
        PyOS_InputHook = former_hook;
        /* a pending alarm must not kill us */
        setitimer(ITIMER_REAL, &(const struct itimerval){0}, NULL);
        sigaction(SIGALRM, &former, NULL);
    }
    sp_py_resume(depth);
    PyErr_Fetch(&type, &value, &trace);
    end_readline(state, readline);
    Py_XDECREF(read);
    Py_XDECREF(wait);
    Py_XDECREF(module);
    state->is_showing = was_showing;
    sp_log_show_consoles(state->config->log, was_shown);
    put_back("stdout", output);
    put_back("stderr", errors);
    PyErr_Restore(type, value, trace);
    return !PyErr_Occurred();
}

char *sp_py_prompt_banner(SpPyState *state)
{
    GString *text = g_string_new("Python, with the test's names. The machines are off:\n");

    for (guint i = 0; i < state->machines->len; i++) {
        g_autofree char *name =
            sp_script_python_name(sp_machine_name(g_ptr_array_index(state->machines, i)));
        g_string_append_printf(text, "  %s\n", name);
    }
    g_string_append(text, "test_script() runs the test, help(Machine) lists what machines can do.\n"
                          "Ctrl-D ends, and the machines with it.");
    return g_string_free(text, FALSE);
}

static bool is_allowed(const char *what)
{
    if (!sp_py_is_main_thread())
        PyErr_Format(PyExc_RuntimeError, "%s can only be called in the script's main thread", what);
    return !PyErr_Occurred();
}

PyObject *sp_py_script_test_script(SpPyState *state)
{
    g_autofree char *source = NULL;
    g_autoptr(GError) error = NULL;
    PyObject *code, *result;
    guint depth;

    if (!is_allowed("test_script()"))
        return NULL;
    /* read each time: it may have been edited */
    if (!g_file_get_contents(state->config->path, &source, NULL, &error))
        return PyErr_Format(PyExc_OSError, "%s", error->message);
    code = Py_CompileString(source, state->config->path, Py_file_input);
    if (!code)
        return NULL;
    depth = sp_py_suspend();
    result = PyEval_EvalCode(code, state->globals, state->globals);
    sp_py_resume(depth);
    Py_DECREF(code);
    if (!result)
        return NULL;
    Py_DECREF(result);
    Py_RETURN_NONE;
}

PyObject *sp_py_script_breakpoint(SpPyState *state)
{
    PyObject *names = PyDict_New(), *globals = PyEval_GetGlobals(), *locals = PyEval_GetLocals();
    bool is_good;

    if (!names || !is_allowed("debug.breakpoint()") ||
        (globals && PyDict_Update(names, globals) < 0) ||
        (locals && PyDict_Update(names, locals) < 0)) {
        Py_XDECREF(names);
        return NULL;
    }
    if (state->config->prompt == SP_PROMPT_NEVER) {
        sp_log(state->config->log, NULL,
            "debug.breakpoint(): ignored, because there is no terminal: "
            "see 'slotproof run --debug-on-failure' and 'slotproof debug'");
        is_good = true;
    } else {
        is_good = sp_py_prompt(state, names, "debug.breakpoint(): Ctrl-D continues the script.");
    }
    Py_DECREF(names);
    return is_good ? Py_NewRef(Py_None) : NULL;
}

PyObject *sp_py_debug_new(PyObject *module)
{
    PyObject *types = PyImport_ImportModule("types");
    PyObject *debug = types ? PyObject_CallMethod(types, "SimpleNamespace", NULL) : NULL;
    PyObject *function = debug ? PyObject_GetAttrString(module, "breakpoint") : NULL;

    if (debug && (!function || PyObject_SetAttrString(debug, "breakpoint", function) < 0))
        Py_CLEAR(debug);
    Py_XDECREF(function);
    Py_XDECREF(types);
    return debug;
}
