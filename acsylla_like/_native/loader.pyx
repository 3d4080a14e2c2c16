# Loading of the driver library; the order of search is `_driver.py`'s.

class DriverLoadError(ImportError):
    """The driver library cannot be used; the message names the library and the reason."""


def load_library(str path not None):
    """Open the library at `path` (`dlopen`) and look up its functions.

    Raises DriverLoadError with the reason, or RuntimeError when a library is loaded already.
    """
    if driver_path().size() != 0:
        raise RuntimeError(f"a driver library is loaded already: {library_path()}")
    cdef string reason = load_driver(path.encode("utf-8", "surrogateescape"))
    if reason.size() != 0:
        raise DriverLoadError(reason.decode("utf-8", "replace"))


cdef int _ensure_loaded() except -1:
    """Before a use of the driver that may be the process's first."""
    if driver_path().size() == 0:
        # Imported here: the search for the library uses this module.
        from acsylla_like._driver import ensure_loaded
        ensure_loaded()
    return 0


def library_path():
    """Where the loaded library lies, or None."""
    if driver_path().size() == 0:
        return None
    return driver_path().decode("utf-8", "surrogateescape")


def library_functions():
    """The OPTIONAL functions of driver_functions.def, and whether the loaded library has each."""
    cdef pair[string, cbool] feature
    functions = {}
    for feature in driver_features():
        functions[feature.first.decode()] = feature.second
    return functions


def library_symbol_text(str name not None):
    """What `const char* name(int)` of the loaded library or its dependencies returns for 0, or None."""
    cdef string text = driver_symbol_text(name.encode())
    return None if text.size() == 0 else text.decode("utf-8", "replace")


def walk_rows_in_memory(bint allowed):
    """Whether rows may be read straight from an answer's bytes (row_walk.hpp): with a pinned library only."""
    allow_row_walk(allowed)


def guard_decoder():
    """Has a pinned library stay within an answer that is cut short (row_walk.hpp); returns whether that could be done."""
    return guard_driver_decoder(driver_library())


def walks_rows_in_memory():
    """Whether they are, where the library's own iterator agrees."""
    return row_walk_allowed()
