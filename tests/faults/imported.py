"""What commands that read files import, and a whole run from the raw file to its page."""

from __future__ import annotations

import finufft  # noqa: F401
import matplotlib.backends.backend_agg  # noqa: F401
import nibabel  # noqa: F401
import PIL.Image

import csiq._arrays_numba
import csiq._convolution_numba
import csiq.cli.info
import csiq.io.ismrmrd
import csiq.io.ismrmrd_decode
import csiq.io.ismrmrd_trajectory
import csiq.io.ismrmrd_write
import csiq.io.twix
import csiq.quality.model_file
import csiq.report.page
import csiq.report.plots
import csiq.run_scan
import csiq.solvers._blur_numba
import csiq.solvers._penalty_numba
import csiq.solvers._tv_numba  # noqa: F401
import tests.faults.kinds  # noqa: F401
from csiq.io.ismrmrd_package import from_ismrmrd

PIL.Image.init()  # every format that an image can be saved in
from_ismrmrd("xsd")
