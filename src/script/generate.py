#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Make of api.py what Python, editors and people need of it: the binding in C with its docstrings, the
stub for type checkers, and the lists of the manual page.

usage: generate.py h|pyi OUTPUT
       generate.py c HEADER... OUTPUT
       generate.py man FRAME OUTPUT

The HEADERs declare the functions of src/machine that do all of a call.
OUTPUT may be '-'. In the FRAME, a line '.\\" generate: WHAT' is replaced, where WHAT is the name of a
class, 'functions', 'CLASS attributes' or 'CLASS refused'.
"""

import builtins
import json
import keyword
import os
import re
import sys
import textwrap

sys.dont_write_bytecode = True

from api import CLASSES, GLOBALS, STUB_HEAD  # noqa: E402
from api_types import REQUIRED, UNSET  # noqa: E402

WIDTH = 79
NOTE = "made by generate.py of api.py"


# -- signatures, as Python has them


def show_default(arg, quote):
    if arg.default is UNSET:
        return "..."
    if isinstance(arg.default, str):
        return quote + arg.default + quote
    if isinstance(arg.default, bytes):
        return "b" + quote + arg.default.decode() + quote
    return repr(arg.default)


def parameters(call, show):
    """The call's parameters, each as @show has it, with the '*' that begins those given by keyword."""
    shown, has_star = [], False
    for arg in call.args:
        if arg.by_keyword and not has_star:
            shown.append("*")
        has_star |= arg.by_keyword or arg.kind == "*"
        shown.append(show(arg))
    return shown


def signature_parameter(arg):
    return arg.kind + arg.name + ("" if arg.default is REQUIRED else "=" + show_default(arg, "'"))


def signature_parameters(call):
    return parameters(call, signature_parameter)


# -- C


def c_string(value):
    return json.dumps(value, ensure_ascii=False)


def docstring(call):
    """The first sentence has a line of its own, since tools show the first line alone."""
    first, *others = paragraphs(call.doc)
    sentence, *rest = re.split(r"(?<=[.?!]) ", first, maxsplit=1)
    wrapped = [textwrap.fill(paragraph, WIDTH) for paragraph in others]
    body = "\n\n".join(["\n".join([sentence] + [textwrap.fill(text, WIDTH) for text in rest]), *wrapped])
    return f"{call.name}({', '.join(signature_parameters(call))})\n--\n\n{body}"


def c_docstring(text):
    return "PyDoc_STR(\n        " + "\n        ".join(c_string(line) for line in text.splitlines(True)) + ")"


def paragraphs(text):
    return [" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n", text.strip())]


def handler_name(cls, call):
    name = call.c or f"{cls.prefix}_{call.name.strip('_')}"
    return name if name.startswith("sp_py_") else "sp_py_" + name


def is_direct(call):
    return call.c.startswith("sp_machine_")


def prototypes():
    seen = {}
    for cls in CLASSES:
        for call in cls.calls:
            if is_direct(call) or call.refused:
                continue
            params = [cls.self] + [arg.c(param) for arg in call.args for param in arg.params]
            seen[handler_name(cls, call)] = f"PyObject *{handler_name(cls, call)}({', '.join(params)});"
        for attribute in cls.attributes:
            if not attribute.refused:
                name = f"sp_py_{cls.prefix}_get_{attribute.name}"
                seen[name] = f"PyObject *{name}({cls.self});"
            if attribute.setter:
                name = f"sp_py_{cls.prefix}_set_{attribute.name}"
                seen[name] = f"int {name}({cls.self}, bool value);"
    return list(seen.values())


def make_header(out):
    out(f"/* {NOTE} */\n#pragma once\n")
    out("\n".join(f'#include "script/py-{name}.h"' for name in ("machine", "network", "polling")) + "\n")
    out("\n".join(prototypes()) + "\n")
    out("/* Names that mean something else in a script, so that no machine can have them; ends with NULL. */")
    out("extern const char *const sp_script_taken_names[];")
    for cls in CLASSES:
        out(f"extern PyMethodDef sp_py_{cls.prefix}_methods[];")
        if cls.attributes:
            out(f"extern PyGetSetDef sp_py_{cls.prefix}_attributes[];")
        if any(call.name == "__call__" for call in cls.calls):
            out(f"PyObject *sp_py_{cls.prefix}_type_call(PyObject *self, PyObject *args, PyObject *kwargs);")
        if cls.name:
            out(f"#define SP_PY_{cls.prefix.upper()}_DOC {c_docstring(textwrap.fill(cls.doc, WIDTH))}"
                .replace("\n", " \\\n"))


