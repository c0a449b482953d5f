/* SPDX-License-Identifier: MIT */
#include "script/py-prompt-rich.h"

#include <unistd.h>

/* Our Python only sees its own library: this directory is added for the prompt only. */
#define PACKAGES SP_PYTHON_HOME "/lib/python3/dist-packages"

/* ptpython reads in a thread of its own while this one serves the machines; IPython has a hook for
 * that. Both treat SystemExit as an error of their own, or pass it on. */
static const char source[] =
    "import os, sys, threading\n"
    "\n"
    "def ptpython(names, banner, history, wait):\n"
    "    from ptpython.repl import embed\n"
    "    ended = []\n"
    "    def configure(repl):\n"
    "        read = repl.read\n"
    "        def read_in_thread():\n"
    "            result = []\n"
    "            reader, writer = os.pipe()\n"
    "            def run():\n"
    "                try:\n"
    "                    result.append((read(), None))\n"
    "                except BaseException as error:\n"
    "                    result.append((None, error))\n"
    "                finally:\n"
    "                    os.close(writer)\n"
    "            thread = threading.Thread(target=run, daemon=True)\n"
    "            thread.start()\n"
    "            try:\n"
    "                while not result:\n"
    "                    wait(reader)\n"
    "            except BaseException as error:\n"
    "                ended.append(error)\n"
    "                while not result and thread.is_alive():\n"
    "                    app = repl.app\n"
    "                    if app.is_running and not app.is_done and app.loop:\n"
    "                        app.loop.call_soon_threadsafe(\n"
    "                            lambda: app.is_done or app.exit(exception=EOFError))\n"
    "                    thread.join(0.05)\n"
    "            thread.join()\n"
    "            os.close(reader)\n"
    "            text, error = result[0]\n"
    "            if ended:\n"
    "                raise EOFError\n"
    "            if error:\n"
    "                raise error\n"
    "            return text\n"
    "        repl.read = read_in_thread\n"
    "        repl.confirm_exit = False\n"
    "        repl.enable_history_search = True\n"
    "        repl.show_signature = True\n"
    "        repl.show_docstring = False\n"
    "    print(banner)\n"
    "    embed(globals=names, locals=names, configure=configure,\n"
    "          history_filename=history and history + '.ptpython')\n"
    "    if ended:\n"
    "        raise ended[0]\n"
    "\n"
    "def ipython(names, banner, history, wait):\n"
    "    if history:\n"
    "        os.environ.setdefault('IPYTHONDIR', os.path.dirname(history) + '/ipython')\n"
    "    from IPython.terminal.interactiveshell import TerminalInteractiveShell\n"
    "    from IPython.terminal.pt_inputhooks import register\n"
    "    from traitlets.config import Config\n"
    "    register('slotproof', lambda context: wait(context.fileno()))\n"
    "    config = Config()\n"
    "    config.HistoryManager.enabled = bool(history)\n"
    "    if history:\n"
    "        config.HistoryManager.hist_file = history + '.ipython'\n"
    "    config.TerminalInteractiveShell.confirm_exit = False\n"
    "    kept = sys.modules.get('__main__'), sys.excepthook, sys.displayhook\n"
    "    shell = TerminalInteractiveShell.instance(user_ns=names, config=config)\n"
    "    print(banner)\n"
    "    try:\n"
    "        shell.enable_gui('slotproof')\n"
    "        shell.mainloop()\n"
    "    finally:\n"
    "        shell.history_manager.end_session()\n"
    "        TerminalInteractiveShell.clear_instance()\n"
    "        sys.modules['__main__'], sys.excepthook, sys.displayhook = kept\n";

static const struct {
    const char *name, *module;
} prompts[] = {{"ptpython", "ptpython.repl"}, {"ipython", "IPython"}};

static bool has_module(const char *module)
{
    PyObject *found = PyImport_ImportModule(module);

    PyErr_Clear();
    Py_XDECREF(found);
    return found != NULL;
}

/* The prompt's name; NULL if there is none. */
static const char *choose_prompt(void)
{
    const char *wanted = g_getenv("SLOTPROOF_PROMPT");
    bool is_any = !wanted || !*wanted || g_str_equal(wanted, "auto");

    if (wanted && g_str_equal(wanted, "plain"))
        return NULL;
    for (gsize i = 0; i < G_N_ELEMENTS(prompts); i++) {
        if (!is_any && !g_str_equal(wanted, prompts[i].name))
            continue;
        if (has_module(prompts[i].module))
            return prompts[i].name;
        if (!is_any) {
            PySys_WriteStderr(
                "slotproof: SLOTPROOF_PROMPT=%s: it is not installed in " PACKAGES "\n", wanted);
            return NULL;
        }
    }
    if (!is_any)
        fprintf(stderr,
            "slotproof: SLOTPROOF_PROMPT=%s: expected auto, plain, ptpython or ipython\n", wanted);
    return NULL;
}

static void start_rich_prompt(
    SpPyState *state, const char *name, PyObject *names, const char *banner, PyObject *wait)
{
    PyObject *module = PyModule_New("slotproof_prompt"), *dict, *result = NULL, *call;

    if (!module)
        return;
    dict = PyModule_GetDict(module);
    if (PyDict_SetItemString(dict, "__builtins__", PyEval_GetBuiltins()) == 0)
        result = PyRun_String(source, Py_file_input, dict, dict);
    if (result) {
        Py_DECREF(result);
        if (state->config->history) {
            g_autofree char *dir = g_path_get_dirname(state->config->history);
            g_mkdir_with_parents(dir, 0700);
        }
        call = PyDict_GetItemString(dict, name);
        result = PyObject_CallFunction(call, "OszO", names, banner, state->config->history, wait);
        Py_XDECREF(result);
    }
    Py_DECREF(module);
}

int sp_py_prompt_rich(SpPyState *state, PyObject *names, const char *banner, PyObject *wait)
{
    PyObject *path = PySys_GetObject("path"), *entry;
    const char *name = NULL;
    Py_ssize_t at;

    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) || !path)
        return 0;
    entry = PyUnicode_FromString(PACKAGES);
    if (entry && PyList_Append(path, entry) == 0)
        name = choose_prompt();
    if (name)
        start_rich_prompt(state, name, names, banner, wait);
    if (entry) {
        PyObject *type, *value, *trace;

        PyErr_Fetch(&type, &value, &trace);
        at = PySequence_Index(path, entry);
        if (at >= 0)
            PySequence_DelItem(path, at);
        PyErr_Clear();
        PyErr_Restore(type, value, trace);
        Py_DECREF(entry);
    }
    return name != NULL;
}
