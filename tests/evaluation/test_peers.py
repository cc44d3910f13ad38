import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from csiq.errors import RawDataError, ShapeError
from csiq.evaluation import estimating, peers
from csiq.evaluation.blind_measures import central_cube, gradient_entropy, tenengrad
from csiq.evaluation.peers import MonotoneMap, peer_grades, peer_rows
from tests.evaluation.small_cohort import make_cohort


def ramp(slope: float = 2.0, n: int = 12) -> np.ndarray:
    return np.broadcast_to(slope * np.arange(n, dtype=float) + 5, (n, n, n))


def step(n: int = 12) -> np.ndarray:
    volume = np.ones((n, n, n))
    volume[n // 2 :] = 3
    return volume


def test_tenengrad_of_a_ramp_is_its_slope_squared():
    inner = ramp()[1:-1, 1:-1, 1:-1]
    assert tenengrad(ramp()) == pytest.approx(4 / inner.mean() ** 2)
    # half as long a voxel, twice the slope per mm
    assert tenengrad(ramp(), (1.0, 1.0, 0.5)) == pytest.approx(16 / inner.mean() ** 2)
    assert tenengrad(np.moveaxis(ramp(), 2, 0)) == pytest.approx(tenengrad(ramp()))


def test_tenengrad_of_a_step_by_hand():
    # central differences see the step of 2 as a slope of 1 in two of ten planes; five planes of 1, five of 3
    assert tenengrad(step()) == pytest.approx(2 / 10 / 2**2)
    assert np.isnan(tenengrad(np.zeros((5, 5, 5))))


def test_gradient_entropy_of_a_ramp_and_of_a_step_by_hand():
    assert gradient_entropy(ramp()) == pytest.approx(1)
    # 11^2 of 11^3 neighbours differ, all alike: ln 11^2 / ln 11^3
    assert gradient_entropy(step()) == pytest.approx(2 / 3)
    point = np.zeros((4, 4, 4))
    point[3, 1, 1] = 1
    assert gradient_entropy(point) == pytest.approx(0)
    assert np.isnan(gradient_entropy(np.ones((4, 4, 4))))


def test_scale_does_not_matter_noise_and_blur_do(rng):
    from scipy.ndimage import gaussian_filter

    image = step(24)
    for measure in (tenengrad, gradient_entropy):
        assert measure(1e5 * image) == pytest.approx(measure(image))
    assert tenengrad(gaussian_filter(image, 1.5)) < tenengrad(image)
    assert gradient_entropy(image + 0.1 * rng.standard_normal(image.shape)) > gradient_entropy(image)


def test_only_the_middle_counts():
    volume = np.zeros((20, 10, 30), np.float32)
    cube = central_cube(volume, (10.0, 30.0, 5.0))
    assert cube.shape == (10, 4, 20)
    volume[5:15, 3:7, 5:25] = 1
    assert central_cube(volume, (10.0, 30.0, 5.0)).all()
    assert central_cube(volume, (100.0, 100.0, 0.1)).shape == (2, 2, 30)
    with pytest.raises(ShapeError):
        tenengrad(volume[0])


@pytest.mark.parametrize("sense", [1, -1])
def test_map_is_isotonic_regression(rng, sense):
    isotonic = pytest.importorskip("sklearn.isotonic")
    x = np.round(rng.uniform(0, 10, 80), 1)
    y = sense * x / 3 + rng.standard_normal(80)
    found = MonotoneMap.fitted(x, y)
    steps = isotonic.IsotonicRegression(increasing=sense > 0).fit(x, y)
    # blocks have the values of its steps, and lie at the mean of what is in them
    fitted = steps.predict(x)
    values = np.unique(fitted)
    np.testing.assert_allclose(np.sort(found.grades), values, atol=1e-9)
    places = np.sort([x[np.isclose(fitted, value)].mean() for value in values])
    np.testing.assert_allclose(found.knots, places, atol=1e-9)


def test_map_by_hand():
    found = MonotoneMap.fitted(np.array([0.0, 1, 2, 3, np.nan, 4]), np.array([0.0, 2, 1, 3, 9, np.nan]))
    np.testing.assert_allclose(found.knots, [0, 1.5, 3])
    np.testing.assert_allclose(found(np.array([-1, 0.75, 1.5, 9, np.nan])), [0, 0.75, 1.5, 3, np.nan])
    falling = MonotoneMap.fitted(np.array([1.0, 2, 3]), np.array([4.0, 2, 0]))
    assert falling(np.array([2.5]))[0] == pytest.approx(1)
    with pytest.raises(RawDataError):
        MonotoneMap.fitted(np.array([1.0, np.nan]), np.array([1.0, 2.0]))


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """Return a cohort whose images get sharper and cleaner with their grade."""
    import csv

    from csiq.cohort.volume_file import write_int16
    from csiq.io.tables import read_table, write_table

    folder = make_cohort(tmp_path_factory.mktemp("peers") / "cohort", 60)
    rng = np.random.default_rng(3)
    with (folder / "graded.tsv").open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    people = read_table(folder / "patients.tsv")
    for row, person in zip(rows, people, strict=True):
        quality = float(row["reference"])
        volume = np.ones((16, 16, 16))
        volume[8:] += quality / 4
        affine = np.diag([13.0, 13, 13, 1])
        write_int16(folder / row["volume"], volume + 0.001 * rng.uniform(size=volume.shape), affine)
        person["edge_sharpness"] = 10 + 10 * quality
    write_table(folder / "patients.tsv", people)
    return folder


def test_peers_learn_from_training_patients_alone(cohort, tmp_path):
    told = []
    found = peer_grades(cohort, report=lambda *what: told.append(what))
    assert list(found.grades) == ["tenengrad", "gradient_entropy", "edge_sharpness"]
    assert found.n_train == 20
    assert len(found.volumes) == 40
    assert told[-1][1:] == (60, 60)
    reference = 4 * (np.array([int(name[9:12]) for name in found.volumes]) - 0.5) / 60
    rows = {row["grader"]: row for row in peer_rows(found, reference, network=reference)}
    assert rows["IQ-DCNN"]["r2"] == pytest.approx(1)
    assert rows["IQ-DCNN"]["kappa"] == pytest.approx(1)
    assert rows["Tenengrad"]["spearman"] > 0.95
    assert rows["Edge sharpness (measured with the truth)"]["r2"] > 0.85
    other = tmp_path / "cohort"
    shutil.copytree(cohort, other)
    lines = (other / "graded.tsv").read_text().splitlines()
    turned = [line if "test" not in line else line.replace(line.split("\t")[3], "4.0", 1) for line in lines]
    (other / "graded.tsv").write_text("\n".join(turned) + "\n")
    again = peer_grades(other)
    for name, grades in found.grades.items():
        np.testing.assert_array_equal(grades, again.grades[name])


def test_a_clinic_has_no_edge_sharpness(cohort, tmp_path):
    other = tmp_path / "clinic"
    shutil.copytree(cohort, other)
    (other / "patients.tsv").unlink()
    assert list(peer_grades(other / "graded.tsv").grades) == ["tenengrad", "gradient_entropy"]


def test_section_shows_the_network_beside_its_peers(cohort, monkeypatch):
    monkeypatch.setattr(estimating, "N_RESAMPLES", 100)
    monkeypatch.setattr(estimating, "N_RESAMPLES_REDRAWS", 50)
    from csiq.evaluation.cases import read_cases
    from csiq.evaluation.peers import section

    cases = read_cases(cohort)
    study = SimpleNamespace(cases=cases, predicted=cases.reference, network_name="IQ-DCNN")
    found = section(study)
    (table,) = found.items
    assert [row[0] for row in table.body[:2]] == ["IQ-DCNN", "Tenengrad"]
    assert table.body[4][:2] == ("Ceiling: the noise-free reference", "reader1a")
    assert len(table.body) == 9
    assert table.body[5][:2] == ("IQ-DCNN", "noise-free reference")
    assert table.body[5][2:] == ("1.00\n1.00 to 1.00",) * 3 + ("0.00\n0.00 to 0.00",)
    assert all(len(row) == len(table.head) for row in table.body)
    assert found.numbers["n_train"] == 20
    rows = found.numbers["rows"]
    reader, main = rows[1], cases.draws["reader1a"]
    assert (reader["grader"], reader["against"]) == ("Tenengrad", "reader1a")
    grades = peer_grades(cohort).grades["tenengrad"]
    assert reader["mae_mean"] == pytest.approx(np.mean(np.abs(main - grades)))
    assert reader["mae_ceiling"] == pytest.approx(np.mean(np.abs(main - cases.reference)))
    for row in rows:
        assert row["r2_low"] <= row["r2"] <= row["r2_high"]
    assert reader["r2_mean_low"] <= reader["r2_mean"] <= reader["r2_mean_high"]
    assert np.isnan(rows[-1]["r2_mean"])


def test_edge_sharpness_is_that_of_the_image_not_of_its_patient(monkeypatch):
    monkeypatch.setattr(peers, "features_of", lambda path: SimpleNamespace(edge_sharpness=7.0))
    monkeypatch.setattr(peers, "read_table", lambda path: [{"patient": "p001", "edge_sharpness": 30.0}])
    paths = (Path("volumes/p001.nii"), Path("iterates/p001-i02-phase3.nii"), Path("coarse/p001.nii"))
    images = [SimpleNamespace(path=path, patient="p001") for path in paths]
    assert peers._edge_sharpness(Path("c"), images)["edge_sharpness"].tolist() == [30.0, 7.0, 7.0]
