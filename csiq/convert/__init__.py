"""From one format to another: raw scans, and images with their place in the patient.

Every format is read into an :class:`csiq.acquisition.Acquisition` or an
:class:`csiq.io.image_set.ImageSet` and written from it, so that all routes share one geometry.
"""

from csiq.convert.formats import FORMATS, WRITTEN, source_of, target_of
from csiq.convert.route import Converted, ConvertOptions, convert

__all__ = ["FORMATS", "WRITTEN", "ConvertOptions", "Converted", "convert", "source_of", "target_of"]
