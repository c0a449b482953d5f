/* SPDX-License-Identifier: MIT */
#pragma once

#include "script/py-module.h"

/* What only scripts of the NixOS test driver need. All return false with an exception. */

/** Add types under their names there to @globals, such as BaseMachine. */
bool sp_py_nixos_add_types(PyObject *globals, PyObject *module);
/** Add `vlans`, `vlan1` and so on: @networks is a script's dictionary of them. */
bool sp_py_nixos_add_networks(PyObject *globals, PyObject *networks);
/** Create the modules that such scripts import from, such as test_driver.errors. */
bool sp_py_nixos_add_modules(PyObject *globals, PyObject *module);
