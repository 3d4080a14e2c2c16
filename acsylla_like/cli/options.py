"""What can be asked of the command line, the exit codes, and the connection that all commands share."""

from __future__ import annotations

import argparse
import enum
import getpass
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, get_args

import acsylla_like
from acsylla_like.security import Tls, Verify

if TYPE_CHECKING:
    from acsylla_like.cluster import ConnectOptions

__all__ = ["Exit", "Problem", "column_names", "connected", "is_query", "parser_of_all"]

FORMATS = ("csv", "jsonl", "parquet", "arrow", "arrows")
COMPRESSIONS = ("none", "gz", "zst", "bz2")


class Exit(enum.IntEnum):
    """What a command's exit code says."""

    DONE = 0
    FAILED = 1
    """It ended in the middle: the server, the network, the file, the first row that was refused; or `doctor` found a fault."""
    MISTAKE = 2
    """Options, table, columns or file do not go together; nothing was written."""
    REFUSED = 3
    """All was read, and some rows were refused: they are in the error file."""
    UNREACHABLE = 4
    """No connection, or no login."""
    INTERRUPTED = 130
    TERMINATED = 143


class Problem(Exception):
    """What the user is told in one line, and the exit code."""

    def __init__(self, text: str, code: Exit = Exit.FAILED) -> None:
        super().__init__(text)
        self.code = code


def is_query(text: str) -> bool:
    """Whether it is CQL rather than a table's name."""
    return text.lstrip().upper().startswith("SELECT") and len(text.split()) > 1


# ---- values of options


def _positive(text: str) -> int:
    number = int(text.replace("_", ""))
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return number


def _at_least_zero(text: str) -> int:
    number = int(text.replace("_", ""))
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text} is negative")
    return number


def _seconds(text: str) -> float:
    number = float(text)
    if not number > 0:
        raise argparse.ArgumentTypeError(f"{text} is not more than 0")
    return number


def _delimiter(text: str) -> str:
    text = {"\\t": "\t", "tab": "\t"}.get(text, text)
    if len(text) != 1 or text in '"\r\n' or ord(text) > 127:
        raise argparse.ArgumentTypeError("a delimiter is one ASCII character, or tab")
    return text


def _decimals(text: str) -> tuple[str, tuple[int, int]]:
    name, _, digits = text.rpartition("=")
    precision, _, scale = digits.partition(",")
    if not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=PRECISION,SCALE")
    return name, (int(precision), int(scale or "0"))


def column_names(given: Sequence[str] | None) -> dict[str, str] | None:
    """From `FILE=TABLE` and `NAME`, separated by commas, to the table's name of each column of the file."""
    if not given:
        return None
    names: dict[str, str] = {}
    for part in (part.strip() for text in given for part in text.split(",")):
        in_file, _, in_table = part.partition("=")
        if not in_file or in_file in names:
            raise Problem(f"--columns: {part!r} is {'there twice' if in_file else 'no column'}", Exit.MISTAKE)
        names[in_file] = in_table or in_file
    return names


# ---- the parsers


def parser_of_all() -> argparse.ArgumentParser:
    """The parser of the whole command line; `.command` is what is to be done."""
    parser = argparse.ArgumentParser(
        prog="acsylla-like",
        description="Tables of Apache Cassandra and ScyllaDB from and to files.",
        epilog="The password comes from ACSYLLA_LIKE_PASSWORD, or is asked for. "
        "Exit codes: 0 done, 1 failed in the middle, 2 a mistake and nothing written, 3 some rows were refused, 4 no connection, "
        "130 and 143 interrupted.",
    )
    parser.add_argument("--version", action="version", version=_version())
    commands = parser.add_subparsers(dest="command", required=True, metavar="load|unload|query|doctor")
    _add_load(commands.add_parser("load", help="files into a table", description="Loads files into a table."))
    _add_unload(commands.add_parser("unload", help="a table or query into a file", description="Writes a table or a query to a file."))
    _add_query(commands.add_parser("query", help="print the result of a statement", description="Prints the result of a statement."))
    _add_doctor(commands.add_parser("doctor", help="check library, cluster and connection", description="Checks library and cluster."))
    for command in commands.choices.values():
        _add_connection(command)
    return parser


def _version() -> str:
    from importlib import metadata

    try:
        return f"acsylla_like {metadata.version('acsylla_like')}"
    except metadata.PackageNotFoundError:
        return "acsylla_like (not installed)"


