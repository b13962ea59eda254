"""Refuse what is too long to read at once, and public names that do not say what they are.

    python scripts/check_sizes.py [FOLDER…]

Limits, in polymorph_ros/ unless folders are named: 60 lines and 8 parameters for a function, self
and cls not counted; 400 lines for a file; a docstring for every public module, class, function and
method. A command's options in cli/ may be more than 8. A function's lines are those from its name
to its end, docstring included, decorators not.

A method needs no docstring where the one that it stands for has it: in a base class, or in a
Protocol all of whose methods its class has (a property may be an attribute there). Bases in
other packages are not looked at.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

LINES, PARAMETERS, FILE_LINES = 60, 8, 400
ROOT = Path(__file__).resolve().parents[1]
Function = ast.FunctionDef | ast.AsyncFunctionDef
# By these decorators another definition says what this one is.
_EXPLAINED = {"overload", "override", "setter", "deleter"}


class Classes:
    """The classes of all files by name: their methods, and what they inherit from."""

    def __init__(self, trees: dict[Path, ast.Module]) -> None:
        self._members: dict[str, set[str]] = {}
        self._properties: dict[str, set[str]] = {}
        self._bases: dict[str, list[str]] = {}
        for tree in trees.values():
            for node in ast.walk(tree):
                if isinstance(node, ast.ClassDef):
                    methods = [item for item in node.body if isinstance(item, Function)]
                    self._members.setdefault(node.name, set()).update(m.name for m in methods)
                    self._properties.setdefault(node.name, set()).update(
                        m.name for m in methods if "property" in decorators(m)
                    )
                    self._bases.setdefault(node.name, []).extend(map(last_name, node.bases))

    def overrides(self, class_name: str, method: str) -> bool:
        """Whether a base class or a Protocol of these files defines the method too."""
        bases = self._ancestors(class_name)
        own = set().union(*(self._members.get(name, set()) for name in (class_name, *bases)))
        if "Protocol" in self._bases.get(class_name, ()):
            protocols = set()
        else:
            protocols = {
                name
                for name, above in self._bases.items()
                if "Protocol" in above
                and (self._members[name] - self._properties[name] or self._members[name]) <= own
            }
        return any(method in self._members.get(name, ()) for name in bases | protocols)

    def _ancestors(self, class_name: str) -> set[str]:
        waiting, found = list(self._bases.get(class_name, [])), set[str]()
        while waiting:
            base = waiting.pop()
            if base not in found and base != class_name:
                found.add(base)
                waiting += self._bases.get(base, [])
        return found


def decorators(node: Function) -> set[str]:
    """The last parts of their names."""
    return {last_name(item) for item in node.decorator_list}


def last_name(node: ast.expr) -> str:
    """The last part of a name, without brackets or arguments: `a.b[c]` is b."""
    if isinstance(node, ast.Call):
        return last_name(node.func)
    if isinstance(node, ast.Subscript):
        return last_name(node.value)
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def faults(path: Path, tree: ast.Module, lines: int, classes: Classes) -> Iterator[str]:
    """What is wrong with a file, a line each."""
    if lines > FILE_LINES:
        yield f"{path}:1: {path.name}: {lines} lines, at most {FILE_LINES}"
    if lines and not path.name.startswith("_") and not ast.get_docstring(tree):
        yield f"{path}:1: {path.name}: public module without docstring"
    in_cli = "cli" in path.parts
    for node, owner, public in definitions(tree):
        where = f"{path}:{node.lineno}: {f'{owner}.' if owner else ''}{node.name}"
        if isinstance(node, Function):
            yield from (f"{where}: {fault}" for fault in size_faults(node, owner, in_cli))
            if _EXPLAINED & decorators(node):
                continue
            if owner and classes.overrides(owner, node.name):
                continue
        if public and not ast.get_docstring(node):
            kind = "class" if isinstance(node, ast.ClassDef) else "method" if owner else "function"
            yield f"{where}: public {kind} without docstring"


def definitions(
    node: ast.AST, owner: str = "", public: bool = True
) -> Iterator[tuple[Function | ast.ClassDef, str, bool]]:
    """Each definition below a node, the class that it stands in, and whether others see it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            seen = public and not child.name.startswith("_")
            yield child, "", seen
            yield from definitions(child, child.name, seen)
        elif isinstance(child, Function):
            yield child, owner, public and not child.name.startswith("_")
            yield from definitions(child, "", False)
        else:
            yield from definitions(child, owner, public)


def size_faults(node: Function, owner: str, in_cli: bool) -> Iterator[str]:
    """Whether a function is too long or takes too much."""
    lines = (node.end_lineno or node.lineno) - node.lineno + 1
    if lines > LINES:
        yield f"{lines} lines, at most {LINES}"
    given = [*node.args.posonlyargs, *node.args.args]
    if owner and "staticmethod" not in decorators(node):
        given = given[1:]  # self or cls
    given += [*node.args.kwonlyargs, *filter(None, (node.args.vararg, node.args.kwarg))]
    if len(given) > PARAMETERS and not (in_cli and is_command(node)):
        yield f"{len(given)} parameters, at most {PARAMETERS}"


def is_command(node: Function) -> bool:
    """Whether a function's parameters are options: their values or types call typer."""
    written = [*node.args.defaults, *filter(None, node.args.kw_defaults)]
    arguments = [*node.args.args, *node.args.kwonlyargs]
    written += [argument.annotation for argument in arguments if argument.annotation]
    return any(
        isinstance(part, ast.Call) and last_name(part) in ("Option", "Argument")
        for value in written
        for part in ast.walk(value)
    )


def main(folders: list[str]) -> int:
    """Print every fault; 1 if there is one."""
    chosen = [Path(folder).resolve() for folder in folders] or [ROOT / "polymorph_ros"]
    files = sorted(file for folder in chosen for file in folder.rglob("*.py"))
    texts = {file: file.read_text(encoding="utf-8") for file in files}
    trees = {file: ast.parse(text, str(file)) for file, text in texts.items()}
    classes = Classes(trees)
    found = 0
    for file, tree in trees.items():
        shown = file.relative_to(ROOT) if file.is_relative_to(ROOT) else file
        for fault in faults(shown, tree, len(texts[file].splitlines()), classes):
            print(fault)
            found += 1
    if found:
        print(f"{found} places to mend; the limits: scripts/check_sizes.py", file=sys.stderr)
    return min(found, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
