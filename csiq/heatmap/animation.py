"""The heat map as a film through the volume: GIF by Pillow, MP4 by ffmpeg where it is installed."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
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
    from matplotlib import colormaps
    from PIL import Image

    colours = (colormaps[HEAT](np.arange(256))[:, :3] * 255).astype(np.float32)
    for place in places:
        grey = np.clip(view.plane(view.image, orientation, place) / view.top * 255, 0, 255)
        heat = np.clip(view.plane(view.heat, orientation, place) * 255, 0, 255).astype(np.uint8)
        plain = np.repeat(grey[..., None], 3, axis=2)
        over = (1 - OPACITY) * plain + OPACITY * colours[heat]
        both = np.concatenate([plain, over], axis=1).astype(np.uint8)
        # even numbers of pixels: the usual codecs take no others
        width = 2 * max(1, round(_HEIGHT * both.shape[1] / (both.shape[0] * view.aspect(orientation)) / 2))
        yield Image.fromarray(both).resize((width, _HEIGHT), Image.Resampling.BICUBIC)


def _write_gif(path: Path, frames: Iterator[Image.Image]) -> None:
    from PIL import Image

    found = list(frames)
    # one palette for all: one a frame would flicker
    sample = Image.new("RGB", (found[0].width, found[0].height * min(8, len(found))))
    for number, place in enumerate(np.linspace(0, len(found) - 1, min(8, len(found))).round()):
        sample.paste(found[int(place)], (0, number * found[0].height))
    palette = sample.quantize(128)
    indexed = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in found]
    indexed[0].save(
        path, "GIF", save_all=True, append_images=indexed[1:], duration=round(1000 / _RATE), loop=0
    )


def _write_mp4(path: Path, frames: Iterator[Image.Image]) -> None:
    first = next(frames)
    command = ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24"]
    command += ["-s", f"{first.width}x{first.height}", "-r", str(_RATE), "-i", "-"]
    command += ["-pix_fmt", "yuv420p", "-f", "mp4", str(path)]
    content = b"".join([first.tobytes(), *(frame.tobytes() for frame in frames)])
    done = subprocess.run(command, input=content, capture_output=True, check=False)
    if done.returncode:
        words = " ".join(done.stderr.decode(errors="replace").split())[-200:]
        raise ResourceError(f"ffmpeg failed: {words}", field="--animation", hint="try --animation gif")
