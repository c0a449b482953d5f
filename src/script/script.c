/* SPDX-License-Identifier: MIT */
#include "script/script.h"

#include "base/error.h"
#include "script/api.h"
#include "script/py-prompt.h"
#include "script/py-threads.h"

#include <signal.h>
#include <string.h>

#define SCRIPT_SIZE_MAX (4u * 1024 * 1024)

#define NAME_MAX_LENGTH 64

char *sp_script_python_name(const char *name)
{
    return g_strdelimit(g_strdup(name), "-", '_');
}

bool sp_script_is_same_name(const char *a, const char *b)
{
    g_autofree char *name_a = sp_script_python_name(a);
    g_autofree char *name_b = sp_script_python_name(b);

    return g_str_equal(name_a, name_b);
}

/* Letters, digits, '_' and '-'; those that a name can begin with are first. */
static bool is_spelled_well(const char *name)
{
    if (!g_ascii_isalpha(*name) && *name != '_')
        return false;
    for (const char *p = name; *p; p++) {
        if (!g_ascii_isalnum(*p) && *p != '_' && *p != '-')
            return false;
    }
    return strlen(name) <= NAME_MAX_LENGTH;
}

/* Whether @name is that of a network, such as vlan1. */
static bool is_vlan(const char *name)
{
    return g_str_has_prefix(name, "vlan") && name[4] &&
           strspn(name + 4, "0123456789") == strlen(name + 4);
}

const char *sp_script_name_fault(const char *name)
{
    g_autofree char *python_name = sp_script_python_name(name);

    /* if there is only one machine, it is `machine` anyway */
    if (g_str_equal(name, "machine"))
        return NULL;
    if (!is_spelled_well(name))
        return "a name for Python: letters, digits, '_' and '-', no digit or '-' first, 64 at most";
    if (g_strv_contains(sp_script_taken_names, python_name) || is_vlan(python_name) ||
        g_str_has_prefix(python_name, "__"))
        return "another name: this one means something else in a script";
    return NULL;
}

static PyObject *end_prompt(PyObject *module, PyObject *args)
{
    PyErr_SetString(PyExc_SystemExit, "SIGTERM");
    return NULL;
}

static bool catch_signal(PyObject *module, int number, PyObject *handler)
{
    PyObject *result = PyObject_CallMethod(module, "signal", "iO", number, handler);

    Py_XDECREF(result);
    return result != NULL;
}

/* SIGTERM, and SIGHUP unless it is ignored, end a script as SIGINT does, with its machines and its
 * log in order. They also end a prompt, which SIGINT does not. */
static bool catch_signals(const SpScriptConfig *config)
{
    static PyMethodDef end = {"end_prompt", end_prompt, METH_VARARGS, NULL};
    PyObject *module = PyImport_ImportModule("signal");
    PyObject *handler = module && config->prompt == SP_PROMPT_ONLY ? PyCFunction_New(&end, NULL)
                        : module ? PyObject_GetAttrString(module, "default_int_handler")
                                 : NULL;
    bool is_good = handler && catch_signal(module, SIGTERM, handler);
    struct sigaction hangup;

    sigaction(SIGHUP, NULL, &hangup);
    if (is_good && hangup.sa_handler != SIG_IGN)
        is_good = catch_signal(module, SIGHUP, handler);
    Py_XDECREF(handler);
    Py_XDECREF(module);
    return is_good;
}

char *sp_py_tests_dir(const SpScriptConfig *config)
{
    g_autofree char *script = g_canonicalize_filename(config->path, NULL);
    g_autofree char *dir = g_path_get_dirname(script);

    return config->tests_dir ? g_canonicalize_filename(config->tests_dir, NULL)
                             : g_path_get_dirname(dir);
}

/* Modules are found in the script's directory, and in the directory of tests. */
static bool add_import_path(const SpScriptConfig *config)
{
    g_autofree char *dir = g_path_get_dirname(config->path);
    g_autofree char *absolute = g_canonicalize_filename(dir, NULL);
    g_autofree char *tests = sp_py_tests_dir(config);
    const char *const dirs[] = {tests, absolute};
    PyObject *path = PySys_GetObject("path"); /* borrowed */

    for (gsize i = 0; path && i < G_N_ELEMENTS(dirs); i++) {
        PyObject *entry = PyUnicode_DecodeFSDefault(dirs[i]);
        int r = entry ? PyList_Insert(path, 0, entry) : -1;

        Py_XDECREF(entry);
        if (r < 0)
            return false;
    }
    return path != NULL;
}

static SpScriptOutcome judge_failure(SpPyState *state, char **ret_report)
{
    SpScriptOutcome outcome =
        PyErr_ExceptionMatches(PyExc_KeyboardInterrupt) ? SP_SCRIPT_INTERRUPTED : SP_SCRIPT_FAILED;

    *ret_report = sp_py_failure_report(state);
    return *ret_report ? outcome : SP_SCRIPT_PASSED;
}

static void set_up_state(SpPyState *state, const SpScriptConfig *config, GPtrArray *stations)
{
    state->config = config;
    state->stations = stations;
    state->machines = g_ptr_array_new();
    state->conditions = g_ptr_array_new();
    state->may_check = true;
    for (gsize i = 0; i < config->n_machines; i++)
        g_ptr_array_add(state->machines, config->machines[i]);
}

/* The prompt instead of the script. Its end is not a failure. */
static void run_prompt(SpPyState *state)
{
    g_autofree char *banner = sp_py_prompt_banner(state);

    if (!sp_py_prompt(state, state->globals, banner))
        PyErr_Clear();
}

