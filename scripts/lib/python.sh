# Sets python to a CPython 3.10 or later that can make virtual environments and build extensions, or ends with one line.
# $PYTHON, when given, is the only candidate.

what_it_lacks='
import importlib.util, os, sys, sysconfig
version = "{}.{}".format(*sys.version_info[:2])
if sys.version_info < (3, 10) or sys.implementation.name != "cpython":
    sys.exit("old")
lacks = []
if not all(map(importlib.util.find_spec, ("venv", "ensurepip"))):
    lacks.append(("the module venv", "python%s-venv" % version))
if not os.path.isfile(os.path.join(sysconfig.get_path("include"), "Python.h")):
    lacks.append(("its C headers", "python%s-dev" % version))
if lacks:
    command = "brew install python" if sys.platform == "darwin" else "apt-get install " + " ".join(p for _, p in lacks)
    sys.exit("%s (%s) lacks %s; install with: %s" % (sys.executable, version, " and ".join(n for n, _ in lacks), command))
'

python=
lacking=
for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python3.10 python}; do
    command -v "$candidate" >/dev/null 2>&1 || continue
    if said=$("$candidate" -c "$what_it_lacks" 2>&1); then
        python=$candidate
        break
    fi
    case $said in *lacks*) lacking=${lacking:-$said} ;; esac
done
if [ -z "$python" ]; then
    if [ "$(uname)" = Darwin ]; then
        install="brew install python"
    else
        install="apt-get install python3 python3-venv python3-dev"
    fi
    echo "$0: ${lacking:-no CPython 3.10 or later was found${PYTHON:+ as $PYTHON}; install it with: $install}" >&2
    exit 1
fi
