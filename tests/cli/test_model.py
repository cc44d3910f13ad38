"""``csiq model`` and what ``csiq grade`` says of confidence, domain and calibration."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from csiq.acquisition import Geometry
from csiq.cli import main
from csiq.cohort.manifest import GradedScan, write_manifest
from csiq.io.nifti import write_nifti
from csiq.quality.confidence import Confidence
from csiq.quality.descriptors import describe_slices
from csiq.quality.domain import Domain
from csiq.quality.grade import Grader
from csiq.quality.model_file import encode_tensors, save_model
from csiq.quality.network import IQDCNN, NetworkConfig
from csiq.quality.patches import volume_slices
from tests.quality.toy_chest import VOXEL, toy_chest

SMALL = NetworkConfig(widths=(4, 4, 8, 8), hidden=(16, 8))
_N = 10


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of toy chests with a manifest: a reader who grades the blur, and one who never read."""
    folder = tmp_path_factory.mktemp("scans")
    rng = np.random.default_rng(12)
    rows = []
    for number in range(_N):
        volume = toy_chest(rng)
        path = folder / f"s{number}.nii"
        write_nifti(path, volume, Geometry(volume.shape, (208.0, 208.0, 208.0)))
        rows.append(GradedScan(path, f"p{number}", "test", {"reader1a": rng.integers(0, 9) / 2}))
    write_manifest(folder / "graded.tsv", rows)
    return folder


