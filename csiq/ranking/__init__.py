"""Which images look better than which: pairs with ties, never a strict order that was not earned.

Two images whose grades differ by less than 0.25 cannot be told apart by a reader (Piccini 2020). That
relation is not transitive, so the result is the table of pairs, the set of images indistinguishable from the
best, and ranks with ties. Beside each pair stands what a reader would say of it, with which probability.

References
----------
Piccini D, et al. Deep learning to automate reference-free image quality assessment of whole-heart MR
images. Radiology: Artificial Intelligence 2020;2(3):e190123, Table 1 and "Quality evolution".
"""

from __future__ import annotations

from csiq.ranking.comparison import Comparison, Pair, Ranked, compare
from csiq.ranking.phases import COLUMNS, SCHEMA_VERSION, RankedPhase, Ranking, rank, rank_numbers
from csiq.ranking.preference import GradeError, Preference, Reader, error_of, preference
from csiq.ranking.preferences import PairPreference, Preferences
from csiq.ranking.scale import SCALE, words_of

__all__ = [
    "COLUMNS",
    "SCALE",
    "SCHEMA_VERSION",
    "Comparison",
    "GradeError",
    "Pair",
    "PairPreference",
    "Preference",
    "Preferences",
    "Ranked",
    "RankedPhase",
    "Ranking",
    "Reader",
    "compare",
    "error_of",
    "preference",
    "rank",
    "rank_numbers",
    "words_of",
]
