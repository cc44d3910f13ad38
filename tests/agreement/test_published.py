"""Statistics against published numbers and numbers worked out by hand."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from csiq.agreement import (
    agreement_counts,
    bland_altman,
    bootstrap_values,
    compare_pair,
    intraclass_correlation,
    kappa_of_counts,
    kappa_words,
    krippendorff_alpha,
    paired_tests,
    spearman,
    weighted_kappa,
)

NAN = np.nan
#: Ten graded cases, worked out by hand.
A = [0, 0.5, 1, 1, 1.5, 2, 2, 3, 3.5, 4]
B = [0, 1, 1, 0.5, 2, 2, 1.5, 3.5, 3, 4]
#: Krippendorff 2011: 4 observers, 12 units.
OBSERVERS = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, NAN, NAN, NAN],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NAN, 3],
    [NAN, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NAN],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NAN],
]
#: `anxiety` of R's irr: 20 subjects, three raters, levels 1 to 6.
ANXIETY = np.array(
    [
        [3, 3, 3, 4, 5, 5, 2, 3, 5, 2, 2, 6, 1, 5, 2, 2, 1, 2, 4, 3],
        [3, 6, 4, 6, 2, 4, 2, 4, 3, 3, 2, 3, 3, 3, 2, 2, 1, 3, 3, 4],
        [2, 1, 4, 4, 3, 2, 1, 6, 1, 1, 1, 2, 3, 3, 1, 1, 3, 3, 2, 2],
    ]
)
#: Example of SAS' FREQ procedure, rows and columns of a table.
SAS = np.array([[0, 4, 1], [0, 8, 0], [0, 1, 5]])
#: Peak flow (l/min) of 17 subjects, first measurements by two meters: Bland and Altman 1986.
WRIGHT = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
MINI = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]


def table(a, b, levels=6):
    """Return counts of two columns of levels 1, 2 ..."""
    counts = np.zeros((levels, levels), int)
    np.add.at(counts, (np.asarray(a) - 1, np.asarray(b) - 1), 1)
    return counts


def test_kappa_by_hand():
    assert weighted_kappa([0, 1, 2, 3, 4], [0, 2, 2, 4, 4]) == pytest.approx(16 / 21, abs=1e-15)
    assert weighted_kappa(A, B) == pytest.approx(37 / 47, abs=1e-15)


def test_kappa_by_the_letter_of_equation_2():
    expected = [Fraction(round(2 * x)) for x in A], [Fraction(round(2 * x)) for x in B]
    n = len(A)
    seen = sum(abs(i - j) for i, j in zip(*expected, strict=True)) / n
    chance = sum(abs(i - j) for i in expected[0] for j in expected[1]) / Fraction(n * n)
    assert weighted_kappa(A, B) == pytest.approx(float(1 - seen / chance), abs=1e-15)


def test_kappa_without_labels_is_another_number():
    a, b = [0, 1, 4, 4, 0], [0, 4, 4, 1, 1]
    assert weighted_kappa(a, b) == pytest.approx(12 / 47, abs=1e-15)
    assert weighted_kappa(a, b, labels="used") == pytest.approx(0.347826, abs=5e-7)


def test_kappa_of_anxiety():
    all_used = table(ANXIETY[0], ANXIETY[1])
    for labels in ("all", "used"):
        assert kappa_of_counts(all_used, labels=labels) == pytest.approx(7 / 37, abs=1e-15)
    assert kappa_of_counts(all_used, weights="squared") == pytest.approx(0.296765, abs=5e-7)
    assert kappa_of_counts(all_used, weights="none") == pytest.approx(0.119497, abs=5e-7)
    # nobody gave a 5: irr leaves it out
    gap = table(ANXIETY[1], ANXIETY[2])
    assert kappa_of_counts(gap) == pytest.approx(13 / 103, abs=1e-15)
    assert kappa_of_counts(gap, labels="used") == pytest.approx(0.1459075, abs=5e-8)
    assert kappa_of_counts(gap, weights="squared", labels="used") == pytest.approx(0.2520325, abs=5e-8)
    assert kappa_of_counts(gap, weights="none") == pytest.approx(-0.006289308, abs=5e-10)


def test_kappa_of_sas_and_its_standard_error():
    assert kappa_of_counts(SAS) == pytest.approx(118 / 251, abs=1e-15)
    assert kappa_of_counts(SAS, weights="none") == pytest.approx(0.4842, abs=5e-5)
    a, b = (np.repeat(at.ravel(), SAS.ravel()) / 2 for at in np.indices(SAS.shape))
    assert agreement_counts(a, b)[:3, :3].tolist() == SAS.tolist()
    # the asymptotic standard error is 0.1457; of 19 cases the bootstrap finds that to a tenth
    assert bootstrap_values(weighted_kappa, (a, b)).std() == pytest.approx(0.1457, rel=0.1)


@pytest.mark.parametrize(
    ("level", "alpha"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849107), ("ratio", 0.797)]
)
def test_alpha_of_krippendorff(level, alpha):
    digits = 6 if level == "interval" else 3
    assert krippendorff_alpha(OBSERVERS, level) == pytest.approx(alpha, abs=0.5 * 10**-digits)


def test_ten_cases():
    pair = compare_pair(A, B)
    assert (pair.n, pair.alpha_level, pair.is_reliable) == (10, "interval", True)
    assert pair.alpha == pytest.approx(0.954106, abs=5e-7)
    assert pair.spearman == pytest.approx(0.932515, abs=5e-7)
    assert pair.mae == pytest.approx(0.3, abs=1e-15)
    assert pair.rmse == pytest.approx(0.387298, abs=5e-7)
    assert (pair.bias, pair.sd) == (0.0, pytest.approx(0.408248, abs=5e-7))
    assert compare_pair(A, B, level="ordinal").alpha == pytest.approx(0.935890, abs=5e-7)


def test_intraclass_correlation_of_anxiety():
    assert intraclass_correlation(ANXIETY) == pytest.approx(0.198, abs=5e-4)
    assert intraclass_correlation(ANXIETY, agreement=False) == pytest.approx(0.216, abs=5e-4)


def test_limits_of_peak_flow():
    found = bland_altman(WRIGHT, MINI)
    assert (found.n, round(found.bias, 4), round(found.sd, 4)) == (17, -2.1176, 38.7651)
    assert (round(found.lower, 2), round(found.upper, 2)) == (-78.10, 73.86)
    assert (round(found.bias - 2 * found.sd, 2), round(found.bias + 2 * found.sd, 2)) == (-79.65, 75.41)


def test_student_and_wilcoxon_of_sleep():
    drug1 = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
    drug2 = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    found = paired_tests(drug1, drug2)
    assert (found.n, round(found.t, 4), round(found.t_p, 6)) == (10, -4.0621, 0.002833)
    assert (found.v, round(found.v_p, 6)) == (0.0, 0.009091)


def test_wilcoxon_of_depression_scales_is_exact():
    """Hollander and Wolfe, the example of R's wilcox.test: V = 40, P = 0.03906 two-sided."""
    first = [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30]
    second = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29]
    found = paired_tests(first, second)
    assert (found.v, round(found.v_p, 5)) == (40.0, 0.03906)
    assert paired_tests([3.0, 2.0, 1.0], [1.0, 1.0, 0.5]).v_p == 0.25  # three scans cannot say more


def test_spearman_of_ten():
    iq = [106, 100, 86, 101, 99, 103, 97, 113, 112, 110]
    hours = [7, 27, 2, 50, 28, 29, 20, 12, 6, 17]
    assert spearman(iq, hours) == pytest.approx(-29 / 165, abs=1e-15)


@pytest.mark.parametrize(
    ("kappa", "words"),
    [
        (-0.1, "poor"),
        (0.0, "slight"),
        (0.2, "slight"),
        (0.4, "fair"),
        (0.41, "moderate"),
        (0.67, "substantial"),
        (0.8, "substantial"),
        (0.81, "almost perfect"),
        (1.0, "perfect"),
        (NAN, "undefined"),
    ],
)
def test_the_papers_words(kappa, words):
    assert kappa_words(kappa) == words
