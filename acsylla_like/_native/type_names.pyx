# What types are called: the server's class names and CQL text, read into types.

import re


# ---- from a server's class name

cdef object _class_tokens = re.compile(r"\s*(?:([A-Za-z0-9_.$-]+)|(.))\s*", re.DOTALL)
cdef str _marshal = "org.apache.cassandra.db.marshal."
cdef dict _scalar_classes = {
    "AsciiType": "ascii", "LongType": "bigint", "BytesType": "blob", "BooleanType": "boolean",
    "CounterColumnType": "counter", "DecimalType": "decimal", "DoubleType": "double", "FloatType": "float",
    "Int32Type": "int", "UTF8Type": "text", "TimestampType": "timestamp", "UUIDType": "uuid", "IntegerType": "varint",
    "TimeUUIDType": "timeuuid", "InetAddressType": "inet", "SimpleDateType": "date", "TimeType": "time",
    "ShortType": "smallint", "ByteType": "tinyint", "DurationType": "duration", "DateType": "timestamp",
}
cdef dict _composite_classes = {"ListType": VALUE_LIST, "SetType": VALUE_SET, "MapType": VALUE_MAP,
                                "TupleType": VALUE_TUPLE}
cdef int _depth_limit = 64


cdef CqlType _type_from_class_name(str class_name, dict user_types):
    try:
        return _ClassNameParser(class_name, user_types).parse()
    except ValueError:
        return _custom_type(class_name)


cdef class _ClassNameParser:
    """Reads the server's class names, such as `…VectorType(…FloatType , 3)`; ValueError for what is none."""
    cdef str text
    cdef list tokens
    cdef int position
    cdef int depth
    cdef dict user_types

    def __cinit__(self, str text not None, dict user_types):
        self.text = text
        self.tokens = [(match.group(1) or match.group(2), match.start()) for match in _class_tokens.finditer(text)]
        self.tokens.append(("", len(text)))
        self.user_types = user_types

    cdef CqlType parse(self):
        cdef CqlType parsed = self.parse_type()
        if self.peek() != "":
            raise ValueError(self.text)
        return parsed

    cdef str peek(self):
        return self.tokens[self.position][0]

    cdef str take(self):
        cdef str token = self.peek()
        if token == "":
            raise ValueError(self.text)
        self.position += 1
        return token

    cdef int expect(self, str token) except -1:
        if self.take() != token:
            raise ValueError(self.text)
        return 0

    cdef CqlType parse_type(self):
        cdef CqlType inner
        cdef int start = self.position
        cdef list types
        self.depth += 1
        if self.depth > _depth_limit:
            raise ValueError(self.text)
        name = self.take().removeprefix(_marshal)
        if name in _scalar_classes:
            inner = _scalar_types[_scalar_classes[name]]
        elif name in ("FrozenType", "ReversedType"):
            self.expect("(")
            inner = self.parse_type()
            self.expect(")")
            if name == "FrozenType":
                inner = _nested(inner, False)
        elif name == "VectorType":
            self.expect("(")
            inner = self.parse_type()
            self.expect(",")
            inner = _vector_type(inner, _dimension(self.take()))
            self.expect(")")
        elif name == "UserType":
            inner = self.parse_user_type()
        elif name in _composite_classes:
            types = self.parse_types()
            if len(types) != {"ListType": 1, "SetType": 1, "MapType": 2}.get(name, len(types)):
                raise ValueError(self.text)
            inner = _composite_type(_composite_classes[name], tuple(types), name == "TupleType")
        else:
            inner = self.skip_custom(start)
        self.depth -= 1
        return inner

    cdef list parse_types(self):
        types = []
        self.expect("(")
        while True:
            types.append(self.parse_type())
            if self.peek() != ",":
                break
            self.take()
        self.expect(")")
        return types

    cdef CqlType parse_user_type(self):
        names = []
        types = []
        self.expect("(")
        keyspace = self.take()
        self.expect(",")
        type_name = bytes.fromhex(self.take()).decode()
        while self.peek() == ",":
            self.take()
            names.append(bytes.fromhex(self.take()).decode())
            self.expect(":")
            types.append(self.parse_type())
        self.expect(")")
        return _user_type(keyspace, type_name, tuple(names), tuple(types),
                          _registered(self.user_types, keyspace, type_name))

    cdef CqlType skip_custom(self, int start):
        cdef int depth = 0
        if self.peek() == "(":
            while True:
                token = self.take()
                depth += (token == "(") - (token == ")")
                if depth == 0:
                    break
        return _custom_type(self.text[self.tokens[start][1]:self.tokens[self.position][1]].strip())


