"""Statistics against other people's programs."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest

from csiq.agreement import (
    LEVELS,
    agreement_counts,
    kappa_of_counts,
    krippendorff_alpha,
    linear_fit,
    pearson,
    pearson_r2,
    round_to_halves,
    spearman,
    weighted_kappa,
)

TINY = 1e-12  # double precision after some hundred operations


def readers(rng, n, spread=0.5):
    """Return two readers of the same cases, halves from 0 to 4."""
    truth = 4 * rng.beta(1.1, 1.5, n)
    return tuple(round_to_halves(truth + spread * rng.standard_normal(n)) for _ in range(2))


def test_kappa_of_scikit_learn(rng):
    metrics = pytest.importorskip("sklearn.metrics")
    for _ in range(40):
        a, b = readers(rng, int(rng.integers(5, 120)))
        codes = (2 * a).astype(int), (2 * b).astype(int)
        theirs = metrics.cohen_kappa_score(*codes, weights="linear", labels=range(9))
        assert weighted_kappa(a, b) == pytest.approx(theirs, abs=TINY)
        theirs = metrics.cohen_kappa_score(*codes, weights="linear")
        assert weighted_kappa(a, b, labels="used") == pytest.approx(theirs, abs=TINY)
        assert agreement_counts(a, b).tolist() == metrics.confusion_matrix(*codes, labels=range(9)).tolist()


def test_kappa_of_statsmodels(rng):
    inter_rater = pytest.importorskip("statsmodels.stats.inter_rater")
    for ours, theirs in (("linear", "linear"), ("squared", "quadratic"), ("none", None)):
        counts = agreement_counts(*readers(rng, 80))
        found = inter_rater.cohens_kappa(counts, wt=theirs)
        assert kappa_of_counts(counts, weights=ours) == pytest.approx(found.kappa, abs=TINY)


@pytest.mark.parametrize("level", LEVELS)
def test_alpha_of_krippendorff(rng, level):
    package = pytest.importorskip("krippendorff")
    for n_raters in (2, 3, 5):
        ratings = round_to_halves(2 + rng.standard_normal(30) + 0.6 * rng.standard_normal((n_raters, 30)))
        ratings[rng.random(ratings.shape) < 0.2] = np.nan
        theirs = package.alpha(reliability_data=ratings, level_of_measurement=level)
        assert krippendorff_alpha(ratings, level) == pytest.approx(theirs, abs=TINY)


def test_correlations_of_scipy(rng):
    from scipy import stats

    for spread in (0.2, 1.0):
        a, b = readers(rng, 60, spread)
        line = stats.linregress(a, b)
        found = linear_fit(a, b)
        assert (found.slope, found.intercept) == (
            pytest.approx(line.slope, abs=TINY),
            pytest.approx(line.intercept, abs=TINY),
        )
        assert found.r2 == pytest.approx(line.rvalue**2, abs=TINY) == pearson_r2(a, b)
        assert pearson(a, b) == pytest.approx(stats.pearsonr(a, b).statistic, abs=TINY)
        assert spearman(a, b) == pytest.approx(stats.spearmanr(a, b).statistic, abs=TINY)


R_SCRIPT = """
x <- as.matrix(read.table(file("stdin")))
say <- function(name, value) cat(name, format(value, digits = 15), "\\n")
has <- function(name) requireNamespace(name, quietly = TRUE)
steps <- abs(outer(0:8, 0:8, "-"))
all <- table(factor(x[, 1], 0:8), factor(x[, 2], 0:8))
if (has("irr")) {
  say("used", irr::kappa2(x, "equal")$value)
  for (level in c("nominal", "ordinal", "interval", "ratio"))
    say(level, irr::kripp.alpha(t(x), level)$value)
}
if (has("psych")) say("all", psych::cohen.kappa(unclass(all), w = 1 - steps / 8)$weighted.kappa)
if (has("vcd")) say("all", vcd::Kappa(all, weights = 1 - steps / 8)$Weighted[["value"]])
"""


def test_kappa_and_alpha_of_r(rng):
    program = shutil.which("Rscript")
    if program is None:
        pytest.skip("R is not on this machine")
    a, b = readers(rng, 50)
    text = "\n".join(f"{int(2 * i)} {int(2 * j)}" for i, j in zip(a, b, strict=True)) + "\n"
    done = subprocess.run(
        [program, "--vanilla", "-e", R_SCRIPT], input=text, capture_output=True, text=True, check=True
    )
    lines = [line.split() for line in done.stdout.splitlines() if line.strip()]
    if not lines:
        pytest.skip("R has none of irr, psych and vcd")
    ours = {level: krippendorff_alpha(np.stack([a, b]), level) for level in LEVELS}
    ours |= {"all": weighted_kappa(a, b), "used": weighted_kappa(a, b, labels="used")}
    for name, value in lines:
        assert ours[name] == pytest.approx(float(value), abs=1e-9), name
