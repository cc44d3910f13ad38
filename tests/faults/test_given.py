"""B23 B24 B26 C6: arrays and text that a person hands over: of another kind, shape, size or language."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from csiq import pipeline
from csiq.acquisition import Acquisition, Geometry
from csiq.agreement.table import read_readers
from csiq.cli import main
from csiq.cohort.manifest import read_cohort, read_manifest
from csiq.config import SECTION_OF, load_config, parse_config
from csiq.errors import ConfigError, CsiqError, RawDataError, ShapeError
from csiq.operators import ForwardModel
from csiq.solvers import build_problem
from csiq.trajectory import golden_means_3d, radial_coord
from tests.helpers import complex_normal, relative_error

SHAPE = (8, 8, 8)


@cache
def scan_of(n: int, n_spokes: int = 120) -> Acquisition:
    """Return a ball of one coil, seen by golden-angle spokes: its transform is known."""
    coord = radial_coord(golden_means_3d(n_spokes), n, 2 * n)
    radius = np.linalg.norm(coord, axis=-1) / n
    # a Gaussian of a sixth of the field of view, in the middle
    samples = np.exp(-2 * (np.pi * radius * n / 6) ** 2)[None].astype(np.complex64)
    return Acquisition(
        kspace=np.concatenate([samples, 0.5j * samples]).astype(np.complex64),
        coord=coord,
        times=np.arange(n_spokes) * 3e-3,
        heartbeat=np.arange(n_spokes) // 10,
        geometry=Geometry((n,) * 3, (200.0,) * 3),
    )


# ---------------------------------------------------------------- B23


def model_of(smaps: np.ndarray) -> ForwardModel:
    coord = radial_coord(golden_means_3d(6), 8, 16)
    return ForwardModel([coord], smaps)


def test_sensitivity_maps_that_cannot_be(rng: np.random.Generator) -> None:
    good = complex_normal(rng, (2, *SHAPE))
    broken = good.copy()
    broken[1, 3, 2, 1] = np.nan
    with pytest.raises(RawDataError, match="map of coil 1 is not finite"):
        model_of(broken)
    with pytest.raises(RawDataError, match=r"maps of shape \(2, 8, 8, 8\) are all zero"):
        model_of(0 * good)
    weights = np.ones((6, 16), np.float32)
    with pytest.raises(ShapeError, match=r"maps \(2, 8, 8, 8\).*\(2, 6, 16\), got \(3, 6, 16\)"):
        build_problem(model_of(good), complex_normal(rng, (3, 6, 16)), weights, 0.1)
    with pytest.raises(ShapeError, match=r"weights \(6, 16\), got \(16, 6\)"):
        build_problem(model_of(good), complex_normal(rng, (2, 6, 16)), weights.T, 0.1)


# ---------------------------------------------------------------- B24


@pytest.mark.parametrize("n", [8, 9, 13, 18])
def test_even_odd_and_prime_sizes(n: int) -> None:
    """From 8 voxels on any size will do: the ball is where and as large as it is."""
    config = load_config(overrides={"phases": 1, "max_iter": 3, "device": "cpu", "threads": 1})
    result = pipeline.reconstruct(scan_of(n), config, grader=lambda volume, voxel_size: 1.0)
    assert result.volumes.shape == (1, n, n, n)
    r2 = sum(g**2 for g in np.meshgrid(*[np.arange(n) - n // 2] * 3, indexing="ij"))
    ball = np.exp(-r2 / 2 / (n / 6) ** 2)
    found = np.abs(result.volumes[0])
    # two voxels a width at the least, a fifth of Nyquist's spokes: not more than that
    assert relative_error(found / found.max(), ball) < 0.25
    assert np.unravel_index(found.argmax(), found.shape) == (n // 2,) * 3


def _resized(xml: str, before: int, after: int) -> str:
    return xml.replace(f"<x>{before}</x>", f"<x>{after}</x>")


def test_sizes_that_are_too_small(tmp_path: Path) -> None:
    from tests.faults.kinds import KINDS
    from tests.io.files import edit_xml

    raw, before = KINDS["ismrmrd"].make(tmp_path), 16
    for n in (0, 1, 7):
        edit_xml(raw, partial(_resized, before=before, after=n))
        before, errors = n, io.StringIO()
        with redirect_stderr(errors), redirect_stdout(io.StringIO()):
            assert main(["check", str(raw)]) == 3
        assert "matrix" in errors.getvalue()
    with pytest.raises(ConfigError, match=r"--matrix: expected `int` >= 8"):
        load_config(overrides={"matrix": 7})


# ---------------------------------------------------------------- B26


@pytest.mark.parametrize("kind", [np.complex128, np.int16, np.float64, np.uint8])
def test_other_numbers_are_cast(kind: type) -> None:
    scan = scan_of(8)
    kspace = np.rint(100 * np.abs(scan.kspace)).astype(kind)
    found = replace(scan, kspace=kspace, coord=scan.coord.astype(np.float64))
    assert (found.kspace.dtype, found.coord.dtype) == (np.complex64, np.float32)
    np.testing.assert_array_equal(found.kspace, kspace.astype(np.complex64))


def test_what_is_no_number_stays_refused() -> None:
    scan = scan_of(8)
    with pytest.raises(ShapeError, match="expected complex64 and float32, got object"):
        replace(scan, kspace=scan.kspace.astype(object))
    with pytest.raises(ShapeError, match="got complex64 and complex64"):
        replace(scan, coord=scan.coord.astype(np.complex64))
    with pytest.raises(RawDataError, match="not finite: coil 0, spoke 0, sample 0"):
        replace(scan, kspace=scan.kspace.astype(np.complex128) + 1e300)


# ---------------------------------------------------------------- C6, and any other text

BOMB = "a: &a [x, x, x, x]\nb: &b [*a, *a, *a, *a]\nc: &c [*b, *b, *b, *b]\nsolver: *c\n"
TAGGED = "solver: !!python/object/apply:os.system ['touch hacked']\n"


@pytest.mark.parametrize("text", [BOMB, TAGGED, "solver:\n  max_iter: 3\n"])
def test_yaml_is_no_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """There is no YAML to run code or to grow without end; it is named for what it is not."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    errors = io.StringIO()
    with redirect_stderr(errors):
        assert main(["recon", "scan.h5", "--config", str(path)]) == 2
        assert main(["config", "check", str(path)]) == 2
    assert errors.getvalue().count("csiq: error: mine.yaml: not TOML: ") == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine.yaml"]


