"""The readers' scale, in the words of the paper's Table 1."""

from __future__ import annotations

import math

#: Table 1 of Piccini et al. 2020, grade 0 to grade 4.
SCALE = (
    "nondiagnostic",
    "marked blurring, limited diagnostic value",
    "moderate blurring, but diagnostic value",
    "mild blurring, good diagnostic value",
    "excellent diagnostic value",
)


def words_of(grade: float | None, in_domain: bool | None = None) -> str:
    """Return the words of the paper's Table 1 for a grade.

    The grade is rounded to the nearest half (half to even) and clipped to 0-4, as for the paper's kappa;
    readers gave a half grade when in doubt between two, and so do the words.

    Parameters
    ----------
    grade : float or None
    in_domain : bool, optional
        False: the network has not seen such images, and no reader would have said it so.
    """
    if grade is None or not math.isfinite(grade):
        return "not graded"
    if in_domain is False:
        return "outside the training domain"
    halves = min(max(round(2 * grade), 0), 8)
    lower, in_doubt = divmod(halves, 2)
    return f"between '{SCALE[lower]}' and '{SCALE[lower + 1]}'" if in_doubt else SCALE[lower]
