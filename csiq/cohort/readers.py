"""Two simulated readers: observer 1, who reads twice (1a, 1b), and observer 2.

With q the reference quality of an image on the continuous scale 0 .. 4,

    grade = round_to_halves(q + u(q) (w_o d + s_r e)), clipped to 0 .. 4
    u(q)  = U_END + (1 - U_END) q (4 - q) / 4

- d is what an image leans to: its sharpness over its cleanliness, standardised by fixed constants to mean 0
  and SD 1, limited to +-2.5. Observer 1 weighs sharpness more (w = +LEAN), observer 2 noise and streaks
  (w = -LEAN); a preference is a habit, the same in both readings of observer 1.
- e is standard normal, new in each reading; s_r is the reading's own noise.
- u makes intermediate grades the least certain, as in the paper's Figure E3d: at either end of the scale
  there is less to argue about, by the factor U_END.

Where the constants come from: a database whose q / 4 follows a beta distribution (1.1, 1.5) spans the scale
unevenly, with more low and mid grades, and gives observer 1 an SD of 1.10. There, s_1a, s_1b and LEAN solve
SD(1a - 1b) = 0.50, SD(1a - 2) = 0.57, SD(1b - 2) = 0.61, rounding and clipping included, with s_2 the root
mean square of s_1a and s_1b. The last two targets differ, so 1b has to be the noisier reading. To two digits
(.34, .43, .39, .19) the SDs become 0.500, 0.570, 0.610 to within 0.003, and a reading's own SD, rounding
included, is 0.32, 0.39 and 0.35: 0.50 / sqrt 2 in the mean.

What then comes out by itself, with the paper's values in brackets: weighted kappa 0.72, 0.67, 0.65 (0.70,
0.67, 0.66); Krippendorff's alpha at interval level of 1a and 2 0.87 (0.87); mean absolute difference of 1a
and 2 0.42 (0.42). In a database of another spread these change: kappa and alpha rise with the spread of q.

References
----------
Piccini D, et al. Radiology: Artificial Intelligence 2020;2:e190123, Tables 2-4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np

from csiq.errors import ShapeError

#: Columns of the readings, in their order everywhere.
READERS = ("reader1a", "reader1b", "reader2")
#: Best grade of the scale.
BEST = 4.0
#: Noise of each reading at the middle of the scale.
NOISE = (0.34, 0.43, 0.39)
#: Weight of a preference at the middle of the scale; observer 2 has the opposite one.
LEAN = 0.19
#: Uncertainty at both ends of the scale over that at its middle.
U_END = 0.4
_LEANS = np.array([LEAN, LEAN, -LEAN])
_LIMIT = 2.5
_STREAM = 2  # of a patient's random numbers


@dataclass(frozen=True)
class Preference:
    """Constants that make features of an image a standardised leaning.

    Attributes
    ----------
    sharpness_mean, sharpness_sd : float
        Of the sharpness score, over calibration patients.
    cleanliness_mean, cleanliness_sd : float
        Of the cleanliness score.
    spread : float
        SD of the difference of the two standardised scores.
    """

    sharpness_mean: float
    sharpness_sd: float
    cleanliness_mean: float
    cleanliness_sd: float
    spread: float

    @classmethod
    def fit(cls, sharpness: np.ndarray, cleanliness: np.ndarray) -> Preference:
        """Return the constants of given patients; meant for calibration patients, once.

        Raises
        ------
        ShapeError
            If the scores do not vary.
        """
        s, c = np.asarray(sharpness, float), np.asarray(cleanliness, float)
        if s.shape != c.shape or s.ndim != 1 or not (s.std() > 0 and c.std() > 0):
            raise ShapeError(f"expected two rows of scores that vary, got {s.shape} and {c.shape}")
        difference = (s - s.mean()) / s.std() - (c - c.mean()) / c.std()
        if not difference.std() > 0:
            raise ShapeError("sharpness and cleanliness say the same of every image")
        found = (s.mean(), s.std(), c.mean(), c.std(), difference.std())
        return cls(*(round(float(value), 4) for value in found))

    def leaning(self, sharpness: np.ndarray, cleanliness: np.ndarray) -> np.ndarray:
        """Return d of the module's formula: positive where sharpness is the better side of an image."""
        sharp = (np.asarray(sharpness, float) - self.sharpness_mean) / self.sharpness_sd
        clean = (np.asarray(cleanliness, float) - self.cleanliness_mean) / self.cleanliness_sd
        return np.clip((sharp - clean) / self.spread, -_LIMIT, _LIMIT)


