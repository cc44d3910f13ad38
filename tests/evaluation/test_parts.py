"""Parts of a study: what is drawn, by which rule, and the sentences beside."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from csiq.agreement import agreement_counts, consensus_error, variability_per_grade
from csiq.cohort.volume_file import write_int16
from csiq.evaluation import (
    about,
    bars,
    consensus,
    database,
    estimating,
    exemplar_figure,
    network_figure,
    patches,
    raters,
    redrawn,
    regression,
)
from csiq.evaluation.cases import read_cases
from csiq.evaluation.comparison import Comparison, label_of
from csiq.evaluation.drawing import blank, counted, picture_bytes
from csiq.evaluation.exemplars import choose
from csiq.evaluation.predictions import Predictions, predict
from csiq.evaluation.section import shown, span
from csiq.io.nifti import read_volume
from csiq.io.tables import read_table, write_table
from csiq.quality.model_file import open_model
from csiq.quality.network import IQDCNN, NetworkConfig
from tests.evaluation.small_cohort import VOXEL, Brightness, affine, make_cohort


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch):
    monkeypatch.setattr(estimating, "N_RESAMPLES", 200)
    monkeypatch.setattr(estimating, "N_RESAMPLES_REDRAWS", 50)


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Comparison:
    folder = tmp_path_factory.mktemp("study")
    cases = read_cases(make_cohort(folder / "cohort"))
    graders = [Brightness(), Brightness("model-00", 0.12, "1" * 64), Brightness("model-01", 0.2, "2" * 64)]
    return Comparison(cases, predict(cases, graders, folder), open_model().card)


@pytest.fixture(scope="module")
def clinic(tmp_path_factory) -> Comparison:
    folder = tmp_path_factory.mktemp("clinic")
    cases = read_cases(make_cohort(folder / "clinic", 9, known=False))
    return Comparison(cases, predict(cases, [Brightness()], folder))


def test_numbers_for_people():
    assert [shown(-0.004), shown(-0.25, sign=True), shown(float("nan")), shown(None)] == [
        "0.00",
        "−0.25",
        "–",
        "–",
    ]
    assert span(0.5, float("nan")) == "–"
    assert [label_of(name) for name in ("reader1a", "reader2", "reader_x")] == [
        "Observer 1a",
        "Observer 2",
        "reader_x",
    ]


def test_retrainings_are_the_others(study):
    main = study.raters["main"].grades
    by_hand = [np.corrcoef(main, grades)[0, 1] ** 2 for grades in study.predictions.grades[1:]]
    found = study.retrained["patients"]["r2"]
    assert (found.mean, found.sd, found.n) == pytest.approx((np.mean(by_hand), np.std(by_hand, ddof=1), 2))
    assert set(study.retrained["patches"]) <= set(study.retrained["patients"])


def test_retrainings_may_have_fewer_patches(study):
    """Networks of another half edge: the patches of each are all that it has."""
    first, one, other = study.predictions.patches
    models = study.predictions.models
    mixed = Comparison(study.cases, Predictions(models, (first, one, other[:, :, :1])))
    main, errors = study.raters["main"].grades, []
    for patches_of in (one, other[:, :, :1]):
        flat = patches_of.reshape(len(main), -1)
        errors.append(np.abs(flat - main[:, None]).mean())
    found = mixed.retrained["patches"]["mae"]
    assert (found.mean, found.n) == (pytest.approx(np.mean(errors)), 2)


def test_against_the_reference(study):
    found, truth, grades = study.reference, study.cases.reference, study.predicted
    assert found.sd == pytest.approx(np.std(grades - truth, ddof=1))
    assert found.explained == pytest.approx(
        1 - np.sum((grades - truth) ** 2) / np.sum((truth - truth.mean()) ** 2)
    )
    assert found.sd_interval[0] < found.sd < found.sd_interval[1]
    asked = {bar.what: bar for bar in bars.bars(study)}
    met = {what: bar.met for what, bar in asked.items()}
    assert (asked["SD of the error"].low, asked["SD of the error"].high) == found.sd_interval
    gain = asked["κ(network, 1a) − κ(1b, 1a), single draw"]
    assert gain.low < gain.value < gain.high
    assert met["R² with the noise-free reference"] is True
    assert met["SD over retrainings, Pearson R²"] is (study.retrained["patients"]["r2"].sd <= 0.01)
    bad = replace(study, predictions=Predictions(("flipped",), (4 - study.predictions.patches[0],)))
    assert {bar.what: bar.met for bar in bars.bars(bad)}["slope on it"] is False


def test_the_kappa_of_the_network_and_of_the_second_reading(study):
    gain = study.kappa_gain
    pairs = study.pairs
    single = pairs["main", "network"]["kappa"].single - pairs["main", "again"]["kappa"].single
    assert gain.single == pytest.approx(single)
    assert gain.low < single < gain.high
    assert gain.mean == pytest.approx(
        pairs["main", "network"]["kappa"].mean - pairs["main", "again"]["kappa"].mean
    )
    assert gain.mean_low < gain.mean < gain.mean_high
    assert gain.ceiling > gain.mean


def test_counts_and_tables_are_those_of_the_readers(study):
    part = raters.section(study)
    names = [item.name for item in part.items]
    assert names[:4] == ["table-2", "table-3", "table-4", "reliability"]
    assert [f"figure-{x}" for x in ("4a", "4b", "4c", "E3a", "E3b", "E3c", "E3d")] == names[4:]
    table = {item.name: item for item in part.items}
    counted_here = np.array([row["count"] for row in table["figure-4c"].data]).reshape(9, 9)
    expected = agreement_counts(study.raters["main"].grades, study.raters["second"].grades)
    np.testing.assert_array_equal(counted_here, expected)
    first = table["table-2"].data[0]
    assert (first["a"], first["b"], first["merit"], first["paper"]) == (
        "Observer 1a",
        "Observer 1b",
        "bias",
        0.01,
    )
    assert "paper 0.01 ± 0.50" in table["table-2"].body[0][1]


def test_means_over_redraws_are_those_of_each_day(study):
    main, second, network = (study.raters[role] for role in ("main", "second", "network"))
    truth, days = study.cases.reference, range(len(main.draws))
    counts, near = study.counts("main", "second")
    expected = np.mean([agreement_counts(main.draws[d], second.draws[d]) for d in days], axis=0)
    np.testing.assert_allclose([one.mean for one in counts], expected.ravel())
    assert near.mean == pytest.approx(np.mean(np.abs(main.draws - second.draws) <= 0.5))
    assert np.isnan(near.ceiling)
    best = np.mean([agreement_counts(main.draws[d], truth) for d in days], axis=0)
    counts, near = study.counts("main", "network")
    np.testing.assert_allclose([one.ceiling for one in counts], best.ravel())
    assert near.low <= near.single <= near.high
    per_day = [variability_per_grade(network.grades, main.draws[d]).mean for d in days]
    found = study.variability_estimates["network"]
    np.testing.assert_allclose([one.mean for one in found], np.nanmean(per_day, axis=0))
    np.testing.assert_allclose([one.single for one in found], study.variability["network"].mean)
    best = [variability_per_grade(truth, main.draws[d]).mean for d in days]
    np.testing.assert_allclose([one.ceiling for one in found], np.nanmean(best, axis=0))
    assert np.isnan([one.ceiling for one in study.variability_estimates["again"]]).all()
    errors = [consensus_error(network.grades, main.draws[d], second.draws[d]).mae for d in days]
    assert study.consensus_redrawn["mean"]["mae"] == pytest.approx(np.mean(errors))
    assert study.consensus_redrawn["ceiling"]["mae"] < study.consensus_redrawn["mean"]["mae"]
    slopes = [np.polyfit(main.draws[d], network.grades, 1)[0] for d in days]
    assert study.ends["redraws"].slope == pytest.approx(np.mean(slopes))


def test_errors_have_intervals_and_ceilings(study):
    found = study.consensus_estimates
    for name, one in found.items():
        assert one.single == getattr(study.consensus, name)
        assert one.low <= one.single <= one.high
        assert one.mean_low <= one.mean <= one.mean_high
    chosen = np.random.default_rng(0).integers(20, size=(200, 20))
    main, second, grades = study.raters["main"].grades, study.raters["second"].grades, study.predicted
    values = [consensus_error(grades[rows], main[rows], second[rows]).mae for rows in chosen]
    assert (found["mae"].low, found["mae"].high) == pytest.approx(tuple(np.quantile(values, [0.05, 0.95])))
    for which, against in (("reader", "single"), ("reference", "reference")):
        for end, one in study.ends_estimates[which].items():
            assert one.single == getattr(study.ends[against], end)
            assert one.low <= one.single <= one.high
    for end, one in study.ends_estimates["reader"].items():
        assert one.mean == pytest.approx(getattr(study.ends["redraws"], end))
        assert one.ceiling == pytest.approx(getattr(study.ends["ceiling"], end))
    tables = {item.name: item for item in consensus.section(study).items}
    assert [row["merit"] for row in tables["consensus"].data] == list(redrawn.CONSENSUS)
    rows = {row["against"]: row for row in tables["ends"].data}
    assert rows["single"]["low_from"] <= rows["single"]["low"] <= rows["single"]["low_to"]
    assert np.isnan(rows["ceiling"]["slope_from"])
    assert all(
        len(row) == len(table.head)
        for table in tables.values()
        if hasattr(table, "body")
        for row in table.body
    )


def test_the_gain_has_an_interval(study):
    numbers = regression.section(study).numbers
    for key, one in numbers["gain_estimates"].items():
        assert one.mean == pytest.approx(numbers["gain"][key])
        assert one.mean_low <= one.mean <= one.mean_high
        assert one.low <= one.single <= one.high


def test_copies_of_an_image_change_no_interval(study):
    rows = np.repeat(np.arange(20), 3)
    cases = replace(
        study.cases,
        images=tuple(study.cases.images[row] for row in rows),
        draws={name: draws[:, rows] for name, draws in study.cases.draws.items()},
    )
    patches_of = tuple(one[rows] for one in study.predictions.patches)
    thrice = Comparison(cases, Predictions(study.predictions.models, patches_of))
    for key in ("kappa", "rmse"):  # of those whose value itself depends on no n - 1
        for level in ("patients", "patches"):
            one, other = getattr(study, level)[key], getattr(thrice, level)[key]
            assert vars(other) == pytest.approx(vars(one), nan_ok=True)
    assert thrice.reference.r2_interval == pytest.approx(study.reference.r2_interval)
    assert vars(thrice.kappa_gain) == pytest.approx(vars(study.kappa_gain))
    assert vars(thrice.retrained["patients"]["r2"]) == pytest.approx(vars(study.retrained["patients"]["r2"]))
    assert vars(thrice.consensus_estimates["mae"]) == pytest.approx(vars(study.consensus_estimates["mae"]))
    near = study.counts("main", "network")[1], thrice.counts("main", "network")[1]
    assert vars(near[1]) == pytest.approx(vars(near[0]))


def test_every_patient_is_in_the_distribution_once(study):
    counts = database.grade_counts(study)
    assert sum(int(n.sum()) for n in counts.values()) == 30
    assert counts[database.TESTED].sum() == 20
    assert database.section(study).numbers["men_percent"] > 0


def test_six_cases_by_their_rule(study):
    chosen = patches.choose(study)
    rows = [case.row for case in chosen]
    assert len(set(rows)) == 6
    assert rows[0] == int(np.argmin(study.predicted))
    assert rows[1] == int(np.argmax(study.predicted))
    data = patches.section(study).items[0].data
    assert sum(row["patches"] for row in data) == 6 * 24


def test_each_reader_keeps_its_line_where_there_is_no_second_reading(study):
    images = tuple(
        replace(i, grades={name: i.grades[name] for name in ("reader1a", "reader2")})
        for i in study.cases.images
    )
    roles = replace(study.cases.roles, again=None)
    two = Comparison(replace(study.cases, images=images, roles=roles), study.predictions, study.card)
    figure = patches.histograms(two, patches.choose(two))
    legend = {line.get_label(): line for line in figure.legends[0].legend_handles}
    assert list(legend) == ["IQ-DCNN, mean of the patches", "Observer 1a", "Observer 2"]
    assert legend["Observer 1a"].get_linestyle() == "-"
    dotted = legend["Observer 2"]._unscaled_dash_pattern
    for axes, case in zip(figure.axes, patches.choose(two), strict=True):
        first, second, network = axes.lines
        assert first.get_xdata()[0] == two.raters["main"].grades[case.row]
        assert first.get_linestyle() == "-"
        assert second.get_xdata()[0] == pytest.approx(two.raters["second"].grades[case.row], abs=0.05)
        assert second._unscaled_dash_pattern == dotted != network._unscaled_dash_pattern
    assert "(solid: Observer 1a, dotted: Observer 2)" in patches.section(two).items[0].caption


def test_errors_and_ends(study):
    part = consensus.section(study)
    assert part.numbers["ends"]["reference"].slope == pytest.approx(study.reference.slope)
    assert set(part.numbers["ends"]) == {"single", "redraws", "ceiling", "reference"}
    assert part.numbers["consensus"].n == 20
    # even the noise-free reference looks drawn to the middle by noisy readers
    assert part.numbers["ends"]["ceiling"].slope < 1


def test_a_clinic_gets_what_is_possible(clinic):
    assert clinic.reference is None
    assert set(clinic.ends) == {"single"}
    assert clinic.consensus_redrawn == {"mean": None}
    assert "no noise-free reference" in bars.section(clinic).lead[0]
    assert {bar.met for bar in bars.bars(clinic) if "ceiling" in bar.what} == {None}
    assert "nothing is known of artefacts" in exemplar_figure.section(clinic).lead[0]
    assert "not drawn" in network_figure.section(clinic).lead[0]


def test_one_reader_is_enough(clinic):
    images = tuple(replace(i, grades={"reader1a": i.grades["reader1a"]}) for i in clinic.cases.images)
    roles = replace(clinic.cases.roles, again=None, second=None)
    alone = Comparison(replace(clinic.cases, images=images, roles=roles), clinic.predictions)
    assert [item.name for item in raters.section(alone).items if item.name.startswith("figure")] == [
        "figure-4a",
        "figure-E3c",
        "figure-E3d",
    ]
    assert [item.name for item in consensus.section(alone).items] == ["ends"]
    assert len(patches.section(alone).items[0].data) > 0


def test_the_network_is_traced_as_it_is():
    import torch

    config = NetworkConfig(widths=(8, 12, 16, 20), first_kernel=7, hidden=(30, 10))
    stages = network_figure.stages_of(config.as_dict())
    assert [stage.channels for stage in stages] == [1, 8, 12, 16, 20, 30, 10, 1]
    network, x, sides = IQDCNN(config), torch.zeros(1, 1, 128, 128), [128]
    for layer in network.features:
        x = layer(x)
        sides.append(x.shape[-1])
    assert [stage.side for stage in stages[:5]] == [sides[0], *sides[3::3]]
    assert "conv 7×7" in stages[1].layers


def test_voxels_the_model_does_not_know_are_named(study):
    assert study.card["voxel_size_mm"]["max"] < VOXEL
    (found,) = about.notes(study)
    assert found.startswith("20 of 20 images have voxels outside what the model was trained on (")
    assert about.notes(replace(study, card={"voxel_size_mm": {"min": 1.0, "max": VOXEL}})) == []


def test_hyperparameters_are_those_of_the_card(study):
    part = network_figure.section(study)
    assert part.lead[0].startswith(f"hp1 5 voxels, hp2 {study.card['network']['keep']:g}, hp3 ")
    assert network_figure.hyperparameters({"network": {}}) == dict.fromkeys(("hp1", "hp2", "hp3", "hp4"), "–")


def test_exemplars_have_their_grades(study):
    chosen = choose(study.cases)
    for exemplar in chosen:
        assert exemplar.scan.grades["reader1a"] == exemplar.grade
    assert [e.grade for e in chosen if not e.artefact] == [0.0, 1.0, 2.0, 3.0, 4.0]
    for exemplar in chosen:
        assert (exemplar.arrow is not None) == bool(exemplar.artefact)


def test_arrows_point_at_the_place(study, tmp_path):
    # a bright voxel 26 mm up, 39 mm in front and 13 mm to the right of the middle
    place = np.array([26.0, 39.0, 13.0])
    volume = np.zeros((16, 16, 16))
    volume[tuple((place / VOXEL).astype(int) + 8)] = 1.0
    path = tmp_path / "bright.nii"
    write_int16(path, volume, affine())
    assert read_volume(path)[0].max() == pytest.approx(1.0)
    exemplar = replace(choose(study.cases)[0], focus=place, arrow=place)
    shown_there = exemplar_figure.reformats(replace(exemplar, scan=replace(exemplar.scan, volume=path)))
    for reformat in shown_there:
        rows, columns = np.nonzero(reformat.pixels > 0.5)
        row, column = reformat.arrow
        assert abs(rows.mean() - row) <= 1
        assert abs(columns.mean() - column) <= 1
        assert np.ptp(rows) == pytest.approx(13 / 0.75, abs=1.5)


def test_equal_points_are_counted():
    x, y, n = counted(np.array([1.0, 1.0, 2.0, np.nan]), np.array([0.5, 0.5, 0.0, 1.0]))
    assert (x.tolist(), y.tolist(), n.tolist()) == ([1.0, 2.0], [0.5, 0.0], [2, 1])


def test_equal_figures_give_equal_bytes():
    def drawn(kind):
        figure = blank(2, 1)
        figure.add_subplot().plot([0, 1], [1, 0])
        return picture_bytes(figure, kind, "simulated readers", dpi=50)

    assert drawn("svg") == drawn("svg")
    assert all(b"simulated readers" in drawn(kind) for kind in ("svg", "png"))
    assert drawn("png") == drawn("png")


def test_an_image_without_a_grade_is_left_out(study):
    patches_of = study.predictions.patches[0].copy()
    patches_of[3] = np.nan
    broken = replace(study, predictions=Predictions(("broken",), (patches_of,)))
    assert np.isnan(broken.predicted[3])
    kept = np.delete(np.arange(20), 3)
    truth = study.cases.reference
    error = (study.predicted - truth)[kept]
    assert broken.reference.sd == pytest.approx(error.std(ddof=1))
    assert broken.reference.explained == pytest.approx(
        1 - np.sum(error**2) / np.sum((truth[kept] - truth[kept].mean()) ** 2)
    )
    for part in (bars, consensus, patches, raters, regression):
        part.section(broken)
    assert 3 not in [case.row for case in patches.choose(broken)]


def test_a_reader_who_read_nothing_is_none(tmp_path):
    folder = make_cohort(tmp_path / "clinic", 6, known=False)
    rows = read_table(folder / "graded.tsv")
    for row in rows:
        row["reader2"] = None
    write_table(folder / "graded.tsv", rows)
    cases = read_cases(folder)
    assert cases.readers == ("reader1a", "reader1b")
    assert cases.roles.second is None
