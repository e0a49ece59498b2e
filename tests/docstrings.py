"""Reads Google docstrings and compares them with signatures."""

import ast
import inspect
import re
import textwrap

# "default 4", "defaults to 'a'", "default is None": a literal after the word.
_DEFAULT = re.compile(
    r"[Dd]efaults?:? (?:to |is )?`?"
    r"(None|True|False|-?\d[\d.e-]*\d|-?\d|'[^']*'|\"[^\"]*\"|\([^)]*\))"
)


def documented_arguments(docstring, section="Args"):
    """Dict from argument to its description, in the order of the section; None without one."""
    lines = inspect.cleandoc(docstring or "").splitlines()
    if f"{section}:" not in lines:
        return None
    arguments, name = {}, None
    for line in lines[lines.index(f"{section}:") + 1 :]:
        if line and not line.startswith(" "):
            break
        entry = re.match(r" {4}(\*{0,2}\w+)(?: \(.*?\))?: ?(.*)", line)
        if entry:
            name = entry[1].lstrip("*")
            arguments[name] = entry[2]
        elif name is not None and line.strip():
            arguments[name] += " " + line.strip()
    return arguments


def signature_arguments(function):
    """Parameters of a function or class, self and **kwargs left out."""
    kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return {
        name: parameter
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind not in kinds and name != "_"
    }


def argument_problems(function):
    """What is wrong with the section Args: names, order, defaults; and arguments never read."""
    parameters = signature_arguments(function)
    documented = documented_arguments(function.__doc__)
    if documented is None:
        return [f"the section 'Args:' is missing for {list(parameters)}"] if parameters else []
    for catch_all in {"args", "kwargs"} - parameters.keys():
        documented.pop(catch_all, None)
    problems = []
    missing = [name for name in parameters if name not in documented]
    extra = [name for name in documented if name not in parameters]
    if missing:
        problems.append(f"arguments {missing} are not documented")
    if extra:
        problems.append(f"documented arguments {extra} do not exist")
    if not missing and not extra and list(documented) != list(parameters):
        problems.append(f"arguments are documented in the order {list(documented)}")
    for name, text in documented.items():
        stated = _DEFAULT.search(text)
        if stated and name in parameters:
            default = parameters[name].default
            if stated[1].strip("'\"") != str(default):
                problems.append(f"{name} defaults to {default!r}, the docstring says {stated[1]}")
    if inspect.isfunction(function):
        unread = [name for name in parameters if name not in _names_read(function)]
        if unread:
            problems.append(f"arguments {unread} are never read")
    return problems


def _names_read(function):
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    return {
        node.id for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }
