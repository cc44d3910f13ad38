"""Package metadata and the ``csiq`` command."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+?)"', (HERE / "csiq" / "_version.py").read_text()).group(1)

CORE = [
    "numpy>=1.26",
    "scipy>=1.11",
    "numba>=0.59",
    "sigpy>=0.1.27,<0.2",
    "torch>=2.10",
    "h5py>=3.10",
    "matplotlib>=3.8",
    "click>=8.1",
    "finufft>=2.3",
    "ismrmrd>=1.14",
    "nibabel>=5.2",
    "safetensors>=0.4",
    "rich>=13",
    "jinja2>=3.1",
    "msgspec>=0.19",
    "threadpoolctl>=3",
]

EXTRAS = {
    "gpu12": ["cupy-cuda12x>=13", "cufinufft>=2.3"],
    "gpu13": ["cupy-cuda13x>=14", "cufinufft>=2.5"],
    "siemens": ["pymapvbvd>=0.6"],
    "dicom": ["pydicom>=3", "highdicom>=0.25"],
    "cluster": ["dask>=2024.8", "distributed>=2024.8", "dask-jobqueue>=0.9"],
    "tensorboard": ["tensorboard>=2.16"],
    "bench": ["pytest-benchmark>=4", "mri-nufft>=1.5", "torchkbnufft>=1.5"],
    "docs": ["sphinx>=9", "myst-parser>=5", "furo>=2025.9"],
    "test": [
        "pytest>=8",
        "pytest-xdist>=3.7",
        "hypothesis>=6.100",
        "scikit-learn>=1.4",
        "statsmodels>=0.14",
        "krippendorff>=0.7",
        "pytest-benchmark>=4",
        "build>=1",
        "setuptools>=69",
        "wheel",
        "ruff>=0.6",
        "mypy>=1.11",
    ],
}

setup(
    name="csiq",
    version=VERSION,
    description="Compressed-sensing MRI reconstruction that stops when the image quality stops improving",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="BSD-3-Clause",
    license_files=["LICENSE"],
    python_requires=">=3.11",
    packages=[*find_packages(include=["csiq", "csiq.*"]), "csiq.recon_configs"],
    package_dir={"csiq.recon_configs": "recon_configs"},
    package_data={
        "csiq": ["py.typed"],
        "csiq.cuda": ["*.cu"],
        "csiq.evaluation": ["templates/*"],
        "csiq.quality": ["weights/*.safetensors", "weights/*.json"],
        "csiq.reading": ["templates/*"],
        "csiq.recon_configs": ["*.toml"],
        "csiq.report": ["templates/*"],
        "csiq.tuning": ["templates/*"],
    },
    install_requires=CORE,
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["csiq = csiq.cli:main"]},
    classifiers=[
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Operating System :: MacOS",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Medical Science Apps.",
        "Typing :: Typed",
    ],
)
