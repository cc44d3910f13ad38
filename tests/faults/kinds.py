"""The kinds of files that are damaged: how a small one is made, and the command that reads it."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from csiq.cli import main
from csiq.cli.entry import describe


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes
    ----------
    make : callable
        Writes whole files into a folder and returns the one that is damaged.
    run : callable
        Reads it: returns the exit code, and prints what it found.
    checked : bool
        Every byte that means something has a checksum: another result is never right.
    open_ended : bool
        A part of it is a whole one, too (a text of lines).
    """

    make: Callable[[Path], Path]
    run: Callable[[Path], int]
    checked: bool = False
    open_ended: bool = False


def _ended(act: Callable[[], object]) -> int:
    """Call something as the command line would, and print what it returns."""
    try:
        print(act())
    except Exception as error:
        content = describe(error)
        print(f"csiq: error: {content['message']}", file=sys.stderr)
        return int(content["code"])
    return 0


# ---------------------------------------------------------------- raw files


def small_scan(n_spokes: int = 90, **more: object):  # type: ignore[no-untyped-def]
    """Return a simulated scan of 16^3 and two coils; nobody may change it in place."""
    from csiq.simulate.protocol import ScanConfig
    from tests.scans import scan_and_truth

    config = ScanConfig(matrix=16, seed=4, n_coils=2, n_spokes=n_spokes, **more)  # type: ignore[arg-type]
    return scan_and_truth(config)[0]


def _make_ismrmrd(folder: Path) -> Path:
    from csiq.io.ismrmrd import write_ismrmrd

    write_ismrmrd(folder / "scan.h5", small_scan())
    return folder / "scan.h5"


def _make_twix(folder: Path) -> Path:
    from tests.faults.twix_file import twix_file

    (folder / "scan.dat").write_bytes(twix_file())
    return folder / "scan.dat"


def _info(path: Path) -> int:
    more = ["--trajectory", "golden3d"] if path.suffix == ".dat" else []
    return main(["info", str(path), *more])


def _make_trajectory(folder: Path) -> Path:
    _make_twix(folder)
    rng = np.random.default_rng(3)
    directions = rng.standard_normal((60, 1, 3))
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    np.save(folder / "traj.npy", directions * np.linspace(-8, 7.5, 32)[:, None])
    return folder / "traj.npy"


def _info_with_trajectory(path: Path) -> int:
    return main(["info", str(path.with_name("scan.dat")), "--trajectory", str(path)])


def _make_bart(folder: Path) -> Path:
    from csiq.io.bart import write_bart
    from csiq.io.cfl_images import geometry_record

    scan = small_scan()
    write_bart(folder / "scan.cfl", scan, sidecar={"geometry": geometry_record(scan.geometry)})
    return folder / "scan.hdr"


def _info_of_bart(path: Path) -> int:
    return _info(path.with_name("scan.cfl"))


def _make_arrays(folder: Path) -> Path:
    import h5py

    scan = small_scan()
    with h5py.File(folder / "arrays.h5", "w") as file:
        file["kspace"], file["coord"], file["times"] = scan.kspace, scan.coord, scan.times
        file.attrs["fov_mm"] = scan.geometry.fov
    return folder / "arrays.h5"


# ---------------------------------------------------------------- tables and configuration


def _make_toml(folder: Path) -> Path:
    from csiq.config import load_config
    from csiq.report.command import toml_of

    path = folder / "mine.toml"
    path.write_text(toml_of(load_config().as_dict()) + "\n", encoding="utf-8")
    return path


def _check_config(path: Path) -> int:
    return main(["config", "check", str(path)])


def _make_graded(folder: Path) -> Path:
    from csiq.cohort.manifest import GradedScan, write_manifest

    scans = [
        GradedScan(folder / f"v{k}.nii", f"p{k}", ("train", "test")[k % 2], {"reader1a": k % 9 / 2}, 0.4 * k)
        for k in range(8)
    ]
    write_manifest(folder / "graded.tsv", scans)
    return folder / "graded.tsv"


def _read_graded(path: Path) -> int:
    from csiq.cohort.manifest import read_manifest

    return _ended(lambda: read_manifest(path, check_files=False))


def _make_cohort(folder: Path) -> Path:
    from csiq.cohort.manifest import CohortScan, write_cohort

    write_cohort(folder / "cohort.tsv", [CohortScan(f"s{k}", folder / f"s{k}.h5", None) for k in range(8)])
    return folder / "cohort.tsv"


def _read_cohort(path: Path) -> int:
    from csiq.cohort.manifest import read_cohort

    return _ended(lambda: read_cohort(path, check_files=False))


def _make_readers(folder: Path) -> Path:
    rows = [f"s{k}\t{k % 9 / 2}\t{(k + 1) % 9 / 2}" for k in range(20)]
    (folder / "readers.tsv").write_text("\n".join(["id\tann\tben", *rows]) + "\n", encoding="utf-8")
    return folder / "readers.tsv"


# ---------------------------------------------------------------- images and models


def _make_nifti(folder: Path, name: str = "image.nii") -> Path:
    from csiq.io.nifti import write_nifti
    from tests.io.files import oblique_geometry

    image = np.random.default_rng(2).random((16, 16, 16), np.float32)
    write_nifti(folder / name, image, oblique_geometry())
    return folder / name


