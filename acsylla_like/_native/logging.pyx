# The driver's log lines, from every cluster, to `logging.getLogger("acsylla_like.driver")`.

import logging as _logging

cdef extern from *:
    """
    static void acsylla_like_delete_line(acsylla_like::LogLine* line) { delete line; }
    """
    void _delete_line "acsylla_like_delete_line"(LogLine* line) nogil

_driver_logger = _logging.getLogger("acsylla_like.driver")

# CassLogLevel: disabled, critical, error, warn, info, debug, trace
_LOGGING_LEVELS = (0, _logging.CRITICAL, _logging.ERROR, _logging.WARNING, _logging.INFO, _logging.DEBUG, 5)
_DRIVER_LEVELS = {"disabled": 0, "critical": 1, "error": 2, "warning": 3, "info": 4, "debug": 5, "trace": 6}
cdef bint _logging_started = False
cdef object _log_listener = None
_driver_level = 4           # what the package's user wants of the driver
_listener_level = 0         # what the listener wants


def set_driver_log_level(str level not None):
    """From which level on the driver makes log lines at all: disabled, critical, error, warning, info, debug or trace.

    Process-wide, like the driver's log; call it before the first session. What is made is filtered again by the logger
    `acsylla_like.driver`. Raises ValueError for another word.
    """
    global _logging_started, _driver_level
    if level not in _DRIVER_LEVELS:
        raise ValueError(f"log level {level!r} is none of {', '.join(_DRIVER_LEVELS)}")
    _ensure_loaded()
    _driver_level = _DRIVER_LEVELS[level]
    _set_level()


def set_log_listener(listener):
    """Has each line given to `listener(severity, text, file, line, function, milliseconds)` first; the package's own logger
    gets those for which it returns False. The severity is the driver's number."""
    global _log_listener
    _log_listener = listener


def widen_driver_log(str level not None):
    """Has the driver make lines of `level` for the listener, even if the package's user wants less. Raises ValueError."""
    global _listener_level
    if level not in _DRIVER_LEVELS:
        raise ValueError(f"log level {level!r} is none of {', '.join(_DRIVER_LEVELS)}")
    _ensure_loaded()
    _listener_level = _DRIVER_LEVELS[level]
    _set_level()


cdef int _set_level() except -1:
    global _logging_started
    level = max(_driver_level, _listener_level)
    if _logging_started:
        driver.cass_log_set_level(level)  # not the callback again, which sessions may be reading
    else:
        start_logging(level)
        _logging_started = True
    return 0


cdef int ensure_logging() except -1:
    if not _logging_started:
        set_driver_log_level("info")
    return 0


def deliver_log_lines():
    """Hands the lines that wait to the logger: done by every event loop that has sessions, and at exit."""
    cdef LogLine* line = log_lines().take_all()
    cdef LogLine* rest
    try:
        while line != NULL:
            rest = line.next
            try:
                _deliver(&line.message)
            finally:
                _delete_line(line)
                line = rest
    finally:
        while line != NULL:
            rest = line.next
            _delete_line(line)
            line = rest
    cdef uint64_t dropped = take_dropped_log_lines()
    if dropped:
        _driver_logger.warning("%d log lines were dropped: no event loop took them", dropped)


cdef int _deliver(const CassLogMessage* message) except -1:
    severity = message.severity if message.severity < 7 else 5
    text = message.message.decode("utf-8", "replace")
    # ScyllaDB's fork says this as an error for each connection to a server that has no shards, as Apache Cassandra.
    if "Continuing WITHOUT SHARD-AWARENESS" in text:
        severity = 5
    if _log_listener is not None:
        try:
            if _log_listener(severity, text, message.file.decode("utf-8", "replace"), message.line,
                             message.function.decode("utf-8", "replace"), message.time_ms):
                return 0
        except Exception:
            _driver_logger.exception("the listener for log lines failed")
    level = _LOGGING_LEVELS[severity]
    if not _driver_logger.isEnabledFor(level):
        return 0
    record = _driver_logger.makeRecord(
        _driver_logger.name, level, message.file.decode("utf-8", "replace"), message.line, text, (), None,
        message.function.decode("utf-8", "replace"))
    record.created = message.time_ms / 1000.0
    record.msecs = message.time_ms % 1000
    _driver_logger.handle(record)
    return 0
