# SPDX-License-Identifier: MIT
"""The words in which api.py describes the script API: classes, calls and types of arguments.

In C code, {n} is the argument's name and {d} its default."""

from dataclasses import dataclass, field, replace

REQUIRED = object()
# what a signature shows of an argument that may be left out but has no value then
UNSET = object()


@dataclass(frozen=True)
class Arg:
    name: str
    stub: str  # its type in slotproof.pyi
    unit: str  # of PyArg_ParseTupleAndKeywords()'s format
    declare: list[str]  # the C variables, without semicolons
    parse: str  # what PyArg_ParseTupleAndKeywords() is given
    params: list[str]  # the parameters of the C function
    passed: str  # what these are given
    convert: str = ""  # a C expression, false with an exception
    default: object = REQUIRED
    also: str = ""  # another name for it, by keyword only
    kind: str = ""  # "*": all further arguments, "**": all by keyword
    by_keyword: bool = False  # it and those behind it are given by keyword only

    def c(self, text):
        return text.replace("{n}", self.name).replace("{d}", c_value(self.default))


def c_value(value):
    if value is None or value is REQUIRED or value is UNSET:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, bytes)):
        return '"%s"' % (value if isinstance(value, str) else value.decode())
    return str(value)


def text(name, default=REQUIRED):
    """A str, in UTF-8 and without null characters. The default None is NULL in C."""
    is_none = default is None
    return Arg(name, "str | None" if is_none else "str", "z" if is_none else "s", ["const char *{n} = {d}"], "&{n}",
               ["const char *{n}"], "{n}", default=default)


def data(name, stub="bytes", default=REQUIRED):
    """Bytes with a length: those of a bytes object, or of a str in UTF-8 if @stub is 'str'."""
    return Arg(name, stub, "s#" if stub == "str" else "y#",
               ["const char *{n} = {d}", "Py_ssize_t {n}_length = 0"], "&{n}, &{n}_length",
               ["const guint8 *{n}", "gsize {n}_length"], "(const guint8 *){n}, (gsize){n}_length", default=default)


def path(name, default=REQUIRED):
    """A path of the host or the guest: str, bytes or os.PathLike. The default None is NULL in C."""
    is_none = default is None
    given = "{n} ? {n} : {d}" if isinstance(default, str) else "{n}"
    return Arg(name, "StrPath | None" if is_none else "StrPath", "O&", ["g_autofree char *{n} = NULL"],
               "sp_py_optional_path, &{n}" if is_none else "sp_py_path, &{n}", ["const char *{n}"], given,
               default=default)


def printable(name, stub="str"):
    """Any object, as print() has it, in valid UTF-8."""
    return Arg(name, stub, "O", ["PyObject *{n}_object = NULL", "g_autofree char *{n} = NULL"], "&{n}_object",
               ["const char *{n}"], "{n}", "({n} = sp_py_utf8({n}_object))")


def flag(name, default):
    return Arg(name, "bool", "p", ["int {n} = {d}"], "&{n}", ["bool {n}"], "{n} != 0", default=default)


def port(name, default=REQUIRED, lowest=1):
    """A TCP or UDP port."""
    return Arg(name, "int", "i", ["int {n} = %s" % (0 if default is REQUIRED else default)], "&{n}", ["guint {n}"],
               "(guint){n}", 'sp_py_check_port("{n}", {n}, %d)' % lowest, default)


def count(name):
    """A number from 0 on, such as an offset in a disk."""
    return Arg(name, "int", "L", ["long long {n} = 0"], "&{n}", ["guint64 {n}"], "(guint64){n}",
               'sp_py_check_count("{n}", {n})')


def real(name, default):
    return Arg(name, "float", "d", ["double {n} = {d}"], "&{n}", ["double {n}"], "{n}", default=default)


def network(name, default=REQUIRED):
    """The number of a network, as text in C. The default None is NULL in C."""
    is_none = default is None
    return Arg(name, "int | None" if is_none else "int", "O&", ["g_autofree char *{n} = NULL"],
               "sp_py_optional_network, &{n}" if is_none else "sp_py_network, &{n}", ["const char *{n}"], "{n}",
               default=default)


def terminal(name):
    """The number of a virtual terminal of the guest."""
    return Arg(name, "str | int", "O&", ["guint {n} = 0"], "sp_py_tty, &{n}", ["guint {n}"], "{n}")


