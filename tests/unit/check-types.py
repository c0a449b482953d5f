# SPDX-License-Identifier: MIT
# Run as a script by test-script-types.c, which puts `stub_path` in front: slotproof.pyi and the
# module `slotproof` have the same names, with the same arguments.
import ast
import inspect

import slotproof

with open(stub_path) as file:
    stub = ast.parse(file.read())


def literal(node):
    """A default as text; None for one that is '...' there."""
    return repr(ast.literal_eval(node))


def stub_parameters(function):
    """(name, kind, default) of each, without self."""
    a, P = function.args, inspect.Parameter
    defaults = [None] * (len(a.args) - len(a.defaults)) + a.defaults
    found = [(arg.arg, P.POSITIONAL_OR_KEYWORD, d) for arg, d in zip(a.args, defaults)]
    found += [(a.vararg.arg, P.VAR_POSITIONAL, None)] if a.vararg else []
    found += [(arg.arg, P.KEYWORD_ONLY, d) for arg, d in zip(a.kwonlyargs, a.kw_defaults)]
    found += [(a.kwarg.arg, P.VAR_KEYWORD, None)] if a.kwarg else []
    return [(n, k, d and literal(d)) for n, k, d in found if n != "self"]


def real_parameters(function):
    empty = inspect.Parameter.empty
    return [
        (p.name, p.kind, None if p.default is empty else repr(p.default))
        for p in inspect.signature(function).parameters.values()
        if p.name != "self"
    ]


def is_public(name):
    return not name.startswith("_")


def check(where, stub_functions, real):
    """The functions, or methods and attributes, of one name space."""
    names = {name for name in vars(real) if is_public(name)}
    names -= {n for n in names if where == "slotproof" and isinstance(getattr(real, n), type)}
    t.assertEqual(sorted(names), sorted({f.name for f in stub_functions if is_public(f.name)}), where)
    for function in stub_functions:
        if not is_public(function.name):
            t.assertTrue(hasattr(real, function.name), function.name)
            continue
        object = getattr(real, function.name)
        is_property = any(
            getattr(d, "id", "") == "property" or getattr(d, "attr", "") == "setter" for d in function.decorator_list
        )
        t.assertNotEqual(is_property, callable(object), f"{where}.{function.name}")
        if is_property or any(getattr(d, "id", "") == "overload" for d in function.decorator_list):
            continue
        t.assertEqual(real_parameters(object), stub_parameters(function), f"{where}.{function.name}")
        t.assertTrue(object.__doc__, f"{where}.{function.name} has no documentation")


def functions_of(node):
    return [child for child in node.body if isinstance(child, ast.FunctionDef)]


classes = {node.name: node for node in stub.body if isinstance(node, ast.ClassDef)}
real_classes = {name for name, value in vars(slotproof).items() if isinstance(value, type) and is_public(name)}
t.assertEqual(sorted(real_classes), sorted(classes))
for name, node in classes.items():
    if not issubclass(getattr(slotproof, name), Exception):
        check(name, functions_of(node), getattr(slotproof, name))
check("slotproof", functions_of(stub), slotproof)
