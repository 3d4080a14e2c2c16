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
            self.entries.append((statement.query, statement.parameters))
        elif isinstance(query, PreparedStatement):
            self.entries.append(((<PreparedStatement>query), (<PreparedStatement>query).bind(parameters).parameters))
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


cdef CassBatch* new_batch(Batch batch, list entries, Options options) except NULL:
    """The driver's batch of entries of which no text has values any more."""
    cdef BatchHandle handle
    cdef StatementHandle statement
    cdef PreparedVersion version
    cdef Py_ssize_t index = 0
    handle.reset(driver.cass_batch_new(batch.type_code))
    for query, parameters in entries:
        try:
            if isinstance(query, PreparedStatement):
                version = version_of(<PreparedStatement>query)
                statement.reset(new_statement(version))
                bind_values(statement.get(), version, positional(parameters, version))
            else:
                statement.reset(new_text_statement(query))
        except (TypeError, ValueError, OverflowError, KeyError) as error:
            raise type(error)(f"statement {index} of the batch: {error}") from error
        check(driver.cass_batch_add_statement(handle.get(), statement.get()), f"statement {index} of the batch")
        index += 1
    options.apply_to_batch(handle.get())
    return handle.release()
