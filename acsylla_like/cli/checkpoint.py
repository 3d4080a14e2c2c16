"""The file that says how far a load is."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from acsylla_like.cli.options import Exit, Problem

__all__ = ["Checkpoint", "State"]


@dataclass(frozen=True)
class State:
    """How far it is."""

    settled: int
    """Every row of the input before this number is written, or in the error file."""
    errors: int
    """Bytes of the error file that tell of these rows."""
    refused: int
    """Rows in the error file."""


class Checkpoint:
    """Kept in JSON: which files go to which columns of which table, and how far that is."""

    def __init__(self, name: str, table: str, columns: Mapping[str, str] | None, files: Sequence[tuple[str, int | None]]) -> None:
        """`files` have their sizes in bytes, where they have one."""
        self._path = Path(name)
        self._load = {
            "table": table,
            "columns": None if columns is None else dict(columns),
            "files": [{"name": file, "size": size} for file, size in files],
        }

    def state(self) -> State | None:
        """What an earlier load has left, or None. Raises Problem when that was another one."""
        try:
            saved = json.loads(self._path.read_text(encoding="utf-8"))
            state = State(int(saved.pop("settled")), int(saved.pop("errors")), int(saved.pop("refused")))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            raise Problem(f"--checkpoint {self._path}: it is no checkpoint of a load", Exit.MISTAKE) from None
        for key, now in self._load.items():
            if saved.get(key) != now:
                was = saved.get(key)
                raise Problem(f"--checkpoint {self._path}: it is of another load: its {key} were {was}, and are {now}", Exit.MISTAKE)
        return state

    def save(self, state: State) -> None:
        """In one step: whoever is killed here leaves the file as it was before, or the new one."""
        unfinished = self._path.with_name(f"{self._path.name}.{os.getpid()}.new")
        with unfinished.open("w", encoding="utf-8") as file:
            file.write(json.dumps({**self._load, **vars(state)}) + "\n")
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(self._path)