#: Of :func:`csiq.cohort.grading.reader_scores`.
PREFERENCE = Preference(
    sharpness_mean=0.5421,
    sharpness_sd=0.1994,
    cleanliness_mean=0.8172,
    cleanliness_sd=0.0389,
    spread=0.4843,
)


@dataclass(frozen=True)
class Readings:
    """Three grades of one image, halves from 0 to 4."""

    reader1a: float
    reader1b: float
    reader2: float


def grades_of(quality: np.ndarray, lean: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Return the grades of the module's formula.

    Parameters
    ----------
    quality, lean : float array, (n_patients,)
        q and d.
    noise : float array, (..., n_patients, 3)
        e of each reading.

    Returns
    -------
    float64 array, (..., n_patients, 3)
        Halves from 0 to 4, in the order of :data:`READERS`.

    Raises
    ------
    ShapeError
        If a quality or leaning is not finite.
    """
    q, d = np.asarray(quality, float)[:, None], np.asarray(lean, float)[:, None]
    if not (np.isfinite(q).all() and np.isfinite(d).all()):
        raise ShapeError("readers need finite qualities and features")
    latent = q + uncertainty(q) * (_LEANS * d + np.array(NOISE) * noise)
    return np.clip(np.round(2 * latent) / 2, 0.0, BEST) + 0.0  # no negative zero


def uncertainty(quality: np.ndarray) -> np.ndarray:
    """Return u(q): 1 at the middle of the scale, U_END at and beyond its ends."""
    inside = np.clip(np.asarray(quality, float), 0.0, BEST)
    return np.asarray(U_END + (1 - U_END) * inside * (BEST - inside) / BEST)


def read(
    quality: float,
    sharpness: float,
    cleanliness: float,
    rng: np.random.Generator,
    preference: Preference = PREFERENCE,
) -> Readings:
    """Read one image.

    Parameters
    ----------
    quality : float
        Reference quality, 0 to 4, continuous.
    sharpness, cleanliness : float
        Scores of the image, larger is better.
    rng : numpy Generator
        Of :func:`reader_rng`, for the readings of a manifest.
    preference : Preference
        Made for these scores.

    Raises
    ------
    ShapeError
        If a number is not finite.
    """
    lean = preference.leaning(np.array([sharpness]), np.array([cleanliness]))
    found = grades_of(np.array([quality]), lean, rng.standard_normal((1, len(READERS))))
    return Readings(*found[0].tolist())


def reader_rng(cohort_seed: int, number: int, image: int = 0) -> np.random.Generator:
    """Return the random numbers of the readers of one image: no other patient or image changes them.

    Parameters
    ----------
    cohort_seed : int
    number : int
        Of the patient.
    image : int
        0 for the patient's own volume, from 1 on for further ones.
    """
    return np.random.default_rng([cohort_seed, number, _STREAM, *([image] if image else [])])


def redraws(
    quality: np.ndarray, lean: np.ndarray, numbers: Sequence[int], *, seed: int, n_draws: int = 200
) -> np.ndarray:
    """Have the same patients read again and again.

    Parameters
    ----------
    quality, lean : float array, (n_patients,)
        Reference quality and :meth:`Preference.leaning`.
    numbers : sequence of int
        Of the patients in their cohort.
    seed : int
        Of the cohort.
    n_draws : int

    Returns
    -------
    float64 array, (n_draws + 1, n_patients, 3)
        Draw 0 is the one of the manifest.
    """
    drawn = [reader_rng(seed, number).standard_normal((n_draws + 1, len(READERS))) for number in numbers]
    noise = np.stack(drawn, axis=1) if drawn else np.empty((n_draws + 1, 0, len(READERS)))
    return grades_of(quality, lean, noise)


def as_row(readings: Readings) -> dict[str, float]:
    """Return the cells of a manifest."""
    return dict(zip(READERS, astuple(readings), strict=True))
