/* SPDX-License-Identifier: MIT */

/* The prompt on the user's terminal: a rich one where there is any, or Python's own console, with
 * readline. */

#include "script/py-prompt.h"
#include "script/py-prompt-rich.h"

#include <glib-unix.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define HISTORY_LINES 10000
/* By when a signal is noticed that came in just before poll() began. */
#define SIGNAL_MS 250

static gboolean on_typed(int fd, GIOCondition condition, void *data)
{
    *(bool *)data = true;
    return G_SOURCE_REMOVE;
}

static gboolean on_tick(void *data)
{
    return G_SOURCE_CONTINUE;
}

static void on_alarm(int number)
{
}

/*
 * Whether a signal is there that Python raises an exception for. It stays to be raised: readline
 * asks for it when its own select() is interrupted, which the alarm sees to.
 */
static bool signal_has_come(void)
{
    const struct itimerval soon = {.it_value.tv_usec = 2000};
    PyGILState_STATE held = PyGILState_Ensure();
    bool has_come = PyErr_CheckSignals() < 0;

    if (has_come) {
        int number = PyErr_ExceptionMatches(PyExc_KeyboardInterrupt) ? SIGINT : SIGTERM;
        PyErr_Clear();
        PyErr_SetInterruptEx(number);
        setitimer(ITIMER_REAL, &soon, NULL);
    }
    PyGILState_Release(held);
    return has_come;
}

/* At the prompt one sees in a call that a machine boots, and while one types nothing comes between.
 * Who says serial_stdout_off() sees nothing. */
static void show_consoles(SpPyState *state, bool are_shown)
{
    SpLog *log = state->config->log;

    if (are_shown && state->is_showing)
        sp_log_show_consoles(log, true);
    if (!are_shown && state->is_showing) {
        state->is_showing = sp_log_shows_consoles(log);
        sp_log_show_consoles(log, false);
    }
}

/* Until @fd is readable or a signal has come. Without the interpreter's lock. */
static void wait_for_fd(int fd)
{
    bool is_typed = false;
    guint source = g_unix_fd_add(fd, G_IO_IN | G_IO_HUP | G_IO_ERR, on_typed, &is_typed);
    guint tick = g_timeout_add(SIGNAL_MS, on_tick, NULL);

    while (!is_typed && !signal_has_come())
        g_main_context_iteration(NULL, TRUE);
    if (!is_typed)
        g_source_remove(source);
    g_source_remove(tick);
}

/* Python's input hook: called while readline waits for a key. */
static int wait_for_key(void)
{
    PyGILState_STATE held = PyGILState_Ensure();
    PyObject *module = PyImport_ImportModule("slotproof");
    SpPyState *state = module ? sp_py_module_state(module) : NULL;

    PyErr_Clear();
    if (state)
        show_consoles(state, false);
    PyGILState_Release(held);
    wait_for_fd(STDIN_FILENO);
    if (state)
        show_consoles(state, true);
    held = PyGILState_Ensure();
    Py_XDECREF(module);
    PyGILState_Release(held);
    return 0;
}

/* The same for a rich prompt, with a descriptor of its choice. */
static PyObject *wait_for_prompt(PyObject *module, PyObject *number)
{
    SpPyState *state = sp_py_module_state(module);
    int fd = PyObject_AsFileDescriptor(number);
    PyThreadState *thread;

    if (fd < 0)
        return NULL;
    show_consoles(state, false);
    thread = PyEval_SaveThread();
    wait_for_fd(fd);
    PyEval_RestoreThread(thread);
    show_consoles(state, true);
    return PyErr_CheckSignals() < 0 ? NULL : Py_NewRef(Py_None);
}

static PyMethodDef wait_method = {"wait", wait_for_prompt, METH_O, NULL};

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

/* The module readline, set up for @names; NULL where there is none, or no terminal. */
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
            sp_log(state->config->log, NULL, "the history can't be kept in %s",
                state->config->history);
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

