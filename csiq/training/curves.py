"""The curve of a training: a log of JSON lines, a picture of it, and TensorBoard where it is installed."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from csiq.errors import ConfigError
from csiq.io.atomic import atomic_write, write_text
from csiq.io.tables import strict

LOG, PICTURE = "log.jsonl", "loss.png"
_SMOOTH = 50  # points of the smoothed curve, at least
_DOTS = 10  # scores below which each is a dot
_PAUSE = 60.0  # seconds between pictures of a training that goes on, at least


class Log:
    """``log.jsonl`` of a folder: one record a step, gone on with where a checkpoint ends.

    Parameters
    ----------
    folder : Path, optional
        Nothing is written if None.
    iteration : int
        Later records are dropped: they are about to be made again.

    Attributes
    ----------
    iteration : int
        Of the last record.
    """

    def __init__(self, folder: Path | None, iteration: int) -> None:
        self.iteration = iteration
        self._file: TextIO | None = None
        if folder is None:
            return
        folder.mkdir(parents=True, exist_ok=True)
        kept = [record for record in read_log(folder) if record["iteration"] <= iteration]
        write_text(folder / LOG, "".join(map(_line, kept)))
        self._file = (folder / LOG).open("a", encoding="utf-8")

    def add(self, record: Mapping[str, Any]) -> None:
        """Write a record."""
        self.iteration = record["iteration"]
        if self._file is not None:
            self._file.write(_line(record))
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


def _line(record: Mapping[str, Any]) -> str:
    # a score may be undefined: null, not a word that strict JSON does not know
    return json.dumps(strict(record)) + "\n"


def read_log(folder: Path) -> list[dict[str, Any]]:
    """Return the records of a log up to the first line that is none: a kill may cut the last one short."""
    path = folder / LOG
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    found = []
    for line in lines:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            break
        if not _is_record(record):
            break
        found.append(record)
    return found


def _is_record(content: object) -> bool:
    """Return whether it is a step and its loss, and of all else a number, or null where none is defined."""
    if not isinstance(content, dict) or not {"iteration", "loss"} <= content.keys():
        return False
    numbers = [value for value in content.values() if value is not None]
    return isinstance(content["iteration"], int) and all(isinstance(value, int | float) for value in numbers)


def draw_curve(folder: Path) -> Path:
    """Draw the loss of a training folder, and its scores on held-out patients, to ``loss.png``."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    records = read_log(folder)
    steps = np.array([record["iteration"] for record in records])
    loss = np.array([record["loss"] for record in records])
    figure = Figure(figsize=(7.2, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.plot(steps, loss, color="0.85", linewidth=0.6)
    width = max(1, len(loss) // _SMOOTH)
    if len(loss) >= width:
        mean = np.convolve(loss, np.ones(width) / width, mode="valid")
        words = f"training, mean of {width} steps" if width > 1 else "training"
        axes.plot(steps[width - 1 :], mean, color="C0", label=words)
    for number, key in enumerate(("validation_patch_l1", "validation_patient_l1"), start=1):
        seen = [(record["iteration"], record[key]) for record in records if record.get(key) is not None]
        if seen:
            words = key.removeprefix("validation_").removesuffix("_l1")
            # a line through one score is not seen
            marker = "o" if len(seen) < _DOTS else ""
            label = f"held-out, {words} level"
            axes.plot(*zip(*seen, strict=True), color=f"C{number}", marker=marker, label=label)
    axes.set(xlabel="iteration", ylabel="anti-bias L1 (grades)", ylim=(0, None))
    axes.legend(frameon=False)
    target = folder / PICTURE
    with atomic_write(target) as temporary:
        figure.savefig(temporary, dpi=120)
    return target


class Picture:
    """``loss.png`` of a training that goes on.

    Parameters
    ----------
    folder : Path
        With the log.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._drawn = folder, time.monotonic()

    def refresh(self) -> None:
        """Draw it again, at most once a minute."""
        if time.monotonic() - self._drawn >= _PAUSE:
            self.leave()

    def leave(self) -> None:
        """Draw what the log holds, if it holds anything."""
        if read_log(self._folder):
            draw_curve(self._folder)
        self._drawn = time.monotonic()


class TensorBoard:
    """Writes the records of a training for TensorBoard.

    Parameters
    ----------
    folder : Path
        Events go to ``tensorboard/`` in it.
    iteration : int
        What the log holds up to here is written once more and hides all that was written before: of a
        training that was killed, events are there that its checkpoint does not know, and others got lost.

    Raises
    ------
    ConfigError
        If it is not installed.
    """

    def __init__(self, folder: Path, iteration: int = 0) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise ConfigError(
                "TensorBoard is not installed", field="--tensorboard", hint="pip install 'csiq[tensorboard]'"
            ) from None
        known = [record for record in read_log(folder) if record["iteration"] <= iteration]
        first = known[0]["iteration"] if known else iteration + 1
        self._writer = SummaryWriter(folder / "tensorboard", purge_step=first)
        for record in known:
            self.add(record)

    def add(self, record: Mapping[str, Any]) -> None:
        """Write a record."""
        for key, value in record.items():
            if key != "iteration" and value is not None:  # null: a score that was not defined
                self._writer.add_scalar(key, value, record["iteration"])

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()
