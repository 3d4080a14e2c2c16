"""Builds the one extension and collects the driver library that the wheel carries (see vendor/README.md)."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from glob import glob
from importlib import metadata
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.sdist import sdist

DEBUG = os.environ.get("ACSYLLA_LIKE_DEBUG", "0") not in ("", "0")
BUNDLE = os.environ.get("ACSYLLA_LIKE_BUNDLE", "1") not in ("", "0")

PINS = json.loads(Path("vendor/driver_pins.json").read_text(encoding="utf-8"))
SOABI = str(sysconfig.get_config_var("SOABI"))

# The driver refers to symbols of the interpreter it was built for, so each interpreter has a folder of its own and
# several of them can share one source tree. The run path of the library leads from there to the folder of its libraries.
BUNDLE_ROOT = Path("acsylla_like", "_bundled")
BUNDLE_DRIVER = BUNDLE_ROOT / PINS["package"] / SOABI
BUNDLE_LIBRARIES = BUNDLE_ROOT / PINS["libraries_folder"]


def pin_name() -> str:
    """The name under which the pins list this interpreter and platform, as cp311-glibc-x86_64."""
    free_threaded = "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
    if sys.platform == "linux":
        system = "glibc" if platform.libc_ver()[0] == "glibc" else "musl"
    else:
        system = {"darwin": "macos"}.get(sys.platform, sys.platform)
    version = sys.version_info
    return f"cp{version.major}{version.minor}{free_threaded}-{system}-{platform.machine()}"


def pin_of_this_interpreter() -> tuple[dict[str, str] | None, str]:
    """The pinned files of the wheel for this interpreter, or None and the reason why there is no bundle."""
    name = pin_name()
    if not BUNDLE:
        return None, "ACSYLLA_LIKE_BUNDLE=0"
    if name.endswith("-macos-x86_64"):
        return None, "there is no driver library to bundle on macOS x86_64; a system driver is used at run time"
    pin = PINS["libraries"].get(name)
    return pin, "" if pin else f"vendor/driver_pins.json has no driver library for {name}"


PIN, NO_BUNDLE = pin_of_this_interpreter()


def checked(file: Path, name: str, expected: str) -> Path:
    """The file itself, once its content is known to be the pinned one."""
    if not file.is_file():
        raise SystemExit(f"driver library: {name} is missing from the installed {PINS['package']} ({file})")
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    if found != expected:
        raise SystemExit(
            f"driver library: {name} is not the pinned file\n"
            f"  file      {file}\n  expected  sha256 {expected}\n  found     sha256 {found}\n"
            "  to accept another file, review it and refresh vendor/driver_pins.json with scripts/vendor_pins"
        )
    return file


WHEEL = f"{PINS['package']}=={PINS['version']}"


def installed_wheel() -> Path | None:
    """The folder that holds the pinned wheel's files: site-packages, or the build environment's."""
    try:
        distribution = metadata.distribution(PINS["package"])
    except metadata.PackageNotFoundError:
        return None
    return Path(str(distribution.locate_file(""))) if distribution.version == PINS["version"] else None


def strip(library: Path) -> bool:
    """Drop the symbols nobody links against (18 MB become 4 MB); the dynamic ones stay. macOS's file is signed."""
    tool = shutil.which("strip")
    if not sys.platform.startswith("linux") or tool is None:
        return False
    return subprocess.run([tool, "--strip-unneeded", str(library)], check=False).returncode == 0


