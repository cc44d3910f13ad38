"""Files as they come into a folder, in the order of their iterations, none before it is whole."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from csiq.errors import ConfigError, RawDataError, ShapeError
from csiq.io.images import SUFFIXES, NoVoxelSize, Volume, VoxelSize, read_images
from csiq.watch.names import Numbered, numbered


@dataclass(frozen=True)
class Iterate:
    """What was saved of one iteration: its volumes, one a phase."""

    iteration: int
    paths: tuple[Path, ...]
    volumes: tuple[Volume, ...]


@dataclass
class Arrivals:
    """The iterates of a folder, each once.

    A file counts as written when its size and time stamp have not changed for ``settle`` seconds, it can be
    read, and it holds an image that is not empty: BART makes its files at full size before it fills them. An
    iteration with a file that cannot be read keeps those behind it waiting for ``give_up`` seconds, and is
    then left out.

    Parameters
    ----------
    folder : Path
        Looked at first is ``iterates`` within it, where csiq saves its own.
    pattern : str, optional
        Which files; all with an image's suffix and a number by default.
    n_phases : int, optional
        Files an iteration, where each phase is a file; by default as many as the first iteration has when one
        behind it arrives.
    voxel_size : (float, float, float), optional
        For files that do not say it.
    settle, give_up : float
        Seconds.

    Attributes
    ----------
    warnings : list of str
        What was left out, and why.
    latest : int or None
        The last iteration that was returned or left out; a file of an earlier one that comes now is too late.
    ended : bool
        Set it once nothing more will come: a first iteration then needs none behind it to be whole.
    """

    folder: Path
    pattern: str | None = None
    n_phases: int | None = None
    voxel_size: VoxelSize | None = None
    settle: float = 1.0
    give_up: float = 30.0
    warnings: list[str] = field(default_factory=list)
    latest: int | None = None
    ended: bool = False
    _seen: dict[Path, tuple[tuple[int, int], float]] = field(default_factory=dict)
    _waiting_since: float | None = None

    def new(self) -> Iterator[Iterate]:
        """Yield the iterates that are whole by now, one at a time, from the first that did not come before.

        Raises
        ------
        ConfigError
            If the folder is gone, or holds files of several series.
        RawDataError
            If a file does not say its voxel size, or holds no images.
        """
        groups = self._groups()
        needed = self._needed(groups)
        # each is looked at now, lest a backlog settle one file at a time
        settled = {file.path for files in groups.values() for file in files if self._is_settled(file.path)}
        for iteration in sorted(groups):
            files = groups[iteration]
            if needed is None or not all(file.path in settled for file in files):
                break
            found: Iterate | None = None
            try:
                found = self._whole(iteration, files, needed)
            except (NoVoxelSize, ShapeError):
                raise  # waiting will not help
            except RawDataError as error:
                if self._is_patient():
                    break
                self.warnings.append(f"iteration {iteration} is left out: {error.one_line()}")
            self.latest, self._waiting_since = iteration, None
            if found is not None:
                yield found

    @property
    def pending(self) -> bool:
        """Whether there are files that were not returned yet."""
        return bool(self._groups())

    def _is_patient(self) -> bool:
        """Whether to wait on for what cannot be read."""
        now = time.monotonic()
        if self._waiting_since is None:
            self._waiting_since = now
        return now - self._waiting_since < self.give_up

    def files(self) -> list[Numbered]:
        """Return the files of iterates, by iteration and phase.

        Raises
        ------
        ConfigError
            If the folder is gone, or holds files of several series.
        """
        if not self.folder.is_dir():
            what = "is a file" if self.folder.exists() else "no such folder"
            raise ConfigError(what, file=self.folder, hint="expected the folder of a run")
        for folder in self._folders():
            entries = folder.glob(self.pattern) if self.pattern else folder.iterdir()
            fits = (p for p in entries if not p.name.startswith("."))
            if not self.pattern:
                fits = (p for p in fits if p.name.endswith(SUFFIXES))
            found = [file for file in map(numbered, fits) if file is not None]
            if found:
                self._check_one_series(found)
                return sorted(found, key=lambda file: (file.iteration, file.phase or 0, file.path.name))
        return []

    def _folders(self) -> list[Path]:
        """Return where iterates may lie; in a run of csiq's what else has a number is none."""
        own, within = (self.folder / "run.json").is_file(), self.folder / "iterates"
        found = [within] if within.is_dir() else []
        return found if own and not self.pattern else [*found, self.folder]

    def _check_one_series(self, files: list[Numbered]) -> None:
        series = sorted({file.series for file in files})
        if len(series) > 1:
            shown = ", ".join(series[:4]) + (", ..." if len(series) > 4 else "")
            raise ConfigError(
                f"holds files of several series: {shown}",
                file=self.folder,
                field="--pattern",
                hint=f"say which, for example '{series[0].replace('#', '*')}'",
            )

    def _groups(self) -> dict[int, list[Numbered]]:
        groups: dict[int, list[Numbered]] = {}
        for file in self.files():
            groups.setdefault(file.iteration, []).append(file)
        return {k: files for k, files in groups.items() if self.latest is None or k > self.latest}

    def _needed(self, groups: dict[int, list[Numbered]]) -> int | None:
        """Return how many files make an iteration; None while that is not known."""
        if self.n_phases is None:
            first = min(groups, default=None)
            waits = len(groups) == 1 and not self.ended
            if first is None or (waits and groups[first][0].phase is not None):
                return None
            self.n_phases = max(map(len, groups.values()))
        return self.n_phases if any(f[0].phase is not None for f in groups.values()) else 1

    def _whole(self, iteration: int, files: list[Numbered], needed: int) -> Iterate:
        """Return an iterate.

        Raises
        ------
        CsiqError
            If a phase is missing, or what is there cannot be read.
        """
        if len(files) < needed:
            raise RawDataError(f"{len(files)} of {needed} phases are there", file=self.folder)
        volumes = tuple(v for file in files for v in read_images(file.path, self.voxel_size))
        empty = next((v.name for v in volumes if not np.any(v.values)), None)
        if empty is not None:
            raise RawDataError("the image is empty", file=empty, hint="is it being written?")
        return Iterate(iteration, tuple(file.path for file in files), volumes)

    def _is_settled(self, path: Path) -> bool:
        try:
            facts = path.stat()
        except FileNotFoundError:  # renamed since the folder was listed
            return False
        now, stamp = time.monotonic(), (facts.st_size, facts.st_mtime_ns)
        before = self._seen.get(path)
        if before is None or before[0] != stamp:
            self._seen[path] = (stamp, now)
            return self.settle <= 0
        return now - before[1] >= self.settle