def _image_set():  # type: ignore[no-untyped-def]
    from csiq.io.image_set import ImageSet
    from tests.io.files import oblique_geometry

    values = np.random.default_rng(2).random((1, 8, 8, 8), np.float32)
    return ImageSet(values, oblique_geometry((8, 8, 8)), "image")


def _make_series(folder: Path) -> Path:
    from csiq.io.dicom_write import write_dicom

    (folder / "series").mkdir()
    write_dicom(folder / "series", _image_set())
    return folder / "series" / "0008.dcm"


def _make_ismrmrd_images(folder: Path) -> Path:
    from csiq.io.ismrmrd_images import write_ismrmrd_images

    write_ismrmrd_images(folder / "image.mrd", _image_set())
    return folder / "image.mrd"


def _make_volumes(folder: Path) -> Path:
    from csiq.io.volumes import write_volumes
    from tests.io.files import oblique_geometry

    rng = np.random.default_rng(2)
    volumes = (rng.random((2, 16, 16, 16)) + 0.5j).astype(np.complex64)
    write_volumes(folder / "volumes.h5", volumes, oblique_geometry(), 3)
    return folder / "volumes.h5"


def _read_images(path: Path) -> int:
    from csiq.io.images import read_images

    return _ended(
        lambda: [(v.name, v.values.shape, _digest(v.values), v.voxel_size) for v in read_images(path)]
    )


def _digest(values: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()


def _make_model(folder: Path) -> Path:
    import torch

    from csiq.quality.confidence import Confidence
    from csiq.quality.model_file import encode_tensors, save_model
    from csiq.quality.network import IQDCNN, NetworkConfig

    torch.set_num_threads(1)
    torch.manual_seed(5)
    small = NetworkConfig(widths=(2, 2, 4, 4), hidden=(8, 4))
    fitted = {"n": 108, "coverage": 0.907, "mean_width": 1.1}
    card = {
        "title": "toy",
        "domain": None,
        "voxel_size_mm": {"min": 4.0, "max": 13.0},
        "confidence": Confidence(0.9, (0.0, 0.0), (), (-1.0,), (-1.5, 1.5)).as_dict() | fitted,
        "training": {"sets": {"train": {"patients": 2, "images": {"gridded": 4}}}},
        "centres": {"half_edge_mm": 40},
    }
    path = folder / "toy.safetensors"
    save_model(path, encode_tensors(IQDCNN(small).state_dict(), small.as_dict()), card)
    return path


def _verify(path: Path) -> int:
    return main(["model", "verify", str(path)])


def _make_card(folder: Path) -> Path:
    return _make_model(folder).with_suffix(".json")


def _show_card(path: Path) -> int:
    weights = str(path.with_suffix(".safetensors"))
    return main(["model", "show", weights]) or main(["model", "verify", weights])


# ---------------------------------------------------------------- run folders


def _make_run(folder: Path) -> Path:
    from tests.report.fake_run import write_run_folder

    return write_run_folder(folder / "scan.csiq", n=4)


def _rank(path: Path) -> int:
    return main(["rank", str(path.parent)])


def _make_checkpoint(folder: Path) -> Path:
    from csiq.io.volumes import CHECKPOINT, write_checkpoint

    rng = np.random.default_rng(2)
    arrays = {name: rng.random((2, 8, 8, 8)).astype(np.complex64) for name in ("volumes", "gradient")}
    write_checkpoint(folder, arrays, {"config_sha256": "ab" * 32, "state": {"iteration": 3}, "curves": []})
    return folder / CHECKPOINT


def _read_checkpoint(path: Path) -> int:
    from csiq.io.volumes import read_checkpoint

    def read() -> object:
        found = read_checkpoint(path.parent)
        return found and ({name: _digest(a) for name, a in found[0].items()}, found[1])

    return _ended(read)


def _file_of_run(name: str) -> Callable[[Path], Path]:
    return lambda folder: _make_run(folder) / name


#: By name. Where lines follow each other, a file that ends early can be a whole one of fewer lines.
KINDS = {
    "ismrmrd": Kind(_make_ismrmrd, _info),
    "twix": Kind(_make_twix, _info),
    "trajectory": Kind(_make_trajectory, _info_with_trajectory),
    "BART's header": Kind(_make_bart, _info_of_bart),
    "BART's JSON": Kind(lambda folder: _make_bart(folder).with_name("scan.cfl.json"), _info_of_bart),
    "plain arrays": Kind(_make_arrays, _info),
    "toml": Kind(_make_toml, _check_config, open_ended=True),
    "graded manifest": Kind(_make_graded, _read_graded, open_ended=True),
    "cohort manifest": Kind(_make_cohort, _read_cohort, open_ended=True),
    "readers": Kind(_make_readers, lambda path: main(["agree", str(path)]), open_ended=True),
    "nifti": Kind(_make_nifti, _read_images),
    "nifti.gz": Kind(lambda folder: _make_nifti(folder, "image.nii.gz"), _read_images, checked=True),
    "dicom": Kind(_make_series, lambda path: _read_images(path.parent)),
    "ismrmrd images": Kind(_make_ismrmrd_images, _read_images),
    "volumes": Kind(_make_volumes, _read_images, checked=True),
    "safetensors": Kind(_make_model, _verify, checked=True),
    "model card": Kind(_make_card, _show_card),
    "run.json": Kind(_file_of_run("run.json"), _rank),
    "curves.tsv": Kind(_file_of_run("curves.tsv"), _rank),
    "checkpoint": Kind(_make_checkpoint, _read_checkpoint, checked=True),
}
