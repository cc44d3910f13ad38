"""What a reader is told besides the path."""

from __future__ import annotations

from dataclasses import dataclass

from csiq.errors import ConfigError, nearest
from csiq.trajectory import TRAJECTORIES

#: Units a trajectory may be in, as ``--traj-units`` names them.
TRAJECTORY_UNITS = ("cycles/fov", "cycles/pixel", "1/mm", "rad/pixel", "rad/mm", "1/m", "rad/m")

#: What ``--si-spokes`` may say of a phyllotaxis whose SI spokes are not flagged.
SI_SPOKES = ("auto", "first", "none")

#: The smallest matrix csiq reconstructs.
MIN_MATRIX = 8


@dataclass(frozen=True)
class ReadOptions:
    """How to read a raw file; the defaults suit a complete ISMRMRD file.

    Attributes
    ----------
    trajectory : str, optional
        A name (``phyllotaxis``, ``golden2d``, ``golden3d``, ``stack-of-stars``) or ``FILE[:/DATASET]``;
        it wins over a trajectory in the file.
    traj_units : str, optional
        Unit of the trajectory in the file, one of :data:`TRAJECTORY_UNITS`; found from its largest radius
        if None.
    echo : int, optional
        Which echo (contrast) to read, from 0; needed only if there are several.
    group : str, optional
        Which group of an ISMRMRD file to read.
    matrix : int, optional
        Crop k-space to this matrix along the longest axis; the field of view stays.
    drop_bad : bool
        Leave out readouts with samples that are not finite or are outliers, instead of stopping.
    exclude_coil : tuple of int
        Coils to leave out, counted from 0.
    strict : bool
        What is only odd (unknown header elements) becomes an error.
    force : bool
        Read on although more than a fifth of the readouts is lost.
    keep_identifiers : bool
        Let names, dates and numbers of the subject and the study (ISMRMRD) into ``system``.
    fov : (float, float, float), optional
        Field of view in mm, z y x, of files that do not say it (BART's, plain arrays).
    tr : float, optional
        Milliseconds from a spoke to the next, of files without times.
    noise : str, optional
        Where samples of noise are, if not in the scan: ``FILE[:/GROUP]``, ISMRMRD with noise readouts,
        ``.npy`` (n_coils, n) or BART's ``.cfl``. It wins over noise in the scan.
    interleaves : int, optional
        How many interleaves a named phyllotaxis has; None: found from heartbeats, or in the samples.
    si_spokes : str
        ``first``: the first readout of each of its interleaves is an SI spoke that the file does not flag;
        ``none``: there is none, every readout that is not flagged makes the image; ``auto``: found.
    max_memory_bytes : int, optional
        Refuse to read more than this; None: the memory of the machine.

    Raises
    ------
    ConfigError
        If a value is out of range.
    """

    trajectory: str | None = None
    traj_units: str | None = None
    echo: int | None = None
    group: str | None = None
    matrix: int | None = None
    drop_bad: bool = False
    exclude_coil: tuple[int, ...] = ()
    strict: bool = False
    force: bool = False
    keep_identifiers: bool = False
    fov: tuple[float, float, float] | None = None
    tr: float | None = None
    noise: str | None = None
    interleaves: int | None = None
    si_spokes: str = "auto"
    max_memory_bytes: int | None = None

    def __post_init__(self) -> None:
        if self.traj_units is not None and self.traj_units not in TRAJECTORY_UNITS:
            raise ConfigError(
                f"'{self.traj_units}' is no trajectory unit",
                field="--traj-units",
                hint=nearest(self.traj_units, TRAJECTORY_UNITS),
            )
        if self.matrix is not None and self.matrix < MIN_MATRIX:
            raise ConfigError(f"{self.matrix} is too small", field="--matrix", hint=f"at least {MIN_MATRIX}")
        if self.fov is not None and not all(0 < length < 1e4 for length in self.fov):
            raise ConfigError(f"{self.fov} is no field of view", field="--fov", hint="in mm, z y x")
        if self.tr is not None and not 0 < self.tr < 1e5:
            raise ConfigError(f"{self.tr:g} ms is no TR", field="--tr", hint="in milliseconds")
        if self.interleaves is not None and self.interleaves < 1:
            raise ConfigError(f"{self.interleaves} is too few", field="--interleaves", hint="at least 1")
        if self.si_spokes not in SI_SPOKES:
            raise ConfigError(
                f"'{self.si_spokes}' is none of {', '.join(SI_SPOKES)}",
                field="--si-spokes",
                hint=nearest(self.si_spokes, SI_SPOKES),
            )
        if self.echo is not None and self.echo < 0:
            raise ConfigError(f"{self.echo} is negative", field="--echo", hint="echoes count from 0")
        if any(coil < 0 for coil in self.exclude_coil):
            raise ConfigError("negative coil", field="--exclude-coil", hint="coils count from 0")
        if self.max_memory_bytes is not None and self.max_memory_bytes <= 0:
            raise ConfigError(f"{self.max_memory_bytes} bytes", field="--max-memory", hint="give more than 0")


def without_effect(options: ReadOptions, **why: str) -> tuple[str, ...]:
    """Return a warning for each option that was given and changes nothing.

    Parameters
    ----------
    options : ReadOptions
    **why : str
        Options that a format has no use for, by their attribute, and the reason. What no trajectory but a
        named one has use for, or it has none for, is added here.
    """
    if options.trajectory != "phyllotaxis":
        why["interleaves"] = "it is for --trajectory phyllotaxis"
    if options.trajectory in TRAJECTORIES:
        why["traj_units"] = f"'{options.trajectory}' is computed"
    given = {name: reason for name, reason in why.items() if getattr(options, name) is not None}
    return tuple(f"--{name.replace('_', '-')} has no effect: {reason}" for name, reason in given.items())
