"""BART's files: written and read back, by BART too where it is installed."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest

from csiq.errors import RawDataError, ShapeError
from csiq.io.cfl import read_cfl, read_cfl_volumes, write_cfl
from csiq.io.images import read_images
from tests.helpers import complex_normal


def test_an_array_comes_back(tmp_path, rng):
    array = complex_normal(rng, (2, 3, 4, 5))
    write_cfl(tmp_path / "a", array)
    assert (tmp_path / "a.hdr").read_text() == "# Dimensions\n5 4 3 2\n"
    for name in ("a", "a.cfl", "a.hdr"):
        np.testing.assert_array_equal(read_cfl(tmp_path / name), array)


def test_a_header_as_bart_writes_it(tmp_path):
    values = np.arange(6).astype(np.complex64)
    values.tofile(tmp_path / "x.1.cfl")
    dimensions = "3 2 1 1 1 1 1 1 1 1 1 1 1 1 1 1"
    (tmp_path / "x.1.hdr").write_text(f"# Dimensions\n{dimensions}\n# Command\npics -i 3\n# Files\n>x\n")
    np.testing.assert_array_equal(read_cfl(tmp_path / "x.1.cfl"), [[0, 1, 2], [3, 4, 5]])


@pytest.mark.skipif(shutil.which("bart") is None, reason="needs BART")
def test_bart_reads_what_is_written_and_is_read(tmp_path):
    subprocess.run(["bart", "phantom", "-x", "8", "p"], cwd=tmp_path, check=True, capture_output=True)
    phantom = read_cfl(tmp_path / "p")
    write_cfl(tmp_path / "q", np.stack([phantom, 2j * phantom])[:, None])
    done = subprocess.run(
        ["bart", "slice", "3", "1", "q", "r"], cwd=tmp_path, check=False, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(read_cfl(tmp_path / "r"), 2j * phantom)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((4, 5), (1, 1, 4, 5)),
        ((3, 4, 5), (1, 3, 4, 5)),
        ((2, 1, 3, 4, 5), (1, 3, 4, 5)),
        ((6, 1, 1, 1, 1, 1, 1, 1, 3, 4, 5), (6, 3, 4, 5)),
        ((2, 6, 1, 1, 1, 1, 1, 2, 1, 3, 4, 5), (12, 3, 4, 5)),
    ],
)
def test_what_is_not_space_is_phases(shape, expected, tmp_path, rng):
    array = complex_normal(rng, shape)
    write_cfl(tmp_path / "a", array)
    volumes = read_cfl_volumes(tmp_path / "a")
    assert volumes.shape == expected
    np.testing.assert_array_equal(volumes[0].ravel(), array.reshape(-1, *expected[1:])[0].ravel())
    found = list(read_images(tmp_path / "a.cfl", (3.0, 2.0, 1.0)))
    assert len(found) == expected[0]
    assert found[-1].voxel_size == (3.0, 2.0, 1.0)


def test_kspace_is_no_image(tmp_path):
    write_cfl(tmp_path / "ksp", np.ones((8, 3, 4, 5)))
    with pytest.raises(ShapeError, match="holds 8 coils, no image"):
        read_cfl_volumes(tmp_path / "ksp")


@pytest.mark.parametrize(
    ("header", "n_bytes", "said"),
    [
        ("# Dimensions\n3 2\n", 40, "holds 40 bytes, its header says 48"),
        ("# Dimensions\n", 48, "no line of dimensions"),
        ("# Dimensions\n3 -2\n", 48, "no line of dimensions"),
        ("3 0\n", 0, "no line of dimensions"),
        (None, 48, "no such file"),
    ],
)
def test_damaged_files_are_named(header, n_bytes, said, tmp_path):
    (tmp_path / "a.cfl").write_bytes(bytes(n_bytes))
    if header is not None:
        (tmp_path / "a.hdr").write_text(header)
    with pytest.raises(RawDataError, match=said):
        read_cfl(tmp_path / "a")


def test_voxels_must_be_said(tmp_path):
    write_cfl(tmp_path / "a", np.ones((3, 4, 5)))
    with pytest.raises(RawDataError, match=r"no voxel size.*--voxel-size Z Y X"):
        list(read_images(tmp_path / "a.cfl"))