/* A prompt after the script has failed, with the machines as they are. */
static void run_post_mortem(SpPyState *state, const char *report)
{
    g_autofree char *banner = g_strconcat(
        report, "The script has failed, and the machines are as it left them. Ctrl-D ends.", NULL);

    if (!sp_py_prompt(state, state->globals, banner))
        PyErr_Clear();
}

/* With the interpreter started and the script compiled. */
static SpScriptOutcome run_code(SpPyState *state, PyObject *code, char **ret_report)
{
    SpScriptOutcome outcome = SP_SCRIPT_PASSED;
    guint depth = sp_py_suspend();
    PyObject *result = PyEval_EvalCode(code, state->globals, state->globals);

    sp_py_resume(depth);
    if (!sp_py_threads_check(state))
        outcome = judge_failure(state, ret_report);
    sp_py_drop_conditions(state);
    while (sp_log_depth(state->config->log) > 0)
        sp_log_end(state->config->log, "not ended");
    if (outcome == SP_SCRIPT_FAILED && state->config->prompt == SP_PROMPT_ON_FAILURE)
        run_post_mortem(state, *ret_report);
    Py_XDECREF(result);
    return outcome;
}

/* False with @error if config->begin_func failed. */
static bool run_in_interpreter(const SpScriptConfig *config, PyObject *module, GPtrArray *stations,
    const char *source, SpScriptOutcome *ret_outcome, char **ret_report, GError **error)
{
    SpPyState *state = sp_py_module_state(module);
    SpScriptOutcome outcome = SP_SCRIPT_PASSED;
    g_autoptr(GError) local = NULL;
    bool is_ready, has_begun = true;
    PyObject *code;

    set_up_state(state, config, stations);
    state->source = source;
    code = Py_CompileString(source, config->path, Py_file_input);
    if (!code && config->prompt == SP_PROMPT_ONLY)
        PyErr_Clear(); /* test_script() says what is wrong with it */
    if (!code && PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_KeyboardInterrupt)) {
        *ret_report = sp_py_syntax_report(state);
        *ret_outcome = SP_SCRIPT_INVALID;
        return true;
    }
    if (!PyErr_Occurred() && catch_signals(config) && add_import_path(config))
        state->globals = sp_py_globals_new(module);
    /* from now on signals end waits */
    is_ready = state->globals && sp_py_threads_start(state);
    if (is_ready && config->begin_func)
        has_begun = config->begin_func(config->begin_data, &local);
    if (!is_ready || (!has_begun && PyErr_Occurred())) {
        has_begun = true;
        outcome = judge_failure(state, ret_report);
    } else if (!has_begun) {
        g_propagate_error(error, g_steal_pointer(&local));
    } else if (config->prompt == SP_PROMPT_ONLY) {
        run_prompt(state);
    } else {
        outcome = run_code(state, code, ret_report);
    }
    sp_py_threads_stop(state);
    sp_py_drop_conditions(state);
    while (sp_log_depth(config->log) > 0)
        sp_log_end(config->log, "not ended");
    Py_CLEAR(state->globals);
    Py_CLEAR(state->machine_list);
    Py_XDECREF(code);
    *ret_outcome = outcome;
    return has_begun;
}

/* The script's text; NULL with a report of what is wrong with it. */
static char *read_script(const char *path, char **ret_report)
{
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;
    gsize length;

    if (!g_file_get_contents(path, &text, &length, &error)) {
        *ret_report = g_strdup(error->message);
        return NULL;
    }
    if (length > SCRIPT_SIZE_MAX || !g_utf8_validate(text, (gssize)length, NULL)) {
        *ret_report =
            g_strdup_printf("%s:1: expected a Python script in UTF-8, of at most 4 MiB", path);
        return NULL;
    }
    return g_steal_pointer(&text);
}

bool sp_script_run(
    const SpScriptConfig *config, SpScriptOutcome *ret_outcome, char **ret_report, GError **error)
{
    struct sigaction old_int, old_term, old_hup;
    g_autofree char *report = NULL;
    g_autofree char *source = read_script(config->path, &report);
    SpScriptOutcome outcome = SP_SCRIPT_INVALID;
    /* freed after the interpreter, whose remaining objects may still refer to them */
    g_autoptr(GPtrArray) stations =
        g_ptr_array_new_with_free_func((GDestroyNotify)sp_py_station_free);
    bool has_left_threads, has_begun = true;
    PyObject *module;

    if (source) {
        sigaction(SIGINT, NULL, &old_int);
        sigaction(SIGTERM, NULL, &old_term);
        sigaction(SIGHUP, NULL, &old_hup);
        if (!sp_python_start(error))
            return false;
        module = PyImport_ImportModule("slotproof");
        if (module) {
            sp_py_hold();
            has_begun =
                run_in_interpreter(config, module, stations, source, &outcome, &report, error);
            sp_py_release();
        } else {
            g_set_error(error, SP_ERROR, SP_ERROR_HOST,
                "the embedded Python can't load its module 'slotproof'");
        }
        has_left_threads = module && sp_py_module_state(module)->has_left_threads;
        Py_XDECREF(module);
        if (!has_left_threads)
            sp_python_stop();
        sigaction(SIGINT, &old_int, NULL);
        sigaction(SIGTERM, &old_term, NULL);
        sigaction(SIGHUP, &old_hup, NULL);
        if (!module || !has_begun)
            return false;
    }
    *ret_outcome = outcome;
    *ret_report = g_steal_pointer(&report);
    return true;
}
