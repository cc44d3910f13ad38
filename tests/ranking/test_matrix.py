"""The picture of the pairs: what its cells say, and that equal pairs give equal bytes."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from csiq.ranking import compare, rank_numbers
from csiq.ranking.matrix import pair_matrix, save_figure
from csiq.ranking.preference import preference


def four_phases():
    return rank_numbers([2.05, 2.31, 1.86, 1.42], [0.38] * 4, [0.25] * 4, [True] * 4)


def words(figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def test_cells_have_verdict_and_probability_of_their_row():
    found = words(pair_matrix(four_phases()))
    assert found[0] == "↑"  # phase 1 against phase 2
    said = preference(2.05 - 2.31, 0.25)
    assert found[1] == f"{100 * said.a:.0f} %, = {100 * said.equal:.0f} %"
    assert sorted(found[::2]) == ["=", "="] + ["←"] * 5 + ["↑"] * 5
    assert len(found) == 2 * 12


def test_names_grades_and_the_top_set_stand_on_both_axes():
    axes = pair_matrix(four_phases(), title="scan").axes[0]
    for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
        assert [label.get_text() for label in labels][1] == "phase 2\n2.31"
        assert [label.get_fontweight() for label in labels] == ["normal", "bold", "normal", "normal"]
    assert axes.get_title(loc="left") == "scan"


def test_letters_can_be_read_on_every_colour():
    def luminance(colour) -> float:
        rgb = np.array(to_rgb(colour))
        return float(
            np.where(rgb <= 0.03928, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]
        )

    axes = pair_matrix(four_phases()).axes[0]
    ink = luminance(axes.texts[0].get_color())
    # WCAG 2: 4.5 for text
    assert min((luminance(p.get_facecolor()) + 0.05) / (ink + 0.05) for p in axes.patches) > 4.5


def test_without_probabilities_there_are_verdicts():
    ranking = rank_numbers([2.0, math.nan, 1.0], [0.3] * 3, None, [False] * 3)
    assert words(pair_matrix(ranking)) == ["–", "←", "–", "–", "↑", "–"]


def test_many_images_have_colours_only():
    grades = [SimpleNamespace(grade=0.1 * i, grade_sd=0.2) for i in range(20)]
    figure = pair_matrix(compare([f"run {i}" for i in range(20)], grades))
    assert words(figure) == []
    assert len(figure.axes[0].patches) == 400


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_equal_pairs_give_equal_bytes(kind, tmp_path):
    paths = [tmp_path / f"{name}.{kind}" for name in ("one", "two")]
    for path in paths:
        save_figure(pair_matrix(four_phases()), path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert paths[0].read_bytes()[:4] in (b"\x89PNG", b"<?xm")
