#!/usr/bin/env python3
"""Check the rules that keep the layers apart, so that nobody has to remember them; prints each breach with its place.

The C++ layer knows no Python. The typed facade never sees a pointer. The driver's C API is declared in one file, dlopen
occurs in one file and add_reader in one file. The core imports no third-party package.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

CPP = ("src_cpp/**/*.cpp", "src_cpp/**/*.hpp", "src_cpp/**/*.h", "src_cpp/**/*.def")
CYTHON = ("acsylla_like/**/*.pyx", "acsylla_like/**/*.pxd", "acsylla_like/**/*.pxi")
PYTHON = ("acsylla_like/**/*.py", "acsylla_like/**/*.pyi")

# Optional parts may need packages of their own; what `import acsylla_like` and a session use may not.
OUTSIDE_THE_CORE = ("acsylla_like/testing/", "acsylla_like/cli/", "acsylla_like/integrations/", "acsylla_like/__main__.py")

POINTER_MODULES = {"ctypes", "_ctypes", "cffi", "_cffi_backend"}

# What must occur in one file, and which: a pattern over code without comments, the files searched, the home.
HOMES = [
    (r"\bdlopen\s*\(", (*CPP, *CYTHON, *PYTHON), "src_cpp/driver.cpp", "dlopen"),
    (r"\.add_reader\b|\b_add_reader\b", (*CYTHON, *PYTHON), "acsylla_like/_native/reactor.pyx", "add_reader"),
    (
        r"\b(?:REQUIRED|OPTIONAL)\s*\([^\n]*\bcass_\w+\s*,",
        (*CPP, *CYTHON),
        "src_cpp/driver_functions.def",
        "a function of the driver's C API",
    ),
]
GENERATED = {"acsylla_like/_native/driver_table.pxi"}


def without_comments(text: str, suffix: str) -> str:
    """The same lines with comments and documentation blanked, so that only code is judged."""

    def blank(match: re.Match[str]) -> str:
        return re.sub(r"[^\n]", " ", match[0])

    if suffix in (".cpp", ".hpp", ".h", ".def"):
        return re.sub(r"//[^\n]*|/\*.*?\*/", blank, text, flags=re.S)
    return re.sub(r'#[^\n]*|""".*?"""', blank, text, flags=re.S)


class Tree:
    """The files of one source tree, addressed by the patterns above."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def files(self, patterns: tuple[str, ...]) -> Iterator[tuple[str, str]]:
        """Relative name and code of every matching file."""
        for pattern in patterns:
            for path in sorted(self.root.glob(pattern)):
                name = path.relative_to(self.root).as_posix()
                if name not in GENERATED:
                    yield name, without_comments(path.read_text(encoding="utf-8"), path.suffix)

    def matches(self, patterns: tuple[str, ...], expression: str) -> Iterator[tuple[str, int, str]]:
        for name, code in self.files(patterns):
            for match in re.finditer(expression, code):
                yield name, code.count("\n", 0, match.start()) + 1, match[0].strip()


def breaches(root: Path) -> Iterator[str]:
    """Every breach of every rule, as file:line: what is wrong."""
    tree = Tree(root)
    for name, line, found in tree.matches(CPP, r'#\s*include\s*[<"](?:Python\.h|pyconfig\.h|cpython/[^>"]*)[>"]|\bPyObject\b'):
        yield f"{name}:{line}: the C++ layer knows no Python ({found})"
    for expression, patterns, home, what in HOMES:
        for name, line, _ in tree.matches(patterns, expression):
            if name != home:
                yield f"{name}:{line}: {what} belongs in {home} only"
    for name, line, found in tree.matches(CPP, r'extern\s+"C"[^;{]*\bcass_\w+\s*\('):
        yield f"{name}:{line}: the driver's functions are declared in src_cpp/driver_functions.def only ({found})"
    for name, line, found in tree.matches(CYTHON, r"(?m)^\s*(?:\w+[ *]+)+cass_\w+\s*\([^()]*\)\s*(?:noexcept|nogil|except\b[^\n]*)?\s*$"):
        yield f"{name}:{line}: the driver's functions are declared in src_cpp/driver_functions.def only ({found})"
    for name, module, line in imports(root):
        if name.startswith(OUTSIDE_THE_CORE):
            continue
        if module in POINTER_MODULES:
            yield f"{name}:{line}: the facade never sees a pointer ({module})"
        elif name.endswith(".pyi"):
            continue  # read by type checkers only
        elif module not in sys.stdlib_module_names and module != "acsylla_like":
            yield f"{name}:{line}: the core imports no third-party package ({module})"
    for name, line, found in tree.matches(CYTHON, r"<\s*(?:size_t|u?intptr_t|Py_u?ssize_t|Py_ssize_t)\s*>\s*<\s*void\s*\*\s*>"):
        yield f"{name}:{line}: the facade never sees a pointer, nor one as a number ({found})"


def imports(root: Path) -> Iterator[tuple[str, str, int]]:
    """Top-level module of each import that runs; one under TYPE_CHECKING does not."""
    for pattern in PYTHON:
        for path in sorted(root.glob(pattern)):
            tree = ast.parse(path.read_text(encoding="utf-8"), path.name)
            skipped = {
                child
                for node in ast.walk(tree)
                if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
                for statement in node.body
                for child in ast.walk(statement)
            }
            for node in ast.walk(tree):
                if node in skipped:
                    continue
                if isinstance(node, ast.Import):
                    modules = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                    modules = [node.module]
                else:
                    continue
                for module in modules:
                    yield path.relative_to(root).as_posix(), module.partition(".")[0], node.lineno


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("root", nargs="?", type=Path, default=Path(__file__).resolve().parent.parent)
    found = list(breaches(parser.parse_args().root))
    print("\n".join(found) if found else "layers: every rule holds")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
