# Batches: several writes in one request.

cimport cython

_BATCH_TYPES = {"logged": 0, "unlogged": 1, "counter": 2}


@cython.final
cdef class Batch:
    """Writes that travel together; made by `create_batch_logged`, `create_batch_unlogged` and `create_batch_counter`."""

    def __cinit__(self):
        self.kind = "unlogged"
        self.type_code = _BATCH_TYPES[self.kind]
        self.entries = []
        self.options = _NO_OPTIONS

    def __init__(self, str kind not None, Options options=None):
        if kind not in _BATCH_TYPES:
            raise ValueError(f"a batch is logged, unlogged or counter, not {kind!r}")
        self.kind = kind
        self.type_code = _BATCH_TYPES[kind]
        if options is not None:
            self.options = options

    def add(self, query, parameters=None):
        """Adds a text, a PreparedStatement or a Statement, with its values; returns the batch.

        The values of a prepared statement are checked here, those of a text when the batch is executed (it is prepared
        then). Raises TypeError, ValueError, OverflowError or BindError.
        """
        cdef Statement statement
        if isinstance(query, Statement):
            if parameters is not None:
                raise TypeError("a Statement has its values already: give them to create_statement or bind")
            statement = <Statement>query
            query = statement.query
            parameters = statement.parameters
        if isinstance(query, PreparedStatement):
            self.entries.append((query, bound(<PreparedStatement>query, parameters)))
        elif isinstance(query, str):
            refuse_percent_markers(query, parameters)
            self.entries.append((query, frozen_parameters(query, parameters)))
        else:
            raise TypeError(
                f"a batch takes a str, a PreparedStatement or a Statement, not {type(query).__name__}")
        return self

    def __len__(self):
        return len(self.entries)

    def __repr__(self):
        return f"<Batch {self.kind}, {len(self.entries)} statements>"


@cython.final
cdef class BoundValues:
    """The values of a prepared statement within a batch, with the driver's statement that they were bound to. That one is
    not changed any more, so any number of batches may hold it."""


cdef BoundValues bound(PreparedStatement prepared, object parameters):
    cdef BoundValues made = BoundValues.__new__(BoundValues)
    made.version = version_of(prepared)
    made.parameters = frozen_values(positional(parameters, made.version), made.version)
    made.statement.reset(new_statement(made.version))
    bind_values(made.statement.get(), made.version, made.parameters)
    return made


cdef CassBatch* new_batch(Batch batch, list entries, Options options) except NULL:
    """The driver's batch of entries of which no text has values any more."""
    cdef BatchHandle handle
    cdef StatementHandle text
    cdef BoundValues values
    cdef CassError code
    cdef Py_ssize_t index = 0
    handle.reset(driver.cass_batch_new(batch.type_code))
    try:
        for query, parameters in entries:
            if isinstance(query, PreparedStatement):
                values = <BoundValues>parameters if isinstance(parameters, BoundValues) else bound(query, parameters)
                if values.version is not version_of(<PreparedStatement>query):  # prepared anew since
                    values = bound(query, values.parameters)
                code = driver.cass_batch_add_statement(handle.get(), values.statement.get())
            else:
                text.reset(new_text_statement(query))
                code = driver.cass_batch_add_statement(handle.get(), text.get())
            if code != CASS_OK:
                check(code, f"statement {index} of the batch")
            index += 1
    except (TypeError, ValueError, OverflowError, KeyError) as error:
        raise type(error)(f"statement {index} of the batch: {error}") from error
    options.apply_to_batch(handle.get())
    return handle.release()
