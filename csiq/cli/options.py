"""Options that are keys of the configuration: one table, used by ``recon`` and whoever reads a raw file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from csiq.cli.choices import models, presets, trajectories

Decorator = Callable[[Any], Any]

_FILE = click.Path(path_type=Path)

#: What is read of the raw file.
READING = (
    click.option(
        "--trajectory",
        metavar="NAME|FILE[:DATASET]",
        shell_complete=trajectories,
        help="phyllotaxis, golden2d, golden3d, "
        "stack-of-stars, or a file (.npy or HDF5, z y x per sample in cycles per field of view).",
    ),
    click.option(
        "--traj-units",
        metavar="UNIT",
        help="Unit of the trajectory where it cannot be told: cycles/fov, cycles/pixel, 1/mm, rad/pixel ...",
    ),
    click.option("--echo", type=int, metavar="N", help="Echo to read, from 0."),
    click.option("--group", metavar="NAME", help="HDF5 group of the scan where the file has several."),
    click.option(
        "--matrix", type=int, metavar="N", help="Crop k-space to N voxels; the field of view stays."
    ),
    click.option(
        "--exclude-coil", type=int, multiple=True, metavar="N", help="Leave a coil out, from 0; repeatable."
    ),
    click.option("--drop-bad", is_flag=True, help="Leave readouts with bad samples out and count them."),
    click.option(
        "--decay-correction", is_flag=True, help="Correct a signal that decays (hyperpolarised gas)."
    ),
    click.option(
        "--delays",
        metavar="off|warn|estimate|X,Y,Z",
        help="Gradient delays: estimate and correct, only warn, or correct these (samples) [off].",
    ),
    click.option(
        "--fov",
        type=(click.FloatRange(0, min_open=True),) * 3,
        metavar="Z Y X",
        help="Field of view in mm, where the file does not say it (BART, plain arrays).",
    ),
    click.option(
        "--tr",
        type=click.FloatRange(0, min_open=True),
        metavar="MS",
        help="From a spoke to the next, of files without times [3].",
    ),
    click.option(
        "--noise", metavar="FILE[:GROUP]", help="Noise that was measured apart: ISMRMRD, .npy or BART."
    ),
    click.option(
        "--interleaves",
        type=click.IntRange(1),
        metavar="N",
        help="Interleaves of a named phyllotaxis, where heartbeats and samples do not tell.",
    ),
    click.option(
        "--si-spokes",
        type=click.Choice(["auto", "first", "none"]),
        help="Whether SI spokes that the file does not flag head the interleaves [auto: found].",
    ),
    click.option("--strict", is_flag=True, help="An unknown element of the header is an error."),
    click.option("--force", is_flag=True, help="Go on although more than a fifth of the readouts is lost."),
)

#: How breathing is found, and what is minimised.
MODELLING = (
    click.option("--phases", type=int, metavar="P", help="Breathing phases [4]; phase 1 is end-expiration."),
    click.option(
        "--mode",
        metavar="phases|selfnav",
        help="Phases of breathing, or one image with breathing corrected [phases].",
    ),
    click.option(
        "--source", type=click.Choice(["auto", "si", "k0"]), help="Where the breathing signal comes from."
    ),
    click.option("--band", type=(float, float), metavar="LOW HIGH", help="Band of the signal in Hz."),
    click.option(
        "--orient/--no-orient", default=None, help="Whether there is an end-expiration to find [yes]."
    ),
    click.option("--coils", type=int, metavar="N", help="Virtual coils kept by compression."),
    click.option("--lamda", type=float, help="Weight of the penalty, relative to max|A^H W y| [0.02]."),
    click.option(
        "--lamda-spatial-tv", type=float, help="Weight of total variation within each phase, likewise [0]."
    ),
    click.option("--lamda-wavelet", type=float, help="Weight of wavelet coefficients, likewise [0]."),
    click.option("--dcf", metavar="NAME", help="Density compensation: analytic or pipe-menon [analytic]."),
    click.option("--dcf-in-cost/--no-dcf-in-cost", default=None, help="Whether it weights the cost [yes]."),
    click.option("--solver", metavar="NAME", help="Algorithm: pnlcg, nlcg, pogm or bb [pnlcg]."),
    click.option(
        "--max-iter", type=int, metavar="N", help="Iterations at most [20]; iteration 0 is the gridded image."
    ),
    click.option(
        "--time-limit", metavar="TIME", help="Stop at an iteration boundary after e.g. 90s, 30m, 1.5h."
    ),
)

#: When to stop and what to return.
STOPPING = (
    click.option(
        "--stop-on-plateau/--no-stop-on-plateau", default=None, help="Stop when the grade no longer changes."
    ),
    click.option(
        "--plateau-tol", type=float, metavar="X", help="Relative change that counts as none [0.02]."
    ),
    click.option(
        "--plateau-floor",
        type=float,
        metavar="G",
        help="Below this grade the change is taken relative to it [1.0].",
    ),
    click.option("--patience", type=int, metavar="N", help="Consecutive small steps [2]."),
    click.option("--min-iter", type=int, metavar="N", help="First iteration at which it may stop [3]."),
    click.option(
        "--scope", type=click.Choice(["mean", "best", "all"]), help="Whose grade must stand still [mean]."
    ),
    click.option(
        "--return",
        "return_",
        type=click.Choice(["best", "last", "best-per-phase"]),
        help="Iteration returned [best].",
    ),
    click.option(
        "--rule",
        metavar="EXPRESSION",
        help="A further rule that may stop it, e.g. 'slope(window=4) or time(30m)'; see docs/stopping.md.",
    ),
    click.option(
        "--shadow", is_flag=True, help="Run all iterations, and report where each rule would have stopped."
    ),
    click.option(
        "--truth",
        metavar="FILE",
        help="Truth of a simulated scan to hold the iterates against [--shadow, csiq tune: RAW.truth.h5].",
    ),
    click.option("--min-grade", type=float, metavar="G", help="Below this best grade a rescan is advised."),
    click.option(
        "--model",
        metavar="NAME|FILE",
        shell_complete=models,
        help="Grading network; see csiq model list.",
    ),
)

#: Where it computes; nothing here changes the result.
RUNNING = (
    click.option("--device", metavar="auto|cpu|cuda:0", help="Where to compute [auto]."),
    click.option("--threads", type=int, metavar="N", help="CPU threads [all]."),
    click.option(
        "--coil-batch",
        type=int,
        metavar="N",
        help="Coils in flight, at most [one a thread]: less memory, more time.",
    ),
    click.option("--max-memory", metavar="SIZE", help="Memory it may use, e.g. 8GB."),
    click.option("--save-iterates", is_flag=True, help="Keep the volumes of every iteration."),
    click.option("--live", is_flag=True, help="Write the report anew after every iteration."),
    click.option(
        "--seed", type=int, help="Recorded with the run [0]; nothing in a reconstruction is random."
    ),
    click.option(
        "--keep-identifiers", is_flag=True, help="Let subject and study of an ISMRMRD header into run.json."
    ),
)

#: Where the configuration comes from.
CONFIGURATION = (
    click.option(
        "--preset",
        metavar="NAME",
        shell_complete=presets,
        help="A configuration that ships with csiq; see csiq config list.",
    ),
    click.option(
        "--config", "config_file", type=_FILE, metavar="FILE", help="A TOML file; options win over it."
    ),
)

DEBUG = click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")


def options(*groups: Decorator | tuple[Decorator, ...]) -> Decorator:
    """Return a decorator that adds options, in the order of the help page."""

    def add(function: Any) -> Any:
        """Return the function with the options, the last applied first, as decorators are."""
        flat = [o for group in groups for o in (group if isinstance(group, tuple) else (group,))]
        for option in reversed(flat):
            function = option(function)
        return function

    return add


@contextmanager
def called(name: str, option: str) -> Iterator[None]:
    """Name the argument of a command in errors about it, where other commands have an option for it.

    Parameters
    ----------
    name : str
        As the command's help calls it.
    option : str
        As ``--model``.
    """
    from csiq.errors import CsiqError

    try:
        yield
    except CsiqError as error:
        if error.field != option:
            raise
        raise type(error)(error.what, file=error.file, field=name, hint=error.hint) from None


def without(group: tuple[Decorator, ...], *names: str) -> tuple[Decorator, ...]:
    """Return a group of options without those of these names, as in ``save_iterates``."""
    return tuple(option for option in group if _name_of(option) not in names)


def _name_of(option: Decorator) -> str:
    def probe() -> None:
        """Stand for a command."""

    parameter: click.Parameter = option(probe).__click_params__[0]
    return str(parameter.name)


def given_keys(context: click.Context) -> dict[str, Any]:
    """Return the configuration keys that stand on the command line, by the name they have in TOML."""
    from csiq.config import SECTION_OF

    given = {
        name.rstrip("_"): value
        for name, value in context.params.items()
        if context.get_parameter_source(name) == ParameterSource.COMMANDLINE
    }
    return {key: value for key, value in given.items() if key in SECTION_OF}


def config_of(context: click.Context) -> Any:
    """Return the merged configuration of a command with ``CONFIGURATION`` and key options."""
    from csiq.config import load_config

    params = context.params
    return load_config(params.get("preset"), params.get("config_file"), given_keys(context))
