/* SPDX-License-Identifier: MIT */

/* The interpreter, configured so that it is the same on every host. */

#include "base/error.h"
#include "script/py-module.h"

#if defined(__SANITIZE_ADDRESS__)
#define CHECK_MEMORY 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CHECK_MEMORY 1
#endif
#endif
#ifndef CHECK_MEMORY
#define CHECK_MEMORY 0
#endif

static bool refuse_start(PyStatus status, GError **error)
{
    g_set_error(error, SP_ERROR, SP_ERROR_HOST,
        "the embedded Python (home '%s') can't be started: %s: is the package libpython3-stdlib "
        "installed?",
        SP_PYTHON_HOME, status.err_msg ? status.err_msg : "no reason given");
    return false;
}

static PyStatus configure(PyConfig *config)
{
    PyStatus status;

    config->install_signal_handlers = 1;
    config->write_bytecode = 0;
    status = PyConfig_SetBytesString(config, &config->home, SP_PYTHON_HOME);
    if (PyStatus_Exception(status))
        return status;
    /* otherwise it would be looked for in PATH, where another Python may be */
    status = PyConfig_SetBytesString(config, &config->program_name, SP_PYTHON_HOME "/bin/python3");
    if (PyStatus_Exception(status))
        return status;
    return Py_InitializeFromConfig(config);
}

bool sp_python_start(GError **error)
{
    PyPreConfig pre;
    PyConfig config;
    PyStatus status;

    PyPreConfig_InitIsolatedConfig(&pre);
    pre.utf8_mode = 1;
    if (CHECK_MEMORY)
        pre.allocator = PYMEM_ALLOCATOR_MALLOC;
    status = Py_PreInitialize(&pre);
    if (PyStatus_Exception(status))
        return refuse_start(status, error);
    if (PyImport_AppendInittab("slotproof", sp_py_module_init) < 0) {
        g_set_error(error, SP_ERROR, SP_ERROR_HOST, "no memory for the embedded Python");
        return false;
    }
    PyConfig_InitIsolatedConfig(&config);
    status = configure(&config);
    PyConfig_Clear(&config);
    return PyStatus_Exception(status) ? refuse_start(status, error) : true;
}

void sp_python_stop(void)
{
    PyErr_Clear();
    Py_FinalizeEx();
}
