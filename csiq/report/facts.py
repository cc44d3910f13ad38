"""Facts of a run as pairs of name and value: the lists of the page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from csiq.report.breathing import Breathing
from csiq.report.record import Record
from csiq.report.verdict import duration, seconds_per_iteration

Facts = Iterable[tuple[str, str]]
#: Stages of ``seconds`` in ``run.json`` in words.
_STAGES = {
    "load": "reading the file",
    "gating": "breathing signal",
    "coils": "coil sensitivities",
    "setup": "gridding and operators",
    "recon": "iterations",
    "output": "writing the files",
    "truth": "comparing with the truth",
}


def number(value: float | None, form: str = ".2f") -> str:
    """Return a number with a real minus sign; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    # z: what rounds to zero has no minus
    signed = form if form.startswith("+") else f"-{form}"
    return f"{value:{signed[0]}z{signed[1:]}}".replace("-", "−")


def gating_facts(gating: Mapping[str, Any], breathing: Breathing) -> Facts:
    """Yield what is known of the gating signal and its bins."""
    sources = {"si": "superior-inferior spokes", "k0": "centre of k-space"}
    if gating.get("source"):
        yield "signal from", sources.get(gating["source"], str(gating["source"]))
    if gating.get("orientation"):
        known = gating["orientation"] == "end-expiration-up"
        yield "direction", "up is end-expiration" if known else str(gating["orientation"]).replace("-", " ")
    if gating.get("confidence") is not None:
        yield "confidence of the direction", f"{100 * gating['confidence']:.0f} %"
    if gating.get("snr") is not None:
        yield "signal to noise", f"{gating['snr']:.1f}"
    yield "spokes in each phase", ", ".join(map(str, breathing.counts))
    if breathing.edges:
        yield "bin edges", ", ".join(number(edge) for edge in breathing.edges) + " SD"
    unused = int((breathing.phase == 0).sum())
    if unused:
        yield "spokes not used", str(unused)


def data_facts(record: Record) -> Facts:
    """Yield what is known of the scan."""
    scan = record.section("scan")
    if scan.get("n_spokes") is not None:
        fraction = scan.get("nyquist_fraction")
        yield (
            "imaging spokes",
            f"{scan['n_spokes']}" + (f" ({100 * fraction:.0f} % of Nyquist)" if fraction is not None else ""),
        )
    for key, name in (
        ("n_samples", "samples on a spoke"),
        ("n_navigators", "SI spokes"),
        ("n_heartbeats", "heartbeats"),
    ):
        if scan.get(key):
            yield name, str(scan[key])
    if scan.get("n_coils"):
        used = scan.get("n_coils_used")
        yield (
            "coils",
            f"{scan['n_coils']}" + (f", compressed to {used}" if used and used != scan["n_coils"] else ""),
        )
    for key, name, unit in (
        ("matrix", "matrix (z y x)", ""),
        ("fov_mm", "field of view (z y x)", " mm"),
        ("voxel_size_mm", "voxel (z y x)", " mm"),
    ):
        if scan.get(key):
            yield name, " × ".join(f"{v:.4g}" for v in scan[key]) + unit
    delays = scan.get("gradient_delays")
    if delays:
        entries = ", ".join(f"{axis} {value:+.2f}" for axis, value in delays["samples"].items() if value)
        done = "corrected" if delays["applied"] else "not corrected"
        yield "gradient delays", f"{entries or 'none'} samples ({delays['source']}, {done})"
    if scan.get("duration_s"):
        yield "duration of the scan", duration(scan["duration_s"])
    if scan.get("triggered") is not None:
        yield "ECG-triggered", "yes" if scan["triggered"] else "no"
    if scan.get("TR_s"):
        yield system_fact("TR_s", scan["TR_s"])
    for key, value in (scan.get("system") or {}).items():
        yield system_fact(key, value)


def system_fact(key: str, value: object) -> tuple[str, str]:
    """Return name and value with its unit of what is known of the scanner: ``TR_s`` becomes TR in ms."""
    name, _, unit = key.rpartition("_")
    if unit == "s" and isinstance(value, float):
        return name, f"{1000 * value:.4g} ms" if value >= 1e-4 else f"{1e6 * value:.4g} µs"
    if unit in ("T", "deg") and isinstance(value, int | float):
        return name, f"{value:.4g}{'°' if unit == 'deg' else ' T'}"
    return key.replace("_", " "), f"{value:.4g}" if isinstance(value, float) else str(value)


def hashes(record: Record) -> Facts:
    """Yield the checksums of what went in."""
    for section, name in (("input", "raw file"), ("model", "model")):
        if record.section(section).get("sha256"):
            yield f"SHA-256 of the {name}", str(record.section(section)["sha256"])
    if record.run.get("config_sha256"):
        yield "SHA-256 of the configuration", str(record.run["config_sha256"])


def stage_facts(record: Record) -> Facts:
    """Yield how long each stage of the run took."""
    for name, seconds in record.section("seconds").items():
        if seconds is not None:
            yield _STAGES.get(name, name), duration(seconds)


def provenance(record: Record) -> Facts:
    """Yield what the result was made by."""
    run = record.run
    if run.get("csiq"):
        yield "csiq", str(run["csiq"])
    for section, name in (("input", "raw file"), ("model", "model")):
        entry = record.section(section)
        if entry.get("name"):
            yield name, str(entry["name"])
    for key, name in (
        ("device", "device"),
        ("threads", "threads"),
        ("seed", "seed"),
    ):
        if run.get(key) is not None:
            yield name, str(run[key])
    if run.get("lamda_abs") is not None:
        yield "lamda, absolute", f"{run['lamda_abs']:.5g}"
    each = seconds_per_iteration(record.history)
    if math.isfinite(each):
        yield "one iteration and its grading", duration(each)
    if run.get("status"):
        yield "status", str(run["status"])