def parse_call(call):
    """The expression that parses the arguments, and the names that stand beside it."""
    named = [arg for arg in call.args if not arg.kind]
    kinds = {arg.kind for arg in call.args if arg.kind}
    if not named:
        return "", []
    units, is_optional, is_by_keyword = "", False, False
    for arg in named:
        if not is_optional and (arg.default is not REQUIRED or arg.also):
            units, is_optional = units + "|", True
        if not is_by_keyword and arg.by_keyword:
            units, is_by_keyword = units + ("" if is_optional else "|") + "$", True
            is_optional = True
        units += arg.unit
    aliases = [arg for arg in named if arg.also]
    units += ("" if is_by_keyword or not aliases else "$") + "O" * len(aliases)
    given = [arg.c(arg.parse) for arg in named] + ["&" + arg.also for arg in aliases]
    tail = f'"{units}:{call.name}"'
    names = [arg.name for arg in named] + [arg.also for arg in aliases]
    if "**" in kinds:
        return f"PyArg_ParseTuple(positional, {tail}, {', '.join(given)})", []
    if "*" in kinds:
        return f"sp_py_parse_keywords(by_name, {tail}, keywords, {', '.join(given)})", names
    return f"PyArg_ParseTupleAndKeywords(positional, by_name, {tail}, keywords, {', '.join(given)})", names


def conversions(cls, call):
    for arg in call.args:
        if arg.also:
            is_required = "true" if arg.default is REQUIRED else "false"
            yield (f'sp_py_take_alias("{call.name}", {is_required}, "{arg.name}", {arg.c(arg.parse)}, '
                   f'"{arg.also}", {arg.also})')
        if arg.convert:
            yield arg.c(arg.convert).replace("{factor}", cls.factor)


def method_flags(call):
    kinds = {arg.kind for arg in call.args}
    if call.refused:
        return "METH_VARARGS | METH_KEYWORDS"
    if not call.args:
        return "METH_NOARGS"
    return "METH_VARARGS" if kinds == {"*"} else "METH_VARARGS | METH_KEYWORDS"


def invocation(cls, call):
    """The lines that call the C function and leave what it returned in `result`."""
    this = cls.self.split("*")[-1]
    state = state_of(cls)
    if is_direct(call):
        name, given = call.c.removesuffix(")").split("(", 1)
        given = ["self->machine"] + ([given] if given else []) + (["&value"] if call.out else [])
        result = "PyLong_FromUnsignedLongLong(value)" if call.out else "Py_NewRef(Py_None)"
        return [f"is_good = {name}({', '.join(given)}, &error);",
                f"result = is_good ? {result} : sp_py_raise({state}, error);"]
    given = [this] + [arg.c(arg.passed) for arg in call.args if arg.params]
    return [f"result = {handler_name(cls, call)}({', '.join(given)});"]


def state_of(cls):
    return "sp_py_state((PyObject *)self)" if cls.name else "state"


def make_body(cls, call):
    expression, names = parse_call(call)
    checks = [call.check, expression, *conversions(cls, call), "sp_py_machine_enter_wait(self)" if call.waits else ""]
    lines = []
    if names:
        lines.append("char *keywords[] = {%s, NULL};" % ", ".join(f'"{name}"' for name in names))
    lines += [arg.c(declaration) + ";" for arg in call.args for declaration in arg.declare]
    lines += [f"PyObject *{arg.also} = NULL;" for arg in call.args if arg.also]
    if not cls.name:
        lines.append("SpPyState *state = sp_py_module_state(self);")
    if is_direct(call):
        lines += ["GError *error = NULL;", "bool is_good;"]
    if call.out:
        lines.append(f"{call.out} value = 0;")
    lines += ["PyObject *result;", ""]
    if any(checks):
        lines += ["if (" + " ||\n        ".join("!" + check for check in checks if check) + ")", "    return NULL;"]
    if call.step:
        machine = "sp_machine_name(self->machine)" if cls.is_machine else "NULL"
        kind, form, *values = call.step
        lines.append(f"sp_py_step_begin({', '.join([state_of(cls), machine, c_string(kind), c_string(form), *values])});")
    lines += invocation(cls, call)
    if call.waits:
        lines.append("sp_py_machine_leave_wait(self);")
    failure = c_string(call.failure) if call.failure else "NULL"
    lines.append(f"return sp_py_step_end({state_of(cls)}, result, {failure});" if call.step else "return result;")
    return lines


