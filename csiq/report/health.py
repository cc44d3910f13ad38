"""What is to be known of the data before its images are believed, each point in one line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from csiq.report.record import Record
from csiq.report.verdict import join, out_of_domain

#: Which way is expiration is taken to be sure from here on.
_SURE = 0.8
#: The paper's sampling: a fifth of Nyquist. Half of it is little.
_FEW = 0.1


@dataclass(frozen=True)
class Check:
    """One point that was looked at.

    Attributes
    ----------
    level : str
        ``ok``, ``note`` (good to know) or ``look`` (the images may suffer).
    name : str
    words : str
    """

    level: str
    name: str
    words: str


def checks_of(record: Record) -> list[Check]:
    """Return what can be told of the data from ``run.json``; what it does not know is left out."""
    return [*_sampling(record), *_coils(record), *_gating(record), *_orientation(record), *_domain(record)]


def _sampling(record: Record) -> Iterator[Check]:
    fraction = record.section("scan").get("nyquist_fraction")
    if isinstance(fraction, int | float):
        few = fraction < _FEW
        words = f"{100 * fraction:.0f} % of the spokes Nyquist asks for; the paper's scans have 20 %"
        yield Check("look" if few else "ok", "sampling", words)


def _coils(record: Record) -> Iterator[Check]:
    scan, left_out = record.section("scan"), record.config("data").get("exclude_coil") or []
    n = scan.get("n_coils")
    if isinstance(n, int):
        words = f"{n} coils" + (f"; left out: {join(left_out)}" if left_out else "")
        yield Check("note" if left_out else "ok", "coils", words)
    noise = scan.get("n_noise_samples")
    if isinstance(noise, int):
        words = f"measured, {noise} samples: the coils are whitened" if noise else "not measured in this file"
        yield Check("ok" if noise else "note", "noise", words)


def _gating(record: Record) -> Iterator[Check]:
    gating = record.section("gating")
    sure = gating.get("confidence")
    if isinstance(sure, int | float):
        words = f"which way is expiration is known with a confidence of {100 * sure:.0f} %"
        yield Check("ok" if sure >= _SURE else "look", "breathing", words)


def _orientation(record: Record) -> Iterator[Check]:
    known = record.section("scan").get("orientation_known")
    if isinstance(known, bool):
        words = "as the file says" if known else "the file gave none: left and right are not known"
        yield Check("ok" if known else "look", "orientation", words)


def _domain(record: Record) -> Iterator[Check]:
    flags = record.section("grading").get("in_domain") or []
    if any(isinstance(flag, bool) for flag in flags):
        outside = out_of_domain(record.run)
        words = "the images are like those the network learned from"
        if outside:
            words = f"not like what the network learned from: phase {join(outside)}"
        yield Check("look" if outside else "ok", "grading", words)