@pytest.mark.parametrize(
    "text", ["a = " + "[" * 5000, "a = " + "9" * 5000, "a" + ".b" * 3000 + " = 1", '"\\ud800" = 1']
)
def test_text_that_parsers_choke_on(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_config(text, {}, "mine.toml")


def refused(read: Callable[[], Any], code: int) -> Any:
    """Return what was read; None if it was refused in one line with this exit code."""
    try:
        return read()
    except CsiqError as error:
        refusal = error
    assert refusal.exit_code == code
    assert "\n" not in refusal.one_line()
    return None


_WORDS = st.one_of(
    st.booleans().map(lambda value: str(value).lower()),
    st.integers().map(str),
    st.floats().map(lambda value: str(value)),
    # of a path only the last part is shown
    st.text(st.characters(codec="utf-8", exclude_characters='"\\/'), max_size=8).map(lambda t: f'"{t}"'),
    st.sampled_from(["[]", "[1, 2]", "[0.1, 0.7]", "{}", "1979-05-27", '["a"]', "[[1]]", '"30m"', '"8GB"']),
)


@given(st.lists(st.tuples(st.sampled_from(sorted(SECTION_OF)), _WORDS), max_size=6, unique_by=lambda p: p[0]))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
def test_any_value_of_any_key_is_taken_or_named(pairs: list[tuple[str, str]]) -> None:
    """A configuration that is taken survives its own dictionary; any other is one line that names a key."""
    from csiq.report.command import toml_of

    sections: dict[str, list[str]] = {}
    for key, word in pairs:
        sections.setdefault(SECTION_OF[key], []).append(f"{key} = {word}")
    lines = [f"[{name}]\n" + "\n".join(keys) for name, keys in sections.items()]
    config = refused(lambda: parse_config("\n".join(lines), {}, "mine.toml"), code=2)
    if config is None:
        return
    assert parse_config(toml_of(config.as_dict()), {}).sha256() == config.sha256()


_CELLS = st.one_of(
    st.text(max_size=6),
    st.sampled_from(["1.5", "4", "nan", "", "-1", "1e400", "1,5", "train", "a.nii", "../a", "٣", "inf"]),
)


@given(st.lists(st.lists(_CELLS, min_size=1, max_size=6), max_size=5), st.sampled_from("\t,; "))
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_any_table_is_read_or_every_fault_has_its_line(rows: list[list[str]], mark: str) -> None:
    """Manifests and tables of readers, whatever is in the cells."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.tsv"
        for header in ("volume patient split reader1a", "scan raw config", "id a b"):
            lines = [header.replace(" ", "\t"), *(mark.join(row) for row in rows)]
            path.write_text("\n".join(lines), encoding="utf-8", errors="surrogatepass")
            for read in (
                partial(read_manifest, path, check_files=False),
                partial(read_cohort, path, check_files=False),
                partial(read_readers, path),
            ):
                refused(read, code=3)