cdef Py_ssize_t _dimension(str text) except -1:
    cdef Py_ssize_t dimension = int(text) if text.isdecimal() and len(text) < 10 else 0
    if dimension <= 0:
        raise ValueError(f"invalid dimension of a vector: {text}")
    return dimension


# ---- from CQL text

cdef object _cql_tokens = re.compile(r"""\s*(?:([A-Za-z0-9_]+)|"((?:[^"]|"")*)"|'((?:[^']|'')*)'|([<>,.]))\s*""")
cdef dict _composite_names = {"list": (VALUE_LIST, 1), "set": (VALUE_SET, 1), "map": (VALUE_MAP, 2),
                              "tuple": (VALUE_TUPLE, -1)}


def parse_type(str text not None, *, str keyspace="", user_types=None, classes=None):
    """The type that CQL text such as `map<text, frozen<list<int>>>`, or a server's class name, names.

    `user_types` maps the names of user types to a mapping of field names to the text of their types; `classes` maps
    (keyspace, name) of user types to the class their values become. Raises ValueError when the text is no type.
    """
    if text.startswith(_marshal):
        return _ClassNameParser(text, None if classes is None else dict(classes)).parse()
    return _CqlTextParser(text, keyspace, user_types or {}, {} if classes is None else dict(classes), 0).parse()


cdef class _CqlTextParser:
    cdef str text
    cdef str keyspace
    cdef object user_types
    cdef dict classes
    cdef list tokens  # (text, whether it is an unquoted word or a sign)
    cdef int position
    cdef int depth

    def __cinit__(self, str text not None, str keyspace, user_types, dict classes, int depth):
        cdef Py_ssize_t end = 0
        self.text = text
        self.keyspace = keyspace
        self.user_types = user_types
        self.classes = classes
        self.depth = depth
        self.tokens = []
        for match in _cql_tokens.finditer(text):
            if match.start() != end:
                break
            end = match.end()
            word, quoted, class_name, sign = match.groups()
            if quoted is not None:
                self.tokens.append((quoted.replace('""', '"'), '"'))
            elif class_name is not None:
                self.tokens.append((class_name.replace("''", "'"), "'"))
            else:
                self.tokens.append((word.lower() if sign is None else sign, ""))
        if end != len(text):
            raise self.error()
        self.tokens.append(("", ""))

    cdef object error(self):
        return ValueError(f"not a CQL type: {_short(self.text)}")

    cdef CqlType parse(self):
        cdef CqlType parsed = self.parse_type()
        if self.tokens[self.position] != ("", ""):
            raise self.error()
        return parsed

    cdef bint at(self, str sign):
        return self.tokens[self.position] == (sign, "")

    cdef int expect(self, str sign) except -1:
        if not self.at(sign):
            raise self.error()
        self.position += 1
        return 0

    cdef CqlType parse_type(self):
        cdef CqlType inner
        cdef list types
        cdef str name, quote
        self.depth += 1
        if self.depth > _depth_limit:
            raise self.error()
        name, quote = self.tokens[self.position]
        if name == "" or (quote == "" and not name.replace("_", "a").isalnum()):
            raise self.error()
        self.position += 1
        if quote == "'":
            inner = _type_from_class_name(name, self.classes)
        elif quote == "" and name in _scalar_types:
            inner = _scalar_types[name]
        elif quote == "" and self.at("<"):
            self.position += 1
            types = [self.parse_type()]
            if name == "vector":
                self.expect(",")
                text, _ = self.tokens[self.position]
                self.position += 1
                inner = _vector_type(types[0], _dimension(text))
            else:
                while self.at(","):
                    self.position += 1
                    types.append(self.parse_type())
                inner = self.compose(name, types)
            self.expect(">")
        else:
            inner = self.user_type(name)
        self.depth -= 1
        return inner

    cdef CqlType compose(self, str name, list types):
        if name == "frozen" and len(types) == 1:
            return _nested(types[0], False)
        kind, count = _composite_names.get(name, (0, 0))
        if count != len(types) and count != -1:
            raise self.error()
        return _composite_type(kind, tuple(types))

    cdef CqlType user_type(self, str name):
        cdef str keyspace = self.keyspace
        if self.at("."):
            self.position += 1
            keyspace = name
            name, _ = self.tokens[self.position]
            self.position += 1
        fields = self.user_types.get(name)
        if fields is None:
            raise ValueError(f"unknown type {_quoted(name)} in {_short(self.text)}")
        types = [_CqlTextParser(text, keyspace, self.user_types, self.classes, self.depth).parse()
                 for text in fields.values()]
        return _user_type(keyspace, name, tuple(fields), tuple(types), _registered(self.classes, keyspace, name))
