"""Iterates that another program saves into a folder, graded as they come, and when to stop it."""

from csiq.watch.arrivals import Arrivals, Iterate
from csiq.watch.follow import Watch, follow
from csiq.watch.names import Numbered, numbered

__all__ = ["Arrivals", "Iterate", "Numbered", "Watch", "follow", "numbered"]