def timeout(default=900, name="timeout", also=""):
    """How long the call may take. In C milliseconds, or SP_NO_TIMEOUT for None."""
    seconds = 900 if default is None else default
    return Arg(name, "Duration | None", "O",
               ["PyObject *{n} = " + ("Py_None" if default is None else "NULL"), "gint64 {n}_ms"], "&{n}",
               ["gint64 {n}_ms"], "{n}_ms", "sp_py_timeout({n}, %s * {factor}, &{n}_ms)" % float(seconds), default,
               also)


def duration(name, default=REQUIRED, limit="SP_PY_SECONDS_MAX", also="", may_be_none=False):
    """A number of seconds or a datetime.timedelta, at most @limit seconds; in C seconds. None is 0, if
    it may be None."""
    function = "sp_py_seconds_or_none" if may_be_none else "sp_py_seconds"
    initial = 0 if default is REQUIRED else default
    return Arg(name, "Duration | None" if may_be_none else "Duration", "O",
               ["PyObject *{n}_object = NULL", "double {n} = %s" % initial], "&{n}_object", ["double {n}"], "{n}",
               '(!{n}_object || %s({n}_object, "{n}", %s, &{n}))' % (function, limit), default, also)


def ip(name, default=REQUIRED):
    """An IP address. In C a pointer, NULL if the argument is left out."""
    return Arg(name, "str", "O", ["PyObject *{n}_object = NULL", "SpIp {n}"], "&{n}_object", ["const SpIp *{n}"],
               "{n}_object ? &{n} : NULL", "(!{n}_object || sp_py_ip({n}_object, &{n}))", default)


def mac(name, default=REQUIRED):
    """A MAC address. In C a pointer, NULL if the argument is left out."""
    return Arg(name, "str", "O", ["PyObject *{n}_object = NULL", "SpMac {n}"], "&{n}_object", ["const SpMac *{n}"],
               "{n}_object ? &{n} : NULL", "(!{n}_object || sp_py_mac({n}_object, &{n}))", default)


def obj(name, stub="object", default=REQUIRED, unit="O"):
    """Any other object, which the C function looks at. NULL in C if the argument is left out."""
    return Arg(name, stub, unit, ["PyObject *{n} = NULL"], "&PyDict_Type, &{n}" if unit == "O!" else "&{n}",
               ["PyObject *{n}"], "{n}", default=default)


def ignored(name, stub, default):
    """Accepted for scripts of the NixOS test driver."""
    return Arg(name, stub, "O", ["PyObject *{n} = NULL"], "&{n}", [], "", default=default)


def arguments(name, stub):
    """All positional arguments, as a tuple."""
    return Arg(name, stub, "", [], "", ["PyObject *{n}"], "positional", kind="*")


def keywords(name, stub):
    """All arguments by keyword, as a dict or NULL."""
    return Arg(name, stub, "", [], "", ["PyObject *{n}"], "by_name", kind="**")


def by_keyword(arg):
    return replace(arg, by_keyword=True)


@dataclass
class Call:
    """A function or method. Its C function is @c, by default the class's prefix and @name, and returns
    a new reference or NULL with an exception. 'sp_machine_foo(x, y)' calls machine/ directly, with the
    machine in front and a GError behind; @out is the type of the number that it returns, if any."""

    name: str
    args: list[Arg]
    returns: str  # its type in slotproof.pyi
    doc: str
    c: str = ""
    out: str = ""
    step: tuple[str, ...] = ()  # of the log: its kind, and the format and arguments of its text in C
    failure: str = ""  # what the log says of a step that failed, in place of the exception's message
    waits: bool = False  # conditions are checked meanwhile
    claims: bool = True  # no other thread may be in a call about the machine
    refused: str = ""  # not offered: what to use instead
    check: str = ""  # a C expression on the tuple positional and the dict by_name, false with an exception
    stub: str = ""  # overloads in slotproof.pyi, in place of what follows from the arguments


@dataclass
class Attribute:
    name: str
    type: str
    doc: str
    setter: str = ""  # the type in slotproof.pyi of what it can be set to
    refused: str = ""


@dataclass
class Section:
    """A heading of the manual page, with the calls below it."""

    title: str
    calls: list[Call]


@dataclass
class Class:
    name: str  # empty for the module's functions
    doc: str
    prefix: str  # of C functions: sp_py_PREFIX_...
    self: str  # what they get, in C
    attributes: list[Attribute] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)
    factor: str = "1"  # by which default time-outs are multiplied, in C
    is_machine: bool = False  # @self has a machine

    @property
    def calls(self):
        return [call for section in self.sections for call in section.calls]
