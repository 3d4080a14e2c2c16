"""Checkpoint files: what a load or a scan has done, for the call that goes on with it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

__all__ = ["Checkpoint"]


class Checkpoint:
    """A JSON file that belongs to one piece of work: it says which, and how far that has come."""

    def __init__(self, path: str | os.PathLike[str], work: str, identity: dict[str, Any]) -> None:
        """`work` is what an error calls it, `identity` what makes it this one and no other."""
        self._path = Path(path)
        self._work = work
        self._identity = identity

    def read(self) -> Any:
        """What was saved, or None where there is no file. Raises ValueError when the file is of other work."""
        try:
            saved = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except ValueError:
            saved = None
        if not isinstance(saved, dict) or saved.keys() != {*self._identity, "done"}:
            raise ValueError(f"{self._path} is no checkpoint of a {self._work}")
        done = saved.pop("done")
        if saved != self._identity:
            raise ValueError(f"{self._path} is the checkpoint of a {self._work} of {_told(saved)}, not of {_told(self._identity)}")
        return done

    def save(self, done: Any) -> None:
        """In one step: whoever is killed here leaves the file as it was before, or the new one."""
        unfinished = self._path.with_name(f"{self._path.name}.{os.getpid()}.new")
        with unfinished.open("w", encoding="utf-8") as file:
            file.write(json.dumps({**self._identity, "done": done}) + "\n")
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(self._path)


def _told(identity: dict[str, Any]) -> str:
    first, *rest = (", ".join(map(str, value)) if isinstance(value, list) else str(value) for value in identity.values())
    return f"{first} ({'; '.join(rest)})" if rest else first