@pytest.fixture(scope="module")
def model(scans: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained network whose card knows the toy chests."""
    from csiq.io.nifti import read_volume

    torch.manual_seed(5)
    samples = [
        describe_slices(volume_slices(read_volume(file)[0], VOXEL).values)
        for file in sorted(scans.glob("*.nii"))
    ]
    confidence = Confidence(0.9, (0.0, 0.0), (), (-1.0,), (-1.5, 1.5))
    card = {
        "title": "toy",
        "domain": Domain.fit(np.array(samples), (4.0, 4.0)).as_dict(),
        "voxel_size_mm": {"min": 4.0, "max": 4.0},
        "confidence": {**confidence.as_dict(), "n": 108, "coverage": 0.907, "mean_width": 1.1},
    }
    path = tmp_path_factory.mktemp("model") / "toy.safetensors"
    save_model(path, encode_tensors(IQDCNN(SMALL).state_dict(), SMALL.as_dict()), card)
    return path


def test_grade_says_interval_domain_and_calibration(scans: Path, model: Path, capsys) -> None:
    assert main(["grade", str(scans / "s0.nii"), "--model", str(model), "--json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert list(entry)[:4] == ["volume", "grade", "grade_sd", "in_domain"]
    assert entry["in_domain"] is True
    assert entry["uncalibrated"] is True
    low, high = entry["interval"]
    assert 0 <= low < high <= 4
    assert entry["uncertainty"] == pytest.approx(1.5 * np.exp(-1) / 1.6449, rel=1e-3)
    assert main(["grade", str(scans / "s0.nii"), "--model", str(model)]) == 0
    line = capsys.readouterr().out
    assert f"[{low:.2f} to {high:.2f}]" in line
    assert line.rstrip().endswith("uncalibrated")


def test_grade_of_a_simulated_volume_is_not_called_uncalibrated(
    scans: Path, model: Path, tmp_path, capsys
) -> None:
    copy = tmp_path / "s0.nii"
    copy.write_bytes((scans / "s0.nii").read_bytes())
    (tmp_path / "s0.json").write_text('{"simulated": true}')
    assert main(["grade", str(copy), "--model", str(model)]) == 0
    assert "uncalibrated" not in capsys.readouterr().out


def test_calibrate_writes_a_new_model(scans: Path, model: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "ours.safetensors"
    command = ["model", "calibrate", str(scans / "graded.tsv"), "--model", str(model), "-o", str(out)]
    assert main([*command, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["n"], told["patients"], told["reader"]) == (_N, _N, "reader1a")
    assert told["after"]["mae"] <= told["before"]["mae"]
    assert out.read_bytes() == model.read_bytes()
    card = json.loads(out.with_suffix(".json").read_text())
    assert card["name"] == "ours"
    assert card["site_calibration"]["model"] == {"name": "toy", "sha256": card["sha256"]}
    assert main(["grade", str(scans / "s1.nii"), "--model", str(out), "--json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert entry["uncalibrated"] is False
    # the untrained network's grades are near 0: the reader's are not, and the map takes them there
    plain = Grader.load(model).grade(np.zeros((52, 52, 52)) + 1, VOXEL).grade
    assert told["kind"] == "none" or abs(entry["grade"] - plain) > 0.2
    assert main(command) == 7
    assert main([*command, "--overwrite"]) == 0
    assert "cross-validated" in capsys.readouterr().out
    assert main(["model", "show", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "calibrated to" in shown
    assert "held 90.7% of 108 images" in shown


def test_calibrating_again_starts_from_the_network(scans: Path, model: Path, tmp_path: Path, capsys) -> None:
    first, second = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    table = str(scans / "graded.tsv")
    assert main(["model", "calibrate", table, "--model", str(model), "-o", str(first)]) == 0
    assert main(["model", "calibrate", table, "--model", str(first), "-o", str(second)]) == 0
    one, other = (json.loads(p.with_suffix(".json").read_text())["site_calibration"] for p in (first, second))
    assert one == other


def test_what_cannot_be_calibrated(scans: Path, model: Path, tmp_path: Path, capsys) -> None:
    table, few = scans / "graded.tsv", scans / "few.tsv"
    few.write_text("".join(table.read_text().splitlines(keepends=True)[:6]))
    base = ["model", "calibrate", "--model", str(model), "-o", str(tmp_path / "x.safetensors")]
    assert main([*base, str(few)]) == 3
    assert "at least 10" in capsys.readouterr().err
    assert main([*base, str(table), "--reader", "reader9"]) == 2
    capsys.readouterr()
    assert main([*base, str(scans / "nothing.tsv")]) == 2
    assert "nothing.tsv: no such file" in capsys.readouterr().err
    assert main([*base[:2], "--model", str(model), "-o", str(model), "--overwrite", str(table)]) == 7
    assert main([*base[:2], "--model", str(model), "-o", str(tmp_path / "x.pt"), str(table)]) == 2
    assert not list(tmp_path.iterdir())


def test_import_takes_over_a_torch_file(scans: Path, tmp_path: Path, capsys) -> None:
    theirs, out = tmp_path / "theirs.pt", tmp_path / "ours.safetensors"
    torch.save({"state_dict": IQDCNN(SMALL).state_dict()}, theirs)
    assert main(["model", "import", str(theirs), "-o", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["network"]["widths"] == list(SMALL.widths)
    card = json.loads(out.with_suffix(".json").read_text())
    assert card["unknown"]
    assert card["imported"]["file"] == "theirs.pt"
    assert main(["model", "verify", str(out)]) == 0
    assert main(["model", "show", str(out)]) == 0
    assert "not known" in capsys.readouterr().out
    assert main(["grade", str(scans / "s0.nii"), "--model", str(out)]) == 0
    found = capsys.readouterr()
    assert "outside the training domain" in found.out
    assert "uncertified" in found.err
    assert main(["model", "import", str(theirs), "-o", str(out)]) == 7


def test_import_holds_to_the_kind_that_is_stated(tmp_path: Path, capsys) -> None:
    theirs, kind = tmp_path / "theirs.pt", tmp_path / "kind.json"
    torch.save(IQDCNN(SMALL).state_dict(), theirs)
    kind.write_text(json.dumps(SMALL.as_dict()))
    out = str(tmp_path / "ours.safetensors")
    assert main(["model", "import", str(theirs), "-o", out, "--kind", str(kind)]) == 0
    kind.write_text(json.dumps(NetworkConfig().as_dict()))
    assert main(["model", "import", str(theirs), "-o", out, "--kind", str(kind), "--overwrite"]) == 4
    kind.write_text("[]")
    assert main(["model", "import", str(theirs), "-o", out, "--kind", str(kind), "--overwrite"]) == 4
    assert "expected a JSON object" in capsys.readouterr().err
    assert main(["model", "import", str(theirs), "-o", out, "--voxels", "2", "1", "--overwrite"]) == 2


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"text"])
def test_bad_weights_are_exit_4(tmp_path: Path, content: bytes, capsys) -> None:
    bad = tmp_path / "bad.pt"
    bad.write_bytes(content)
    assert main(["model", "import", str(bad), "-o", str(tmp_path / "x.safetensors")]) == 4
    assert capsys.readouterr().err.startswith("csiq: error: bad.pt")
    assert main(["model", "import", str(tmp_path / "nothing.pt"), "-o", str(tmp_path / "x.safetensors")]) == 4
    assert [file.name for file in tmp_path.iterdir()] == ["bad.pt"]


def test_an_ensemble_is_verified_whole(tmp_path: Path, capsys) -> None:
    from csiq.quality.build import ensemble_tensors

    members = [IQDCNN(SMALL).state_dict() for _ in range(3)]
    path = tmp_path / "three.safetensors"
    save_model(
        path,
        encode_tensors(ensemble_tensors(members), SMALL.as_dict()),
        {"domain": None, "voxel_size_mm": None},
    )
    assert main(["model", "verify", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["weights"] == 3 * sum(v.numel() for v in members[0].values())


def test_a_card_can_be_extended(model: Path, tmp_path: Path) -> None:
    from csiq.errors import ModelError
    from csiq.quality.model_file import extend_card

    path = tmp_path / "copy.safetensors"
    path.write_bytes(model.read_bytes())
    with pytest.raises(ModelError, match="no model card"):
        extend_card(path, {"note": "new"})
    path.with_suffix(".json").write_text(model.with_suffix(".json").read_text())
    extend_card(path, {"note": "new"})
    card = json.loads(path.with_suffix(".json").read_text())
    assert (card["note"], card["title"], card["name"]) == ("new", "toy", "copy")
    assert path.read_bytes() == model.read_bytes()
    Grader.load(path)
