"""Which driver library is loaded, and what is said when none can be. Each case has a process of its own: a process loads once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import acsylla_like
from acsylla_like import _driver

ROOT = Path(__file__).resolve().parent.parent
MACOS = sys.platform == "darwin"
SUFFIX = ".dylib" if MACOS else ".so"
SEARCH_VARIABLE = "DYLD_LIBRARY_PATH" if MACOS else "LD_LIBRARY_PATH"
needs_bundle = pytest.mark.skipif(not _driver.BUNDLED_LIBRARY.is_file(), reason="built without a bundle")

FakeDriver = Callable[..., Path]


def versioned(stem: str, version: str) -> str:
    """The file name of a shared library with a version, as the platform writes it."""
    return f"{stem}.{version}.dylib" if MACOS else f"{stem}.so.{version}"


@pytest.fixture(scope="session")
def fake_driver(tmp_path_factory: pytest.TempPathFactory) -> FakeDriver:
    """Compiles a library that has every function of the list but those in `without`."""

    def build(name: str, *, without: tuple[str, ...] = (), openssl: str | None = None) -> Path:
        folder = tmp_path_factory.mktemp("fake")
        lines = (ROOT / "src_cpp" / "driver_functions.def").read_text().splitlines()
        kept = [line for line in lines if not any(f", {function}," in line for function in without)]
        assert len(lines) - len(kept) == len(without)
        (folder / "driver_functions.def").write_text("\n".join(kept) + "\n")
        library = folder / name
        options = [f'-DFAKE_OPENSSL="{openssl}"'] if openssl else []
        source = ROOT / "tests" / "native" / "fake_driver.cpp"
        command = ["c++", "-std=c++17", "-shared", "-fPIC", f"-I{folder}", *options, str(source), "-o", str(library)]
        subprocess.run(command, check=True)
        return library

    return build


@pytest.fixture(scope="session")
def whole_driver(fake_driver: FakeDriver) -> Path:
    return fake_driver(versioned("libwhole", "2.99"), openssl="FakeSSL 1.2.3")


def run(code: str, **environment: str) -> str:
    """What a fresh interpreter prints for the code, or the last error's text."""
    package = str(Path(acsylla_like.__file__).parent.parent)
    kept = {key: value for key, value in os.environ.items() if key != _driver.VARIABLE}
    prelude = "import sys\nfrom acsylla_like import _driver, _native\nfrom pathlib import Path\n"
    guarded = "".join(f"    {line}\n" for line in code.strip().splitlines())
    program = f"{prelude}try:\n{guarded}except Exception as error:\n    print(type(error).__name__, error, sep=': ')\n"
    result = subprocess.run(
        [sys.executable, "-c", program],
        env={**kept, "PYTHONPATH": package, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


PRINT_PATH = "print(_driver.driver_info().path)"
NO_BUNDLE = "_driver.BUNDLED_LIBRARY = Path('/nowhere/driver.so')\n"


def test_importing_loads_nothing() -> None:
    assert run("import acsylla_like\nprint(_native.library_path())") == "None"


@needs_bundle
def test_the_bundle_is_used_when_nobody_chooses() -> None:
    info = json.loads(run("i = _driver.driver_info()\nimport json\nprint(json.dumps([i.path, i.version, dict(i.features), i.tls]))"))
    assert info[0] == str(_driver.BUNDLED_LIBRARY)
    recorded = json.loads((_driver.BUNDLE / "bundle.json").read_text())
    assert info[1] == recorded["driver_version"]
    assert all(info[2].values())
    assert {"shard_routing", "tablet_routing"} < info[2].keys()
    assert info[3].startswith("OpenSSL ")


@needs_bundle
def test_order_of_search(fake_driver: FakeDriver, whole_driver: Path) -> None:
    system = fake_driver(versioned("libcassandra", "2"))
    chosen, scylla = fake_driver(f"chosen{SUFFIX}"), fake_driver(versioned("libscylla-cpp-driver", "2"))
    search = {SEARCH_VARIABLE: str(system.parent)}

    assert run(PRINT_PATH, **search) == str(_driver.BUNDLED_LIBRARY)
    assert run(PRINT_PATH, **search, ACSYLLA_LIKE_DRIVER="system") == str(system)
    assert run(PRINT_PATH, **search, ACSYLLA_LIKE_DRIVER=str(chosen)) == str(chosen)
    assert run(f"_driver.load_driver({str(whole_driver)!r})\n" + PRINT_PATH, ACSYLLA_LIKE_DRIVER=str(chosen)) == str(whole_driver)
    assert run(NO_BUNDLE + PRINT_PATH, **search) == str(system)
    both = {SEARCH_VARIABLE: f"{system.parent}:{scylla.parent}"}
    assert run(NO_BUNDLE + PRINT_PATH, **both) == str(scylla)


def test_the_version_comes_from_the_file_name_behind_links(whole_driver: Path, tmp_path: Path) -> None:
    link = tmp_path / "driver.so"
    link.symlink_to(whole_driver)
    assert run("i = _driver.driver_info()\nprint(i.version, i.tls)", ACSYLLA_LIKE_DRIVER=str(link)) == "2.99 FakeSSL 1.2.3"


def test_version_and_tls_are_unknown_where_nothing_tells(fake_driver: FakeDriver) -> None:
    library = fake_driver(f"plain{SUFFIX}")
    assert run("i = _driver.driver_info()\nprint(i.version, i.tls)", ACSYLLA_LIKE_DRIVER=str(library)) == "unknown unknown"


def test_a_wrong_file_says_why_it_is_none(tmp_path: Path) -> None:
    wrong = tmp_path / "driver.so"
    wrong.write_text("this is text\n" * 100)
    said = run(f"_driver.load_driver({str(wrong)!r})")
    assert said.startswith(f"DriverLoadError: no driver library could be loaded; tried\n  load_driver('{wrong}'): ")
    assert "invalid ELF header" in said or MACOS


def test_a_missing_file_is_named_and_not_replaced_by_another(tmp_path: Path) -> None:
    missing = tmp_path / "driver.so"
    said = run("_driver.ensure_loaded()", ACSYLLA_LIKE_DRIVER=str(missing))
    assert f"  ACSYLLA_LIKE_DRIVER={missing}: " in said
    assert "No such file" in said or "no such file" in said
    assert "bundle /" not in said


def test_a_library_without_required_functions_is_refused_naming_them_all(fake_driver: FakeDriver) -> None:
    library = fake_driver(f"lacking{SUFFIX}", without=("cass_session_new", "cass_future_free"))
    said = run("_driver.ensure_loaded()", ACSYLLA_LIKE_DRIVER=str(library))
    assert f"ACSYLLA_LIKE_DRIVER={library}: it lacks required functions" in said
    assert "cass_session_new" in said
    assert "cass_future_free" in said
    assert "cass_session_free" not in said


def test_a_refused_library_leaves_the_process_free_to_load_another(fake_driver: FakeDriver, whole_driver: Path) -> None:
    lacking = fake_driver(f"lacking{SUFFIX}", without=("cass_session_new",))
    code = f"""
try:
    _driver.load_driver({str(lacking)!r})
except _driver.DriverLoadError:
    _driver.load_driver({str(whole_driver)!r})
{PRINT_PATH}
"""
    assert run(code) == str(whole_driver)


def test_a_library_without_an_optional_function_loads_and_tells(fake_driver: FakeDriver) -> None:
    library = fake_driver(f"old{SUFFIX}", without=("cass_future_coordinator",))
    code = "f = _driver.driver_info().features\nprint(f['cass_future_coordinator'], f['cass_statement_set_host_n'])"
    assert run(code, ACSYLLA_LIKE_DRIVER=str(library)) == "False True"


def test_a_library_that_knows_nothing_of_scylladb_tells(whole_driver: Path) -> None:
    code = "f = _driver.driver_info().features\nprint(f['shard_routing'], f['tablet_routing'])"
    assert run(code, ACSYLLA_LIKE_DRIVER=str(whole_driver)) == "False False"


def test_features_cannot_be_changed(whole_driver: Path) -> None:
    said = run("_driver.driver_info().features['x'] = True", ACSYLLA_LIKE_DRIVER=str(whole_driver))
    assert said.startswith("TypeError")


def test_a_second_library_is_refused_and_the_same_one_is_not(fake_driver: FakeDriver, whole_driver: Path, tmp_path: Path) -> None:
    other = fake_driver(f"other{SUFFIX}")
    link = tmp_path / "link.so"
    link.symlink_to(whole_driver)
    twice = f"_driver.load_driver({str(whole_driver)!r})\n_driver.load_driver({str(link)!r})\n"
    said = run(twice + f"_driver.load_driver({str(other)!r})")
    assert said.startswith(f"RuntimeError: cannot load the driver library {other}: {whole_driver} is loaded already")


def test_threads_that_need_the_driver_at_once_load_it_once(whole_driver: Path) -> None:
    code = """
import threading
calls, real = [], _native.load_library
_native.load_library = lambda path: (calls.append(path), real(path))
threads = [threading.Thread(target=_driver.ensure_loaded) for _ in range(16)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(len(calls))
"""
    assert run(code, ACSYLLA_LIKE_DRIVER=str(whole_driver)) == "1"


def test_failure_lists_every_place_in_order() -> None:
    places = [line.strip().split(":")[0] for line in run(NO_BUNDLE + "_driver.ensure_loaded()").splitlines()[1:-1]]
    assert places[0] == "bundle /nowhere/driver.so"
    assert all(place.startswith("system lib") for place in places[1:])
    assert "scylla-cpp-driver" in places[1]
    assert "cassandra" in places[-1]


@needs_bundle
def test_a_broken_bundle_is_told_beside_the_system_places(tmp_path: Path) -> None:
    broken = tmp_path / "driver.so"
    broken.write_bytes(b"")
    said = run(f"_driver.BUNDLED_LIBRARY = Path({str(broken)!r})\n_driver.ensure_loaded()")
    assert f"bundle {broken}: " in said
    assert "system libcassandra" in said


def test_macos_on_x86_64_says_that_it_has_no_bundle() -> None:
    code = NO_BUNDLE + "import platform\nsys.platform, platform.machine = 'darwin', lambda: 'x86_64'\n_driver.ensure_loaded()"
    said = run(code)
    assert "bundle: there is none for macOS x86_64, where the system's driver library is used" in said
    assert "system /usr/local/lib/libcassandra.2.dylib" in said


@pytest.mark.skipif(MACOS, reason="file names are UTF-8 there")
def test_a_file_name_that_is_no_utf8_works(whole_driver: Path, tmp_path: Path) -> None:
    link = os.fsencode(tmp_path) + b"/\xff.so"
    os.symlink(whole_driver, link)
    assert run(f"import os\n_driver.load_driver(os.fsdecode({link!r}))\nprint(_native.library_path() is not None)") == "True"


def test_an_empty_path_is_refused() -> None:
    assert run("_driver.load_driver('')") == "ValueError: the path of the driver library is empty"
