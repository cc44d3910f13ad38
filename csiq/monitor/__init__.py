"""The grader, the curves and the stopping rules on any reconstruction: a SigPy App, an Alg, a loop."""

from csiq.monitor.grading import QualityWarning
from csiq.monitor.quality_monitor import Best, QualityMonitor

__all__ = ["Best", "QualityMonitor", "QualityWarning"]
