"""What the build takes, checks and ships. The project's own setup.py builds a tiny package from a wheel made up for the test."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

from acsylla_like import _driver

ROOT = Path(__file__).resolve().parent.parent
PINS = json.loads((ROOT / "vendor" / "driver_pins.json").read_text())
SOABI = sysconfig.get_config_var("SOABI")
LIBRARY = "acsylla/_cython/cyacsylla.test.so"
COMPANION = "acsylla.libs/libssl-test.so.9"


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def call(code: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter in the folder, with a clean choice of build options."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("ACSYLLA_LIKE_")}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**kept, "ACSYLLA_LIKE_DEBUG": "1", **environment},
        capture_output=True,
        text=True,
        timeout=600,
    )


class Project:
    """A package with one empty extension, our build scripts and a stand-in for the wheel that carries the driver."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "project"
        self.site = folder / "site"
        (self.folder / "acsylla_like").mkdir(parents=True)
        (self.folder / "vendor" / "licences").mkdir(parents=True)
        for name in ("setup.py", "pyproject.toml", "LICENSE", "NOTICE"):
            shutil.copy(ROOT / name, self.folder)
        (self.folder / "README.md").write_text("a test\n")
        (self.folder / "vendor" / "licences" / "driver.txt").write_text("a licence\n")
        (self.folder / "acsylla_like" / "__init__.py").write_text("")
        (self.folder / "acsylla_like" / "_native.pyx").write_text("answer = 42\n")

        for name in (LIBRARY, COMPANION):
            (self.site / name).parent.mkdir(parents=True, exist_ok=True)
            code = "int exported() { return 1; } static int kept_for_nobody() { return 2; } int (*user)() = kept_for_nobody;"
            command = ["c++", "-x", "c++", "-shared", "-fPIC", "-", "-o", str(self.site / name)]
            subprocess.run(command, input=code, text=True, check=True)
        self.install_version("1.2.0")
        self.pin({name: sha256(self.site / name) for name in (LIBRARY, COMPANION)})

    def install_version(self, version: str) -> None:
        information = self.site / "acsylla.dist-info"
        information.mkdir(exist_ok=True)
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: acsylla\nVersion: {version}\n")

    def pin(self, files: dict[str, str]) -> None:
        pins = {**PINS, "libraries": dict.fromkeys(PINS["libraries"], files)}
        (self.folder / "vendor" / "driver_pins.json").write_text(json.dumps(pins))

    def hook(self, code: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Call setuptools' build back end as pip does, once the build requirements are there."""
        program = f"from setuptools import build_meta\nprint('result', {code})"
        return call(program, self.folder, **{"PYTHONPATH": str(self.site), **environment})

    def wheel(self, **environment: str) -> dict[str, bytes]:
        """Build a wheel and return its files."""
        shutil.rmtree(self.folder / "dist", ignore_errors=True)
        done = self.hook("build_meta.build_wheel('dist')", **environment)
        assert done.returncode == 0, done.stdout + done.stderr
        (path,) = (self.folder / "dist").glob("*.whl")
        with zipfile.ZipFile(path) as archive:
            return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_the_bundle_keeps_the_layout_that_its_run_path_needs(project: Project) -> None:
    files = project.wheel()
    bundled = sorted(name.removeprefix("acsylla_like/_bundled/") for name in files if "/_bundled/" in name)
    assert bundled == sorted([f"acsylla/{SOABI}/bundle.json", f"acsylla/{SOABI}/driver.so", COMPANION])
    record = json.loads(files[f"acsylla_like/_bundled/acsylla/{SOABI}/bundle.json"])
    assert record["sha256"] == sha256(project.site / LIBRARY)
    assert files[f"acsylla_like/_bundled/{COMPANION}"] == (project.site / COMPANION).read_bytes()


@pytest.mark.skipif(sys.platform != "linux" or shutil.which("strip") is None, reason="strips on Linux, with strip")
def test_the_driver_is_stripped_after_its_pin_was_checked(project: Project) -> None:
    files = project.wheel()
    driver = files[f"acsylla_like/_bundled/acsylla/{SOABI}/driver.so"]
    assert b"exported" in driver
    assert b"kept_for_nobody" not in driver
    assert b"kept_for_nobody" in (project.site / LIBRARY).read_bytes()


def test_without_strip_the_driver_is_bundled_as_it_is(project: Project, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for folder in os.environ["PATH"].split(os.pathsep):
        for tool in Path(folder).glob("*"):
            link = tools / tool.name
            if tool.name != "strip" and not link.exists():
                link.symlink_to(tool)
    files = project.wheel(PATH=str(tools))
    assert files[f"acsylla_like/_bundled/acsylla/{SOABI}/driver.so"] == (project.site / LIBRARY).read_bytes()


@pytest.mark.parametrize("name", [LIBRARY, COMPANION])
def test_a_file_that_is_not_the_pinned_one_fails_the_build(project: Project, name: str) -> None:
    found = sha256(project.site / name)
    right = {file: sha256(project.site / file) for file in (LIBRARY, COMPANION)}
    project.pin({**right, name: "0" * 64})
    done = project.hook("build_meta.build_wheel('dist')")
    assert done.returncode != 0
    assert f"driver library: {name} is not the pinned file" in done.stderr
    assert f"file      {project.site / name}" in done.stderr
    assert f"expected  sha256 {'0' * 64}" in done.stderr
    assert f"found     sha256 {found}" in done.stderr
    assert not list((project.folder).glob("dist/*.whl"))


def test_a_changed_pin_is_noticed_where_a_bundle_was_built_before(project: Project) -> None:
    project.wheel()
    project.pin({LIBRARY: "1" * 64, COMPANION: sha256(project.site / COMPANION)})
    assert "is not the pinned file" in project.hook("build_meta.build_wheel('dist')").stderr


def test_a_build_without_the_pinned_version_says_what_to_do(project: Project) -> None:
    project.install_version("1.1.0")
    done = project.hook("build_meta.build_wheel('dist')")
    assert done.returncode != 0
    assert "acsylla==1.2.0 is not installed where this build runs" in done.stderr
    assert "ACSYLLA_LIKE_BUNDLE=0" in done.stderr


def test_bundle_0_builds_without_a_bundle_even_after_one_with(project: Project) -> None:
    assert any("/_bundled/" in name for name in project.wheel())
    assert not any("/_bundled/" in name for name in project.wheel(ACSYLLA_LIKE_BUNDLE="0"))


def test_the_wheel_is_a_build_requirement_only_of_a_build_with_a_bundle(project: Project) -> None:
    project.install_version("1.1.0")
    requirements = "build_meta.get_requires_for_build_wheel()"
    assert "result ['acsylla==1.2.0']" in project.hook(requirements).stdout
    assert "result []" in project.hook(requirements, ACSYLLA_LIKE_BUNDLE="0").stdout


def test_an_editable_build_puts_extension_and_bundle_into_the_source(project: Project) -> None:
    done = project.hook("build_meta.build_editable('dist')")
    assert done.returncode == 0, done.stderr
    package = project.folder / "acsylla_like"
    assert (package / "_bundled" / "acsylla" / str(SOABI) / "driver.so").is_file()
    assert (package / "_bundled" / COMPANION).is_file()
    assert list(package.glob("_native.*.so"))
    assert not list(package.glob("*.cpp"))


def test_a_change_in_an_included_fragment_rebuilds_and_nothing_else_does(project: Project) -> None:
    fragment = project.folder / "acsylla_like" / "_native" / "part.pyx"
    fragment.parent.mkdir()
    fragment.write_text("answer = 42\n")
    (project.folder / "acsylla_like" / "_native.pyx").write_text('include "_native/part.pyx"\n')
    ask = "import acsylla_like._native as native; print(native.answer)"
    build = "import runpy, sys; sys.argv = ['setup.py', '-q', 'build_ext', '--inplace']; runpy.run_path('setup.py')"

    call(build, project.folder, PYTHONPATH=str(project.site))
    (extension,) = (project.folder / "build").glob("lib*/acsylla_like/_native.*.so")
    built = extension.stat().st_mtime_ns
    call(build, project.folder, PYTHONPATH=str(project.site))
    assert extension.stat().st_mtime_ns == built

    fragment.write_text("answer = 43\n")
    os.utime(fragment, ns=(built + 10**9, built + 10**9))
    call(build, project.folder, PYTHONPATH=str(project.site))
    assert call(ask, project.folder).stdout == "43\n"


PRETEND = """
import sys, platform, runpy, setuptools
import setuptools.command.build_ext, setuptools.command.sdist
setuptools.setup = lambda **arguments: print("requires", arguments["setup_requires"])
sys.platform, platform.machine, platform.libc_ver = {platform!r}, lambda: {machine!r}, lambda: {libc!r}
settings = runpy.run_path("setup.py")
print(settings["pin_name"](), settings["PIN"] is not None, settings["NO_BUNDLE"])
"""


@pytest.mark.parametrize(
    ("platform", "machine", "libc", "expected"),
    [
        ("linux", "x86_64", ("glibc", "2.36"), "glibc-x86_64 True "),
        ("linux", "aarch64", ("", ""), "musl-aarch64 True "),
        ("darwin", "arm64", ("", ""), "macos-arm64 True "),
        ("darwin", "x86_64", ("", ""), "macos-x86_64 False there is no driver library to bundle on macOS x86_64"),
        ("linux", "riscv64", ("glibc", "2.36"), "glibc-riscv64 False vendor/driver_pins.json has no driver library for"),
    ],
)
def test_each_platform_gets_its_library_or_a_reason(platform: str, machine: str, libc: tuple[str, str], expected: str) -> None:
    done = call(PRETEND.format(platform=platform, machine=machine, libc=libc), ROOT)
    version = f"cp{sys.version_info.major}{sys.version_info.minor}"
    assert re.search(rf"(?m)^{version}t?-{re.escape(expected)}", done.stdout), done.stdout + done.stderr


def test_every_pin_names_one_driver_library_for_every_interpreter_and_platform() -> None:
    platforms = {"glibc-x86_64", "glibc-aarch64", "musl-x86_64", "musl-aarch64", "macos-arm64"}
    interpreters = {"cp310", "cp311", "cp312", "cp313", "cp314", "cp314t", "cp315"}
    assert {tuple(name.split("-", 1)) for name in PINS["libraries"]} == {(i, p) for i in interpreters for p in platforms}
    for name, files in PINS["libraries"].items():
        assert len([file for file in files if file.startswith("acsylla/")]) == 1, name
        assert all(re.fullmatch("[0-9a-f]{64}", pin) for pin in files.values())
        assert any("libssl" in file for file in files) or "macos" in name


@pytest.mark.skipif(not _driver.BUNDLED_LIBRARY.is_file(), reason="built without a bundle")
def test_the_installed_bundle_was_made_from_the_pin() -> None:
    record = json.loads((_driver.BUNDLE / "bundle.json").read_text())
    (files,) = [files for files in PINS["libraries"].values() if files.get(record["library"]) == record["sha256"]]
    for name, pin in files.items():
        if name != record["library"]:
            assert sha256(_driver.BUNDLE.parent.parent / name) == pin
    if not record["stripped"]:
        assert sha256(_driver.BUNDLED_LIBRARY) == record["sha256"]


def test_every_licence_text_says_where_it_comes_from_and_is_in_the_readme() -> None:
    readme = (ROOT / "vendor" / "README.md").read_text()
    for text in (ROOT / "vendor" / "licences").glob("*.txt"):
        assert text.read_text().splitlines()[1].startswith("Source of this text: "), text.name
        assert f"licences/{text.name}" in readme


def test_a_wheel_built_from_the_sdist_runs_in_an_empty_environment(tmp_path: Path) -> None:
    source = tmp_path / "source"
    unwanted = shutil.ignore_patterns(".*", "build", "dist", "_bundled", "*.so", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, source, ignore=unwanted)
    done = call("from setuptools import build_meta; build_meta.build_sdist('dist')", source, ACSYLLA_LIKE_BUNDLE="0")
    assert done.returncode == 0, done.stderr
    (archive,) = (source / "dist").glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path / "unpacked", **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    for folder in ("src_cpp", "acsylla_like", "vendor", "tests", "scripts"):
        for file in (source / folder).rglob("*"):
            if file.is_file():
                assert (unpacked / file.relative_to(source)).is_file(), f"{file.relative_to(source)} is not in the sdist"

    done = call("from setuptools import build_meta; build_meta.build_wheel('dist')", unpacked, ACSYLLA_LIKE_BUNDLE="0")
    assert done.returncode == 0, done.stderr
    (wheel,) = (unpacked / "dist").glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "empty")], check=True)
    (site,) = (tmp_path / "empty" / "lib").glob("python*/site-packages")
    with zipfile.ZipFile(wheel) as archive_of_wheel:
        archive_of_wheel.extractall(site)

    (information,) = site.glob("acsylla_like-*.dist-info")
    required = [line for line in (information / "METADATA").read_text().splitlines() if line.startswith("Requires-Dist")]
    assert all("extra ==" in line for line in required)
    shipped = {file.name for file in information.rglob("*.txt")}
    assert shipped >= {file.name for file in (ROOT / "vendor" / "licences").glob("*.txt")}
    assert (information / "licenses" / "NOTICE").is_file()
    assert not any(file.suffix in (".pyx", ".cpp", ".hpp") for file in site.rglob("*"))
    assert (site / "acsylla_like" / "py.typed").is_file()

    program = "import acsylla_like, sys; from acsylla_like._driver import driver_info; print(driver_info().path)"
    environment = {"ACSYLLA_LIKE_DRIVER": str(_driver.BUNDLED_LIBRARY)}
    ran = subprocess.run([str(tmp_path / "empty" / "bin" / "python"), "-I", "-c", program], env=environment, capture_output=True, text=True)
    assert ran.stdout.strip() == str(_driver.BUNDLED_LIBRARY), ran.stderr