def make_function(out, cls, call):
    name = f"{cls.prefix}_{call.name.strip('_')}"
    flags = method_flags(call)
    has_keywords = "METH_KEYWORDS" in flags
    this = cls.self if cls.name else "PyObject *self"
    out(f"\nstatic PyObject *{name}({this}, PyObject *positional{', PyObject *by_name' if has_keywords else ''})\n{{")
    if call.refused:
        lines = [f"return sp_py_refuse_call(self->machine, {c_string(call.refused)});"]
    else:
        lines = make_body(cls, call)
    out("\n".join("    " + line if line else "" for line in lines) + "\n}")
    macro = "SP_PY_SERVED" if cls.is_machine and call.claims else "SP_PY_HELD"
    out(macro + ("" if has_keywords else "_PLAIN") + f"({name})")
    if call.name == "__call__":
        out(f"PyObject *sp_py_{name.replace('_call', '_type_call')}(PyObject *self, PyObject *args, PyObject *kwargs)\n"
            f"{{\n    return held_{name}(self, args, kwargs);\n}}")


def make_row(cls, call):
    macro = "served" if cls.is_machine and call.claims else "held"
    doc = c_docstring(docstring(call)) if call.doc else "NULL"
    return (f'    {{"{call.name}", (PyCFunction)(void (*)(void)){macro}_{cls.prefix}_{call.name.strip("_")},\n'
            f"        {method_flags(call)},\n        {doc}}},")


def make_attribute(out, cls, attribute):
    """Its functions; returns its row."""
    doc = c_docstring(textwrap.fill(attribute.doc or f"Not offered: {attribute.refused}.", WIDTH))
    name = f"{cls.prefix}_get_{attribute.name}"
    if attribute.refused:
        sentence = c_string(attribute.refused)
        return f'    {{"{attribute.name}", sp_py_refuse_attribute, NULL,\n        {doc}, (char *){sentence}}},'
    out(f"\nstatic PyObject *{name}(PyObject *self, void *unused)\n{{\n    PyObject *result;\n\n    sp_py_hold();\n"
        f"    result = sp_py_{name}((void *)self);\n    sp_py_release();\n    return result;\n}}")
    setter = "NULL"
    if attribute.setter:
        setter = f"{cls.prefix}_set_{attribute.name}"
        out(f"\nstatic int {setter}(PyObject *self, PyObject *value, void *unused)\n{{\n"
            f'    int is_true = sp_py_take_flag("{attribute.name}", value), result;\n\n    if (is_true < 0)\n'
            f"        return -1;\n    sp_py_hold();\n    result = sp_py_{setter}((void *)self, is_true != 0);\n"
            f"    sp_py_release();\n    return result;\n}}")
    return f'    {{"{attribute.name}", {name}, {setter},\n        {doc}, NULL}},'


def taken_names():
    """The names that no machine can have: of a script's globals, builtins and keywords."""
    functions = [call.name for cls in CLASSES if not cls.name for call in cls.calls]
    taken = {*GLOBALS, *functions, *keyword.kwlist, *dir(builtins)}
    return sorted(name for name in taken if not name.startswith("_"))


def make_source(out, headers):
    out(f'/* {NOTE} */')
    for header in headers:
        out(f'#include "machine/{os.path.basename(header)}"')
    out('#include "script/api.h"\n#include "script/py-call.h"\n#include "script/py-text.h"')
    for cls in CLASSES:
        for call in cls.calls:
            make_function(out, cls, call)
        rows = [make_attribute(out, cls, attribute) for attribute in cls.attributes]
        out(f"\nPyMethodDef sp_py_{cls.prefix}_methods[] = {{")
        for call in cls.calls:
            if call.name != "__call__":
                out(make_row(cls, call))
        out("    {NULL, NULL, 0, NULL},\n};")
        if rows:
            out(f"\nPyGetSetDef sp_py_{cls.prefix}_attributes[] = {{")
            out("\n".join(rows) + "\n    {NULL, NULL, NULL, NULL, NULL},\n};")
    out("\nconst char *const sp_script_taken_names[] = {")
    out("".join(f'    "{name}",\n' for name in taken_names()) + "    NULL,\n};")