def collect_driver(target: Path) -> list[Path]:
    """Put the driver library under target, as it lies in its wheel; return the files written, relative to target."""
    folder = target / BUNDLE_DRIVER
    # Other interpreters' bundles may lie in the source tree, but never in what a wheel is made from.
    outdated = folder if target == Path() else target / BUNDLE_ROOT
    if PIN is None:
        shutil.rmtree(outdated, ignore_errors=True)
        print(f"driver library: building without a bundle: {NO_BUNDLE}", file=sys.stderr)
        return []
    driver_name = next(name for name in PIN if name.startswith(PINS["package"] + "/"))
    libraries = {name: BUNDLE_LIBRARIES / Path(name).name for name in PIN if name != driver_name}
    written = [BUNDLE_DRIVER / "driver.so", BUNDLE_DRIVER / "bundle.json", *libraries.values()]
    facts = {key: PINS[key] for key in ("package", "version", "driver", "driver_version")}
    facts |= {"library": driver_name, "sha256": PIN[driver_name]}
    record = target / BUNDLE_DRIVER / "bundle.json"
    complete = all((target / file).is_file() for file in written)
    if complete and facts.items() <= json.loads(record.read_text(encoding="utf-8")).items():
        return written

    wheel = installed_wheel()
    if wheel is None:
        raise SystemExit(
            f"driver library: {WHEEL} is not installed where this build runs: install it there, "
            "build with isolation, or build without a bundle with ACSYLLA_LIKE_BUNDLE=0"
        )
    sources = {name: checked(wheel / name, name, sha256) for name, sha256 in PIN.items()}
    shutil.rmtree(outdated, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, file in libraries.items():
        (target / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(sources[name], target / file)
    driver = folder / "driver.so"
    shutil.copyfile(sources[driver_name], driver)
    record.write_text(json.dumps(facts | {"stripped": strip(driver)}, indent=2) + "\n", encoding="utf-8")
    return written


class BuildExt(build_ext):
    """Cython and C++ into one extension, recompiling only what changed, and the driver library beside it."""

    def finalize_options(self) -> None:
        super().finalize_options()
        # One folder per interpreter and kind of build, whoever drives the build, so that nothing is compiled twice.
        self.build_temp = os.path.join("build", f"objects-{SOABI}" + ("-debug" if DEBUG else ""))
        self.cython_c_in_temp = True
        self.collected: list[Path] = []

    def run(self) -> None:
        # First of all, so that a library that is not the pinned one stops the build before anything is compiled.
        self.collected = collect_driver(Path() if self.inplace else Path(self.build_lib))
        super().run()

    def build_extensions(self) -> None:
        self.compiler.compile = self.compile_changed
        super().build_extensions()

    def compile_changed(
        self, sources, output_dir=None, macros=None, include_dirs=None, debug=0, extra_preargs=None, extra_postargs=None, depends=None
    ):
        """distutils' compile() with two differences: objects newer than everything they include stay, and it uses every core."""
        compiler = self.compiler
        macros, objects, extra_postargs, preprocessor, build = compiler._setup_compile(
            output_dir, macros, include_dirs, sources, depends, extra_postargs
        )
        arguments = compiler._get_cc_args(preprocessor, debug, extra_preargs)
        newest_header = max(map(os.path.getmtime, [*HEADERS, "setup.py"]))

        def compile_one(item):
            target, (source, extension) = item
            if self.force or not os.path.exists(target) or os.path.getmtime(target) < max(newest_header, os.path.getmtime(source)):
                compiler._compile(target, source, extension, arguments, extra_postargs, preprocessor)

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(compile_one, build.items()))
        return objects

    def get_outputs(self) -> list[str]:
        return [*super().get_outputs(), *(os.path.join(self.build_lib, file) for file in self.collected if not self.inplace)]

    def get_output_mapping(self) -> dict[str, str]:
        collected = {os.path.join(self.build_lib, file): str(file) for file in self.collected} if self.inplace else {}
        return super().get_output_mapping() | collected


class Sdist(sdist):
    """Adds what a build and a reader need and setuptools does not find by itself."""

    def make_distribution(self) -> None:
        for folder in ("vendor", "docs", "scripts", "tests"):
            if os.path.isdir(folder):
                self.filelist.recursive_include(folder, "*")
        self.filelist.extend(file for file in ("CHANGELOG.md", "Dockerfile") if os.path.isfile(file))
        self.filelist.exclude_pattern(r"(^|/)(__pycache__|\.[^/]*_cache|\.hypothesis)(/|$)", is_regex=True)
        self.filelist.exclude_pattern(r"\.(pyc|so|o)$", is_regex=True)
        self.filelist.remove_duplicates()
        self.filelist.sort()
        super().make_distribution()


HEADERS = sorted(glob("src_cpp/*.hpp") + glob("src_cpp/*.h") + glob("src_cpp/*.def"))
FRAGMENTS = sorted(glob("acsylla_like/_native.pxd") + glob("acsylla_like/_native/*.p[yx]*"))

native = Extension(
    "acsylla_like._native",
    sources=["acsylla_like/_native.pyx", *sorted(glob("src_cpp/*.cpp"))],
    depends=[*HEADERS, *FRAGMENTS],
    include_dirs=["src_cpp"],
    define_macros=[] if DEBUG else [("NDEBUG", None)],
    undef_macros=["NDEBUG"] if DEBUG else [],
    extra_compile_args=["-std=c++17", "-fvisibility=hidden", "-pthread", *(["-O0", "-g"] if DEBUG else ["-O2", "-g0"])],
    extra_link_args=["-pthread", *(["-ldl"] if sys.platform.startswith("linux") else [])],
    language="c++",
)
native.cython_directives = {"language_level": 3}

setup(
    ext_modules=[native],
    cmdclass={"build_ext": BuildExt, "sdist": Sdist},
    # setuptools' back end hands this on as a requirement of the build, so the wheel is asked for only where it is used.
    setup_requires=[WHEEL] if PIN is not None and installed_wheel() is None else [],
)
