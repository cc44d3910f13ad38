"""Figures and the one-page report of a run, all derived from the files of its run folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from csiq.report.options import ReportOptions
    from csiq.report.page import write_report
    from csiq.report.plots import write_curves

__all__ = ["ReportOptions", "write_curves", "write_report"]


def __getattr__(name: str) -> Any:
    # Loaded on use: the words of the verdict serve the command line, which must not wait for matplotlib.
    if name == "write_report":
        from csiq.report.page import write_report

        return write_report
    if name == "write_curves":
        from csiq.report.plots import write_curves

        return write_curves
    if name == "ReportOptions":
        from csiq.report.options import ReportOptions

        return ReportOptions
    raise AttributeError(name)
