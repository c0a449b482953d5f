/* SPDX-License-Identifier: MIT */
#pragma once

/* What the files that use Python share. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "script/script.h"

/** The state of the module `slotproof`. */
typedef struct {
    const SpScriptConfig *config; /* set once the module is imported */
    const char *source;           /* the script's text; NULL before it runs */
    PyObject *assertion_failed;   /* the exception types */
    PyObject *machine_error;
    PyObject *qmp_error;
    PyTypeObject *machine_type;
    PyTypeObject *step_type;
    PyTypeObject *condition_type;
    PyTypeObject *log_type;
    PyTypeObject *stream_type;
    PyTypeObject *network_type;
    PyTypeObject *endpoint_type;
    PyTypeObject *qmp_session_type;
    GPtrArray *stations;      /* SpPyStation: the endpoints that the script made */
    GPtrArray *machines;      /* SpMachine, not owned: those of the test, and those that it made */
    PyObject *globals;        /* of the script */
    PyObject *machine_list;   /* `machines`; NULL before there are globals */
    GPtrArray *conditions;    /* references to those that are entered, innermost last */
    bool is_showing;          /* consoles, at a prompt, during its calls only */
    bool may_check;           /* conditions: false while one is checked */
    bool is_waiting;          /* in a call during which conditions are checked */
    bool is_running;          /* the script: its signals end waits, its threads may use machines */
    bool has_left_threads;    /* which outlive it: the interpreter must not be finalized */
    guint signals;            /* how many times Python was told of some */
    guint prompt_signals;     /* how many of them the prompt has looked at */
    int signal_fds[2];        /* the pipe that wakes it up */
    guint signal_source;      /* reads from it; 0 if there is none */
    GHashTable *users;        /* machine to the thread that is in a call about it */
    PyObject *thread_failure; /* the exception that ended a thread first; NULL for none */
    char *failed_subtest;     /* the innermost that the exception below left; NULL for none */
    PyObject *failed_exception;
} SpPyState;

/** A machine as a script sees it; the machine itself outlives the interpreter. */
typedef struct {
    PyObject_HEAD SpMachine *machine;
} SpPyMachine;

extern PyType_Spec sp_py_machine_spec;
extern PyType_Spec sp_py_step_spec;
extern PyType_Spec sp_py_condition_spec;
extern PyType_Spec sp_py_log_spec;
extern PyType_Spec sp_py_stream_spec;
extern PyType_Spec sp_py_network_spec;
extern PyType_Spec sp_py_endpoint_spec;
extern PyType_Spec sp_py_qmp_session_spec;

/** The tp_dealloc of a type whose objects own nothing. */
void sp_py_free_object(PyObject *self);

/** A Machine for @machine; NULL with an exception. */
PyObject *sp_py_machine_new(SpPyState *state, SpMachine *machine);
/** The QMPSession of @machine; NULL with an exception. */
PyObject *sp_py_qmp_session_new(SpPyMachine *machine);
/** The factor for default time-outs of calls that are not about a machine. */
double sp_py_time_factor(SpPyState *state);

/** For PyImport_AppendInittab(). */
PyMODINIT_FUNC sp_py_module_init(void);
SpPyState *sp_py_module_state(PyObject *module);
/** The state, from an object of one of the module's types, which are final. */
SpPyState *sp_py_state(PyObject *object);

/** The directory of tests that @config's script belongs to, absolute. Free with g_free(). */
char *sp_py_tests_dir(const SpScriptConfig *config);
/** The globals of a script: a new dictionary, or NULL with an exception. */
PyObject *sp_py_globals_new(PyObject *module);

/** The report of the pending exception, which is cleared. Free with g_free(). */
char *sp_py_failure_report(SpPyState *state);
/** Whether an exception is sys.exit() without a failure, which ends a script normally. */
bool sp_py_is_good_exit(PyObject *type, PyObject *value);
/** The same for a script that does not compile. */
char *sp_py_syntax_report(SpPyState *state);

/** Start the interpreter. */
G_GNUC_WARN_UNUSED_RESULT bool sp_python_start(GError **error);
/** Finalize it; exceptions are ignored. Python's threads have ended. */
void sp_python_stop(void);
