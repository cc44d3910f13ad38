"""The heat map as a film through the volume: GIF by Pillow, MP4 by ffmpeg where it is installed."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from csiq.errors import ResourceError
from csiq.heatmap.figure import HEAT, OPACITY
from csiq.io.atomic import atomic_write

if TYPE_CHECKING:
    from PIL import Image

    from csiq.heatmap.view import View

KINDS = ("gif", "mp4", "none")
#: Frames a second, frames at most (noise packs badly: 0.1 MB each), and the height of one in pixels.
_RATE, _MOST, _HEIGHT = 8, 72, 312


def check_kind(kind: str) -> None:
    """Refuse, before anything is computed, a film that cannot be made here.

    Raises
    ------
    ResourceError
        If an MP4 is wanted and there is no ffmpeg.
    """
    if kind == "mp4" and shutil.which("ffmpeg") is None:
        raise ResourceError(
            "an MP4 needs ffmpeg, which is not installed",
            field="--animation",
            hint="--animation gif needs nothing more",
        )


def write_animation(path: Path, view: View, orientation: str, places: list[int]) -> None:
    """Write a film: image on the left, heat map over it on the right.

    Parameters
    ----------
    path : Path
        Ends in ``.gif`` or ``.mp4``.
    view : View
    orientation : str
        ``axial``, ``coronal`` or ``sagittal``.
    places : list of int
        Slices, in the order they are shown; a GIF leaves some out where there are many.

    Raises
    ------
    ResourceError
        If ffmpeg fails or the file cannot be written.
    """
    kept = places[:: -(-len(places) // _MOST)] if path.suffix == ".gif" else places
    frames = _frames(view, orientation, kept)
    with atomic_write(path) as temporary:
        (_write_gif if path.suffix == ".gif" else _write_mp4)(temporary, frames)


def _frames(view: View, orientation: str, places: list[int]) -> Iterator[Image.Image]:
    from PIL import Image

    colours = _colours()
    for place in places:
        grey = np.clip(view.plane(view.image, orientation, place) / view.top * 255, 0, 255)
        heat = np.clip(view.plane(view.heat, orientation, place) * 255, 0, 255).astype(np.uint8)
        plain = np.repeat(grey[..., None], 3, axis=2)
        both = np.concatenate([plain, _over(plain, colours[heat])], axis=1).astype(np.uint8)
        # even numbers of pixels: the usual codecs take no others
        width = 2 * max(1, round(_HEIGHT * both.shape[1] / (both.shape[0] * view.aspect(orientation)) / 2))
        yield Image.fromarray(both).resize((width, _HEIGHT), Image.Resampling.BICUBIC)


def _colours() -> np.ndarray:
    """Return the colours of heat 0 to 255, float32 (256, 3)."""
    from matplotlib import colormaps

    return np.asarray(colormaps[HEAT](np.arange(256))[:, :3] * 255, dtype=np.float32)


def _over(grey: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """Return a map's colours over an image, as the figure blends them."""
    return (1 - OPACITY) * grey + OPACITY * colour


def _write_gif(path: Path, frames: Iterator[Image.Image]) -> None:
    from PIL import Image

    found = list(frames)
    # one palette for all, or it would flicker; of all blends alike, or the few hottest pixels would get none
    greys = np.linspace(0, 255, 64)[:, None, None]
    blends = _over(np.repeat(greys, 3, axis=2), _colours()[None, ::2])
    plain = np.broadcast_to(greys, (64, 64, 3))
    palette = Image.fromarray(np.concatenate([plain, blends], axis=1).astype(np.uint8)).quantize(256)
    indexed = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in found]
    indexed[0].save(
        path, "GIF", save_all=True, append_images=indexed[1:], duration=round(1000 / _RATE), loop=0
    )


def _write_mp4(path: Path, frames: Iterator[Image.Image]) -> None:
    first = next(frames)
    command = ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24"]
    command += ["-s", f"{first.width}x{first.height}", "-r", str(_RATE), "-i", "-"]
    command += ["-pix_fmt", "yuv420p", "-f", "mp4", str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        try:
            for frame in chain([first], frames):
                running.stdin.write(frame.tobytes())  # type: ignore[union-attr]
        except BrokenPipeError:
            pass  # ffmpeg has ended, and says why
        said = running.communicate()[1]
    if running.returncode:
        words = " ".join(said.decode(errors="replace").split())[-200:]
        raise ResourceError(f"ffmpeg failed: {words}", field="--animation", hint="try --animation gif")
