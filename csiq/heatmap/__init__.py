"""Heat maps: which parts of an image its grade comes from.

The occlusion procedure of Piccini et al. 2020 ("Heatmap generation"), fast enough for whole volumes.
"""

from csiq.heatmap.maps import HeatMap, Occlusion, Stack
from csiq.heatmap.masks import Mask
from csiq.heatmap.occlusion import networks_of, occlusion_map

__all__ = ["HeatMap", "Mask", "Occlusion", "Stack", "networks_of", "occlusion_map"]
