# Prepared statements: what the driver prepared, and the user's object that outlives its renewals.

from weakref import ref as _weak_reference

cimport cython

@cython.final
cdef class PreparedVersion:
    """One preparation of a text. Replaced as a whole when the schema changes; requests in flight keep theirs."""


cdef PreparedVersion prepared_version(const CassPrepared* prepared, str text, Session session):
    """Takes the driver's prepared statement over."""
    if prepared == NULL:
        raise _errors.ProtocolError("the server's answer is no prepared statement")
    cdef PreparedVersion version = PreparedVersion.__new__(PreparedVersion)
    version.handle.reset(prepared)
    version.text = text
    version.session_number = session.number
    version.session_reference = _weak_reference(session)
    version.keyspace = session.keyspace
    cdef const char* name = NULL
    cdef size_t length = 0
    cdef size_t index = 0
    cdef const CassDataType* data_type
    names = []
    types = []
    # The C API has no count of the parameters: the first index without a name is the end.
    while driver.cass_prepared_parameter_name(prepared, index, &name, &length) == CASS_OK:
        data_type = driver.cass_prepared_parameter_data_type(prepared, index)
        names.append(name[:length].decode("utf-8", "replace"))
        types.append(cql_type_from_driver(data_type, session.user_types))
        version.data_types.push_back(data_type)
        version.takes_mutable = version.takes_mutable or _may_be_mutable(types[-1])
        index += 1
    version.parameter_names = tuple(names)
    version.parameter_types = tuple(types)
    version.roles.resize(index, ROLE_UNKNOWN)
    return version


cdef PreparedVersion version_of(PreparedStatement prepared):
    """Its present version. Raises TypeError where there is none to execute."""
    cdef PreparedVersion version = prepared.version
    if version is None or version.parameter_names is None:
        raise TypeError("this PreparedStatement was made by __new__")
    return version


class Parameter:
    """A marker of a prepared statement: `.name` and `.type` (a CqlType; its str is the CQL type)."""

    __slots__ = ("name", "type")

    def __init__(self, name, type):
        self.name = name
        self.type = type

    def __repr__(self):
        return f"Parameter({self.name!r}, {str(self.type)!r})"

    def __eq__(self, other):
        return isinstance(other, Parameter) and (self.name, str(self.type)) == (other.name, str(other.type))

    def __hash__(self):
        return hash((self.name, str(self.type)))


@cython.final
cdef class PreparedStatement:
    """A statement that the cluster has parsed; made by `Session.create_prepared`.

    `.query` is the user's text, `.parameters` its markers, `.keyspace` the session's keyspace when it was prepared.
    """

    def __cinit__(self):
        self.query = ""
        self.options = _NO_OPTIONS

    @staticmethod
    def _make(str query not None, keyspace, PreparedVersion version, Options options, bint has_star, schema_version):
        cdef PreparedStatement prepared = PreparedStatement.__new__(PreparedStatement)
        prepared.query = query
        prepared.keyspace = keyspace
        prepared.version = version
        prepared.options = _NO_OPTIONS if options is None else options
        prepared.has_star = has_star
        prepared.schema_version = schema_version
        return prepared

    def _renew(self, PreparedVersion version not None, schema_version):
        self.version = version
        self.schema_version = schema_version

    @property
    def _version(self):
        return self.version

    @property
    def parameters(self):
        """The markers in their order, as a tuple of `Parameter`."""
        cdef PreparedVersion version = version_of(self)
        return tuple([Parameter(name, cql_type) for name, cql_type in
                      zip(version.parameter_names, version.parameter_types)])

    def bind(self, parameters=None, **options):
        """A Statement of it with these values (a sequence, or a mapping by name) and the options of `Session.execute`.

        Raises TypeError, ValueError, OverflowError or BindError for values that do not fit.
        """
        cdef PreparedVersion version = version_of(self)
        cdef tuple values = frozen_values(positional(parameters, version), version)
        cdef StatementHandle trial
        trial.reset(new_statement(version))
        bind_values(trial.get(), version, values)
        return Statement(self, values, Options(defaults=self.options, **options) if options else self.options)

    def __repr__(self):
        return f"<PreparedStatement {_errors.shorten(self.query, 80)!r}>"
