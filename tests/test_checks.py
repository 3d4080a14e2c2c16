"""The scripts that keep layers and links in order: each rule is broken once and must say so."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"


def run(script: str, root: Path) -> tuple[int, str]:
    result = subprocess.run([sys.executable, str(SCRIPTS / script), str(root)], capture_output=True, text=True)
    assert not result.stderr
    return result.returncode, result.stdout


def test_a_driver_function_that_nothing_calls_is_told(tmp_path: Path) -> None:
    write(tmp_path, "scripts/generate.py", (SCRIPTS / "generate_driver_table.py").read_text())
    functions = ("cass_session_free", "cass_statement_bind_int8", "cass_statement_bind_int16", "cass_batch_free")
    write(tmp_path, "src_cpp/driver_functions.def", "".join(f"REQUIRED(void, {name}, ())\n" for name in functions))
    write(tmp_path, "src_cpp/bind_value.cpp", "set_int8 = &DriverTable::prefix##_int8;\nSETTERS(CassStatement, cass_statement_bind);\n")
    write(tmp_path, "acsylla_like/_native/session.pyx", "driver.cass_session_free(session)  # and not cass_batch_free\n")
    command = [sys.executable, str(tmp_path / "scripts/generate.py")]
    subprocess.run(command, check=True)
    told = subprocess.run([*command, "--check"], capture_output=True, text=True)
    assert told.returncode == 1
    assert told.stdout.splitlines() == [
        "src_cpp/driver_functions.def lists cass_statement_bind_int16, which nothing calls",
        "src_cpp/driver_functions.def lists cass_batch_free, which nothing calls",
    ]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("CODE(SERVER, GONE, 0x3000, Gone, MAYBE, STAYS)", "there is no class Gone"),
        ('CLASS(Never, (ServerError), (), "Never.")', "no code becomes a Never"),
        ("CODE(SERVER, UNAVAILABLE_TOO, 0x3000, Unavailable, MAYBE, PASSES)", "the codes of Unavailable differ"),
        ("CODE(SERVER, ODD, 0x3000, ServerError, PERHAPS, STAYS)", "1 lines are neither a CODE nor a CLASS"),
        ('CLASS(Late, (ServerError), (), "Late.")\nCODE(SERVER, LATE, 0x3000, Late, MAYBE, STAYS)', "run generate.py"),
    ],
)
def test_a_list_of_errors_that_does_not_fit_is_told(tmp_path: Path, line: str, complaint: str) -> None:
    root = SCRIPTS.parent
    write(tmp_path, "scripts/generate.py", (SCRIPTS / "generate_errors.py").read_text())
    write(tmp_path, "src_cpp/error_codes.def", (root / "src_cpp/error_codes.def").read_text() + line + "\n")
    write(tmp_path, "acsylla_like/errors.py", (root / "acsylla_like/errors.py").read_text())
    told = subprocess.run([sys.executable, str(tmp_path / "scripts/generate.py"), "--check"], capture_output=True, text=True)
    assert told.returncode == 1
    assert complaint in told.stdout + told.stderr


def write(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)


@pytest.mark.parametrize("script", ["check_layers.py", "check_links.py"])
def test_this_repository_passes(script: str) -> None:
    assert run(script, SCRIPTS.parent)[0] == 0


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("src_cpp/a.hpp", "#include <Python.h>\n", "the C++ layer knows no Python"),
        ("src_cpp/a.cpp", "// one\nvoid f(PyObject*);\n", "src_cpp/a.cpp:2: the C++ layer knows no Python"),
        ("src_cpp/a.cpp", 'void* f() { return dlopen("x", 0); }\n', "dlopen belongs in src_cpp/driver.cpp only"),
        ("acsylla_like/session.py", "loop.add_reader(fd, f)\n", "add_reader belongs in acsylla_like/_native/reactor.pyx only"),
        (
            "src_cpp/a.cpp",
            'extern "C" int cass_session_new();\n',
            "the driver's functions are declared in src_cpp/driver_functions.def only",
        ),
        ("src_cpp/more.def", "REQUIRED(int, cass_session_new, ())\n", "belongs in src_cpp/driver_functions.def only"),
        ("acsylla_like/_native/a.pxd", "    CassSession* cass_session_new() nogil\n", "are declared in src_cpp/driver_functions.def only"),
        ("acsylla_like/rows.py", "import ctypes\n", "the facade never sees a pointer (ctypes)"),
        ("acsylla_like/_native/a.pyx", "address = <uintptr_t><void*> p\n", "nor one as a number"),
        (
            "acsylla_like/bulk.py",
            "def f():\n    import numpy.linalg\n",
            "acsylla_like/bulk.py:2: the core imports no third-party package (numpy)",
        ),
    ],
)
def test_a_broken_layer_rule_is_named_with_its_place(tmp_path: Path, name: str, text: str, complaint: str) -> None:
    write(tmp_path, name, text)
    code, printed = run("check_layers.py", tmp_path)
    assert code == 1
    assert complaint in printed


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("src_cpp/a.hpp", "// dlopen(path) is in driver.cpp, which knows no PyObject\n"),
        ("acsylla_like/a.py", '"""Uses loop.add_reader."""\nimport asyncio\nfrom acsylla_like import rows\n'),
        ("acsylla_like/a.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pyarrow\n"),
        ("acsylla_like/testing/a.py", "import pytest\n"),
        ("acsylla_like/_native/a.pyx", "check(driver.cass_session_free(p))\n"),
    ],
)
def test_what_the_rules_allow_passes(tmp_path: Path, name: str, text: str) -> None:
    write(tmp_path, name, text)
    assert run("check_layers.py", tmp_path) == (0, "layers: every rule holds\n")


def test_dead_links_are_named_and_live_ones_pass(tmp_path: Path) -> None:
    write(tmp_path, "src/rows.py", "class Row:\n    def as_dict(self): ...\n")
    live = ["[`Row.as_dict`](../src/rows.py)", "[`rows.py`](../src/rows.py)", "[here](#a-heading)", "[web](https://example.org/x)"]
    dead = ["[`Row.gone`](../src/rows.py)", "[file](../src/none.py)", "[there](#no-heading)", "[`Row`](../src/none.py)"]
    write(tmp_path, "docs/page.md", "# A heading\n\n" + "\n".join(live + dead) + "\n```\n[not](a-link.md)\n```\n")
    code, printed = run("check_links.py", tmp_path)
    lines = printed.splitlines()
    assert code == 1
    assert [line.split(": ")[0] for line in lines] == [f"docs/page.md:{n}" for n in (7, 8, 9, 10)]
    assert lines[0].endswith("rows.py has no gone")
    assert lines[2].endswith("no such heading")
