"""File formats and compressions: which one a name means, and the streams under them."""

from __future__ import annotations

import contextlib
import io
import os
import select
import shutil
import stat
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from acsylla_like.cli.options import Exit, Problem

__all__ = ["Format", "Input", "Output", "format_of"]

_SUFFIXES = {
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    ".arrows": "arrows",
}
_COMPRESSED = {".gz": "gz", ".zst": "zst", ".zstd": "zst", ".bz2": "bz2"}
_CODECS = {"gz": "gzip", "zst": "zstd", "bz2": "bz2"}
# Seconds between two looks at whether a read that waits is still wanted.
_LOOK = 0.1


@dataclass(frozen=True)
class Format:
    """How a file is written."""

    name: str
    """csv, jsonl, parquet, arrow (the IPC file format) or arrows (the IPC stream)."""
    compression: str
    """none, gz, zst or bz2, around the whole file."""
    delimiter: str = ","
    null: str = ""
    has_header: bool = True


def format_of(name: str, options: Any) -> Format:
    """By the file's name, where the options do not say it."""
    suffixes = [suffix.lower() for suffix in Path(name).suffixes[-2:]]
    compression = options.compression
    if suffixes and suffixes[-1] in _COMPRESSED:
        compression = compression or _COMPRESSED[suffixes[-1]]
        suffixes.pop()
    kind = options.format or (_SUFFIXES.get(suffixes[-1]) if suffixes else None)
    if kind is None:
        raise Problem(f"{name}: give --format, the name does not tell it", Exit.MISTAKE)
    delimiter = options.delimiter or ("\t" if suffixes[-1:] == [".tsv"] else ",")
    return Format(kind, compression or "none", delimiter, options.null, not options.no_header)


class _Bytes(io.RawIOBase):
    """The bytes of a file or pipe; counts them, and a read that waits for a pipe ends when it is closed by another thread."""

    def __init__(self, descriptor: int, *, owns: bool) -> None:
        self._descriptor = descriptor
        self._owns = owns
        self._is_pipe = not stat.S_ISREG(os.fstat(descriptor).st_mode)
        self.position = 0
        self.is_given_up = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while self._is_pipe and not select.select([self._descriptor], [], [], _LOOK)[0]:
            if self.is_given_up:
                return 0
        count = os.readv(self._descriptor, [buffer])
        self.position += count
        return count

    def close(self) -> None:
        if self._owns and not self.closed:
            os.close(self._descriptor)
        super().close()


class Input:
    """One file to read, or the standard input."""

    def __init__(self, name: str, form: Format) -> None:
        """Raises Problem when it cannot be opened."""
        self.name = name
        self.form = form
        self._stack = ExitStack()
        try:
            descriptor = sys.stdin.fileno() if name == "-" else os.open(name, os.O_RDONLY)
            details = os.fstat(descriptor)
            if stat.S_ISDIR(details.st_mode):
                os.close(descriptor)
                raise IsADirectoryError(21, "it is a folder", name)
        except (OSError, ValueError) as error:
            raise Problem(f"{name}: {getattr(error, 'strerror', None) or error}", Exit.MISTAKE) from None
        self._stream: BinaryIO | None = None
        self._bytes = _Bytes(descriptor, owns=name != "-")
        self._stack.callback(self._bytes.close)
        self.is_regular = stat.S_ISREG(details.st_mode)
        self.size = details.st_size if self.is_regular else None

    @property
    def position(self) -> int:
        """Bytes of the file that have been read."""
        return self._bytes.position

    def give_up(self) -> None:
        """Ends a read that waits; to be called by any thread."""
        self._bytes.is_given_up = True

    def stream(self) -> BinaryIO:
        """What is in the file, from where it has been read to on; always the same stream."""
        if self._stream is None:
            self._stream = io.BufferedReader(self._bytes, 1 << 20)
            if self.form.compression != "none":
                packed = pa.PythonFile(self._stream, mode="r")
                self._stream = io.BufferedReader(pa.CompressedInputStream(packed, _CODECS[self.form.compression]), 1 << 20)
        return self._stream

    def seekable(self) -> Any:
        """The whole file, to be read in any order: what is compressed or comes from a pipe goes to a temporary file."""
        if self.is_regular and self.form.compression == "none":
            return self._stack.enter_context(pa.OSFile(self.name if self.name != "-" else f"/dev/fd/{sys.stdin.fileno()}"))
        spool = self._stack.enter_context(tempfile.TemporaryFile(prefix="acsylla-like-"))  # noqa: SIM115
        shutil.copyfileobj(self.stream(), spool, 1 << 20)
        spool.seek(0)
        return spool

    def close(self) -> None:
        self._stack.close()


class _Kept(io.RawIOBase):
    """A file that whoever writes to it does not close."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return self._file.write(data)

    def tell(self) -> int:
        return self._file.tell()


class Output:
    """A file to write. It has its name when it is whole: before, it is `NAME.part`, and nothing is left of one that fails."""

    def __init__(self, name: str, form: Format, *, overwrite: bool) -> None:
        """Raises Problem when it cannot be opened, or is there already."""
        self.name = name
        self._part: Path | None = None
        path = Path(name)
        try:
            if name == "-":
                self._file: BinaryIO = os.fdopen(os.dup(sys.stdout.fileno()), "wb", 1 << 20)
            elif path.exists() and not path.is_file():
                self._file = path.open("wb", 1 << 20)  # a pipe or a device
            else:
                if path.exists() and not overwrite:
                    raise Problem(f"{name} is there already: --overwrite replaces it", Exit.MISTAKE)
                self._part = path.with_name(f"{path.name}.part")
                self._file = self._part.open("wb", 1 << 20)
        except OSError as error:
            raise Problem(f"{name}: {error.strerror or error}", Exit.MISTAKE) from None
        self._compressed: Any = None
        self.sink: Any = pa.PythonFile(_Kept(self._file), mode="w")
        if form.compression != "none":
            self._compressed = pa.CompressedOutputStream(self.sink, _CODECS[form.compression])
            self.sink = self._compressed

    def finish(self) -> None:
        """Gives the file its name."""
        if self._compressed is not None:
            self._compressed.close()
        self._file.flush()
        if self._part is not None:
            os.fsync(self._file.fileno())
            self._file.close()
            self._part.replace(self.name)
        else:
            self._file.close()

    def discard(self) -> None:
        """Leaves nothing of it, as far as that is a file."""
        with contextlib.suppress(OSError):  # a pipe that nobody reads any more
            self._file.close()
        if self._part is not None:
            self._part.unlink(missing_ok=True)