# -- the stub


def stub_parameter(arg):
    text = f"{arg.kind}{arg.name}: {arg.stub}"
    return text if arg.default is REQUIRED else text + " = " + show_default(arg, '"')


def stub_function(indent, name, shown, returns):
    line = f"{indent}def {name}({', '.join(shown)}) -> {returns}: ..."
    if len(line) <= 110:
        return line
    lines = "".join(f"{indent}    {parameter},\n" for parameter in shown)
    return f"{indent}def {name}(\n{lines}{indent}) -> {returns}: ..."


def stub_call(cls, call):
    indent, first = ("    ", ["self"]) if cls.name else ("", [])
    if call.stub:
        return textwrap.indent(textwrap.dedent(call.stub).strip(), indent)
    shown = parameters(call, stub_parameter)
    alias = [arg for arg in call.args if arg.also]
    text = stub_function(indent, call.name, first + shown, call.returns)
    if not alias:
        return text
    others = [stub_parameter(arg) for arg in call.args if not arg.also]
    other = stub_function(indent, call.name, first + others + ["*", f"{alias[0].also}: {alias[0].stub}"], call.returns)
    return f"{indent}@overload\n{text}\n{indent}@overload\n{other}"


def make_stub(out):
    out("# SPDX-License-Identifier: MIT\n# What a script may use, for editors and type checkers: " + NOTE + ".")
    out(STUB_HEAD.strip())
    for cls in CLASSES:
        if cls.name:
            out(f"\nclass {cls.name}:")
        for attribute in cls.attributes:
            returns = "NoReturn" if attribute.refused else attribute.type
            out(f"    @property\n    def {attribute.name}(self) -> {returns}: ...")
            if attribute.setter:
                out(f"    @{attribute.name}.setter\n    def {attribute.name}(self, value: {attribute.setter}) -> None: ...")
        for call in cls.calls:
            out(stub_call(cls, call))


# -- the manual page


def roff_lines(text):
    """@text as lines of mdoc: a sentence begins a line."""
    blocks = []
    for paragraph in paragraphs(text):
        lines = []
        for sentence in re.split(r"(?<=[.?!]) ", paragraph.replace("\\", "\\e")):
            lines += textwrap.wrap(sentence, WIDTH, break_long_words=False, break_on_hyphens=False)
        blocks.append("\n".join("\\&" + line if line[0] in ".'" else line for line in lines))
    return "\n.Pp\n".join(blocks)


def man_calls(out, calls):
    out(".Bl -tag -width Ds")
    for call in calls:
        if not call.name.startswith("_"):
            out(" ".join([".It Fn", call.name, *(f'"{shown}"' for shown in signature_parameters(call))]))
            out(roff_lines(call.doc))
    out(".El")


def make_man_part(out, what):
    name, _, part = what.partition(" ")
    cls = next(cls for cls in CLASSES if cls.name == ("" if name == "functions" else name))
    if part == "attributes":
        out(".Bl -tag -width Ds")
        for attribute in cls.attributes:
            if not attribute.refused:
                out(f".It Va {attribute.name}\n{roff_lines(attribute.doc)}")
        out(".El")
    elif part == "refused":
        refused = [attribute.name for attribute in cls.attributes if attribute.refused]
        out(" ,\n".join(f".Va {name}" for name in refused[:-1]) + f"\nand\n.Va {refused[-1]}")
    else:
        for section in cls.sections:
            if section.title:
                out(f".Ss {section.title}")
            man_calls(out, section.calls)


def make_man(out, frame):
    with open(frame, encoding="utf-8") as file:
        for line in file:
            mark = re.match(r'\.\\" generate: (.*)', line)
            if mark:
                make_man_part(out, mark[1])
            else:
                out(line.rstrip("\n"))


def main():
    what, *paths = sys.argv[1:]
    parts = []
    if what == "man":
        make_man(parts.append, paths[0])
    elif what == "c":
        make_source(parts.append, paths[:-1])
    else:
        {"h": make_header, "pyi": make_stub}[what](parts.append)
    result = "\n".join(parts) + "\n"
    if paths[-1] == "-":
        sys.stdout.write(result)
    else:
        with open(paths[-1], "w", encoding="utf-8") as file:
            file.write(result)


if __name__ == "__main__":
    main()
