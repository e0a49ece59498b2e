"""A folder of numbered state files: written whole or not at all, the newest good one read."""

from __future__ import annotations

import json
import os
import re
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

KEPT = 2
_NAME = re.compile(r"state-(\d{8})\.zip")
_DESCRIPTION = "description.json"


class Saved:
    """One state file, its checksums verified: a description and named arrays.

    Attributes:
        path: the file.
        description: the JSON value it was written with.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
            if damaged is not None:
                raise zipfile.BadZipFile(f"{damaged} fails its checksum")
            self.description = json.loads(archive.read(_DESCRIPTION))
            self._members = set(archive.namelist())

    def arrays(self, group: str) -> Iterable[np.ndarray]:
        """Yields the arrays of a group in the order they were written, one in memory at a time."""
        with zipfile.ZipFile(self.path) as archive:
            index = 0
            while (name := f"{group}/{index}.npy") in self._members:
                with archive.open(name) as member:
                    yield np.lib.format.read_array(member, allow_pickle=False)
                index += 1


class Generations:
    """The state files of one folder; the newest two are kept.

    A file is written under another name, flushed to the disk and then renamed, so at any moment
    the folder holds complete files and at most one incomplete, which is never read.

    Args:
        directory: the folder; made at the first write. Other files in it are left alone.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = Path(directory)

    def newest(self) -> Saved | None:
        """The newest readable state, or None in a folder without any.

        Raises:
            OSError: there are state files, but every one is damaged.
        """
        reasons = []
        for path in reversed(self._files()):
            try:
                return Saved(path)
            except (zipfile.BadZipFile, KeyError, ValueError, EOFError) as error:
                reasons.append(f"{path.name}: {error}")
        if reasons:
            raise OSError(
                f"BackupAndRestore: no state in '{self.directory}' is readable "
                f"({'; '.join(reasons)}). Delete the folder to train from the beginning."
            )
        return None

    def write(self, description: Any, groups: dict[str, Iterable[Any]]) -> None:
        """Adds a state: a JSON value, and groups of arrays that are drawn one at a time."""
        self.directory.mkdir(parents=True, exist_ok=True)
        files = self._files()
        number = int(_NAME.sub(r"\1", files[-1].name)) + 1 if files else 1
        unfinished = self.directory / "state.unfinished"
        with open(unfinished, "wb") as stream:
            with zipfile.ZipFile(stream, "w") as archive:
                archive.writestr(_DESCRIPTION, json.dumps(description))
                for group, arrays in groups.items():
                    for index, array in enumerate(arrays):
                        with archive.open(f"{group}/{index}.npy", "w", force_zip64=True) as member:
                            np.lib.format.write_array(member, array, allow_pickle=False)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(unfinished, self.directory / f"state-{number:08d}.zip")
        self._flush_names()
        for path in self._files()[:-KEPT]:
            path.unlink()

    def delete(self) -> None:
        """Removes the state files, and the folder when nothing else is in it."""
        if not self.directory.is_dir():
            return
        # The oldest first: a kill in between leaves the newest.
        for path in [*self._files(), self.directory / "state.unfinished"]:
            path.unlink(missing_ok=True)
        if not any(self.directory.iterdir()):
            self.directory.rmdir()

    def _files(self) -> list[Path]:
        if not self.directory.is_dir():
            return []
        return sorted(path for path in self.directory.iterdir() if _NAME.fullmatch(path.name))

    def _flush_names(self) -> None:
        if os.name == "posix":  # elsewhere a folder can't be opened
            descriptor = os.open(self.directory, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