def _add_connection(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("connection")
    environment = os.environ.get
    group.add_argument(
        "--contact-points",
        metavar="HOST[,HOST]",
        default=environment("ACSYLLA_LIKE_CONTACT_POINTS", "127.0.0.1"),
        help="some nodes of the cluster (default: ACSYLLA_LIKE_CONTACT_POINTS, or 127.0.0.1)",
    )
    group.add_argument("--port", type=_positive, default=9042, help="their port (default: 9042)")
    group.add_argument(
        "--username", default=environment("ACSYLLA_LIKE_USERNAME"), help="(default: ACSYLLA_LIKE_USERNAME); the password is asked for"
    )
    group.add_argument("--keyspace", help="of tables that are named without one")
    group.add_argument("--local-dc", metavar="NAME", help="use the nodes of this data centre only")
    group.add_argument("--consistency", metavar="LEVEL", help="such as LOCAL_QUORUM")
    group.add_argument("--timeout", type=_seconds, metavar="SECONDS", help="for each request (default: 12)")
    group.add_argument("--connect-timeout", type=_seconds, metavar="SECONDS", default=5.0, help="(default: 5)")
    group = parser.add_argument_group("TLS", "Each of these options turns it on.")
    group.add_argument("--tls", action="store_true", help="encrypt, and check the server's certificate and address")
    group.add_argument(
        "--trust", action="append", metavar="FILE", help="PEM file of authorities; may be repeated (default: those the system trusts)"
    )
    group.add_argument(
        "--verify", choices=get_args(Verify), help="what the server proves: nothing, its certificate, or also its address or name (address)"
    )
    group.add_argument("--certificate", metavar="FILE", help="PEM file with this client's certificate")
    group.add_argument("--key", metavar="FILE", help="PEM file with its key, where it is in another file")


def _add_text(parser: argparse.ArgumentParser, what: str) -> None:
    group = parser.add_argument_group("format")
    group.add_argument("--format", choices=FORMATS, help=f"of {what} (default: by its name)")
    group.add_argument("--compression", choices=COMPRESSIONS, help=f"of {what} (default: by its name)")
    group.add_argument("--delimiter", type=_delimiter, help="between the cells of CSV (default: a comma; a tab for .tsv)")
    group.add_argument("--null", default="", metavar="TEXT", help="the CSV cell without quotes that is null (default: an empty one)")
    group.add_argument("--no-header", action="store_true", help="the CSV has no line with names")


def _add_progress(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quiet", action="store_true", help="no progress and no report")


def _add_load(parser: argparse.ArgumentParser) -> None:
    # `load FILE… ks.table`: argparse takes them in one, the last is the table.
    parser.add_argument("files", nargs="+", metavar="FILE", help="what to load; - is the standard input")
    parser.add_argument("table", metavar="KS.TABLE", help="where to")
    group = parser.add_argument_group("columns")
    group.add_argument(
        "--columns", action="append", metavar="NAME[=COLUMN],…", help="columns of the file that are loaded, and their names in the table"
    )
    group.add_argument("--nulls", choices=("unset", "null"), default="unset", help="leave null's column alone, or write null")
    group.add_argument("--truncate", action="store_true", help="cut parts of a millisecond instead of refusing them")
    group.add_argument("--ttl", type=_at_least_zero, metavar="SECONDS")
    group.add_argument("--timestamp", type=int, metavar="MICROSECONDS", help="of the writes")
    group.add_argument("--create-table", action="store_true", help="make the table from the file's columns when there is none")
    group.add_argument("--primary-key", metavar="KEY", help="of that table: 'id', 'day,id' or '(a,b),c'")
    _add_text(parser, "the files")
    group = parser.add_argument_group("how")
    group.add_argument("--concurrency", type=_positive, default=1024, metavar="N", help="rows in flight (default: 1024)")
    group.add_argument("--max-rate", type=_seconds, metavar="ROWS", help="rows per second at most")
    group.add_argument("--batch", type=_positive, metavar="BYTES", help="rows of a partition together, up to so many bytes (5000)")
    group.add_argument("--retries", type=_at_least_zero, default=8, metavar="N", help="of a row that fails in passing (default: 8)")
    group.add_argument("--errors", metavar="FILE", help="go on after rows that are refused, and write them here, whole, with the reason")
    group.add_argument("--max-errors", type=_at_least_zero, metavar="N", help="with --errors: give up after more refused rows than this")
    group.add_argument("--checkpoint", metavar="FILE", help="keep there how far the load is, and go on from there")
    group.add_argument("--dry-run", action="store_true", help="check all and write nothing")
    _add_progress(parser)


def _add_unload(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="KS.TABLE|SELECT", help="a table, or a query")
    parser.add_argument("out", metavar="OUT", help="the file; - is the standard output")
    parser.add_argument("--columns", action="append", metavar="NAME,…", help="of a table: these columns only")
    parser.add_argument("--where", metavar="CQL", help="of a table: these rows only")
    parser.add_argument("--decimals", action="append", type=_decimals, default=[], metavar="NAME=PRECISION,SCALE", help="as Arrow decimals")
    parser.add_argument("--overwrite", action="store_true", help="replace the file when it is there")
    _add_text(parser, "the file")
    parser.add_argument("--codec", default="zstd", choices=("none", "snappy", "gzip", "zstd"), help="within Parquet (default: zstd)")
    parser.add_argument("--row-group", type=_positive, default=100_000, metavar="ROWS", help="of Parquet, at most (default: 100,000)")
    parser.add_argument("--concurrency", type=_positive, default=8, metavar="N", help="token ranges read at a time (default: 8)")
    parser.add_argument("--page-size", type=_positive, default=5000, metavar="ROWS", help="(default: 5,000)")
    _add_progress(parser)


def _add_query(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("query", metavar="CQL", help="the statement")
    parser.add_argument("--format", choices=("table", "csv", "json"), default="table", help="(default: table); json is one object a line")
    parser.add_argument("--page-size", type=_positive, default=5000, metavar="ROWS", help="(default: 5,000)")


def _add_doctor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--max-skew", type=_seconds, default=0.5, metavar="SECONDS", help="between clocks (default: 0.5)")
    parser.add_argument("--table", metavar="KEYSPACE.TABLE", help="traces reads of its keys, to see whether they find their shard")
    parser.add_argument("--traces", type=_positive, default=200, metavar="N", help="how many reads of --table (default: 200)")


# ---- the connection


def _secret(variable: str, what: str) -> str:
    """From the environment or, without that, from the user."""
    secret = os.environ.get(variable)
    if secret is None:
        try:
            os.close(os.open("/dev/tty", os.O_RDWR))  # without a terminal getpass would read the data
            secret = getpass.getpass(f"{what}: ")
        except (EOFError, OSError):
            raise Problem(f"there is nobody to ask for the {what}: set {variable}", Exit.MISTAKE) from None
    return secret


def _tls(options: argparse.Namespace) -> Tls | None:
    if not (options.tls or options.trust or options.verify or options.certificate or options.key):
        return None
    return Tls(
        trust=options.trust,
        verify=options.verify or "address",
        certificate=options.certificate,
        key=options.key,
        key_password=None if options.certificate is None else lambda: _secret("ACSYLLA_LIKE_KEY_PASSWORD", "password of the key"),
    )


@asynccontextmanager
async def connected(options: argparse.Namespace) -> AsyncIterator[acsylla_like.Session]:
    """A session as the options of the connection say. Raises Problem when there can be none."""
    chosen: ConnectOptions = {
        "port": options.port,
        "connect_timeout": options.connect_timeout,
        "keyspace": options.keyspace,
        "local_dc": options.local_dc,
        "consistency": options.consistency,
        "application_name": "acsylla-like",
    }
    if options.timeout is not None:
        chosen["request_timeout"] = options.timeout
    if options.username is not None:
        chosen["username"] = options.username
        chosen["password"] = _secret("ACSYLLA_LIKE_PASSWORD", f"password of {options.username}")
    try:
        chosen["ssl"] = _tls(options)
        connecting = acsylla_like.connect(options.contact_points, **chosen)
    except (TypeError, ValueError, OSError) as error:  # of the files, too
        raise Problem(f"{error}", Exit.MISTAKE) from None
    except (acsylla_like.Error, acsylla_like.DriverLoadError) as error:
        raise Problem(f"{error}", Exit.UNREACHABLE) from None
    try:
        session = await connecting
    except acsylla_like.InvalidQuery as error:
        raise Problem(f"{error}", Exit.MISTAKE) from None
    except acsylla_like.Error as error:
        raise Problem(f"{error}", Exit.UNREACHABLE) from None
    try:
        yield session
    finally:
        await session.close()