static bool interact(PyObject *names, const char *banner)
{
    PyObject *module = PyImport_ImportModule("code");
    PyObject *console =
        module ? PyObject_CallMethod(module, "InteractiveConsole", "O", names) : NULL;
    PyObject *result = console ? PyObject_CallMethod(console, "interact", "ss", banner, "") : NULL;

    Py_XDECREF(result);
    Py_XDECREF(console);
    Py_XDECREF(module);
    return result != NULL;
}

bool sp_py_prompt(SpPyState *state, PyObject *names, const char *banner)
{
    const struct sigaction quiet = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    int (*former_hook)(void) = PyOS_InputHook;
    PyObject *module = PyImport_ImportModule("slotproof");
    PyObject *wait = module ? PyCFunction_New(&wait_method, module) : NULL;
    PyObject *readline = NULL;
    PyObject *output = swap_stream("stdout", "__stdout__");
    PyObject *errors = swap_stream("stderr", "__stderr__");
    PyObject *type, *value, *trace;
    bool was_shown = sp_log_shows_consoles(state->config->log), was_showing = state->is_showing;
    struct sigaction former;

    state->is_showing = !was_shown;
    show_consoles(state, true);
    sigaction(SIGALRM, &quiet, &former);
    if (wait && !sp_py_prompt_rich(state, names, banner, wait)) {
        readline = start_readline(state, names);
        PyOS_InputHook = wait_for_key;
        interact(names, banner);
        PyOS_InputHook = former_hook;
    }
    PyErr_Fetch(&type, &value, &trace);
    /* the last alarm has come before it kills us */
    setitimer(ITIMER_REAL, &(const struct itimerval){0}, NULL);
    sigaction(SIGALRM, &former, NULL);
    end_readline(state, readline);
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

    for (guint i = 0; i < state->machines->len; i++)
        g_string_append_printf(
            text, "  %s\n", sp_machine_name(g_ptr_array_index(state->machines, i)));
    g_string_append(text, "test_script() runs the test, help(Machine) lists what machines can do.\n"
                          "Ctrl-D ends, and the machines with it.");
    return g_string_free(text, FALSE);
}

PyObject *sp_py_test_script(PyObject *module, PyObject *unused)
{
    SpPyState *state = sp_py_module_state(module);
    g_autofree char *source = NULL;
    g_autoptr(GError) error = NULL;
    PyObject *code, *result;

    if (!sp_py_is_main_thread())
        return NULL;
    /* read anew each time: it may have been edited meanwhile */
    if (!g_file_get_contents(state->config->path, &source, NULL, &error))
        return PyErr_Format(PyExc_OSError, "%s", error->message);
    code = Py_CompileString(source, state->config->path, Py_file_input);
    if (!code)
        return NULL;
    result = PyEval_EvalCode(code, state->globals, state->globals);
    Py_DECREF(code);
    if (!result)
        return NULL;
    Py_DECREF(result);
    Py_RETURN_NONE;
}

PyObject *sp_py_breakpoint(PyObject *module, PyObject *args, PyObject *kwargs)
{
    SpPyState *state = sp_py_module_state(module);
    PyObject *names = PyDict_New(), *globals = PyEval_GetGlobals(), *locals = PyEval_GetLocals();
    bool is_good;

    if (!names || !sp_py_is_main_thread() || (globals && PyDict_Update(names, globals) < 0) ||
        (locals && PyDict_Update(names, locals) < 0)) {
        Py_XDECREF(names);
        return NULL;
    }
    if (state->config->prompt == SP_PROMPT_NEVER) {
        sp_log(state->config->log, NULL,
            "debug.breakpoint(): passed over, since there is no terminal: "
            "see 'slotproof run --debug-on-failure' and 'slotproof debug'");
        is_good = true;
    } else {
        is_good = sp_py_prompt(state, names, "debug.breakpoint(): Ctrl-D goes on with the script.");
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
