"""Images of ISMRMRD files: a group of header, attributes and data, one row an image.

``position`` is that of voxel n // 2 along each axis, as for csiq's raw data; it is LPS, and so are the
directions. Programs differ by half a voxel here where n is odd. Zero directions: not known.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import h5py
import numpy as np

from csiq.errors import ConfigError, RawDataError
from csiq.io.atomic import atomic_write
from csiq.io.geometry import geometry_from_lps, lps_from_geometry
from csiq.io.hdf5 import check_size, find_dataset, find_node, groups_of, open_h5, reading
from csiq.io.hdf5_write import create_h5
from csiq.io.image_set import ImageSet, as_voxels
from csiq.io.ismrmrd_package import from_ismrmrd
from csiq.io.stack import Slice, stack

#: Values of ``image_type`` and ``data_type``.
_MAGNITUDE, _COMPLEX, _FLOAT, _CXFLOAT = 1, 5, 5, 7

_GROUP = "dataset/image_0"


def write_ismrmrd_images(path: str | Path, images: ImageSet) -> None:
    """Write images as ISMRMRD (HDF5, ``/dataset/image_0``), atomically; one image a phase.

    The header's ``phase`` counts the volumes from 0. No name, date or institution is written.

    Parameters
    ----------
    path : path
    images : ImageSet
    """
    kind = _CXFLOAT if images.is_complex else _FLOAT
    values = as_voxels(images.values)[:, None]
    with atomic_write(path) as temporary, create_h5(temporary) as file:
        group = file.create_group(_GROUP)
        group.create_dataset("header", data=_headers(images, kind), maxshape=(None,))
        node = group.create_dataset(
            "attributes", (images.n_phases,), h5py.special_dtype(vlen=str), maxshape=(None,)
        )
        node[:] = [_meta(images, phase) for phase in range(images.n_phases)]
        stored = values.view(from_ismrmrd("hdf5").get_hdf5type(kind)) if images.is_complex else values
        group.create_dataset("data", data=stored, maxshape=(None, *values.shape[1:]), fletcher32=True)


def _headers(images: ImageSet, kind: int) -> np.ndarray:
    heads = np.zeros(images.n_phases, dtype=from_ismrmrd("hdf5").image_header_dtype)
    position, directions = lps_from_geometry(images.geometry)
    heads["version"] = heads["measurement_uid"] = heads["channels"] = heads["image_series_index"] = 1
    heads["data_type"], heads["image_type"] = kind, _COMPLEX if images.is_complex else _MAGNITUDE
    heads["matrix_size"] = images.geometry.shape[::-1]
    heads["field_of_view"] = images.geometry.fov[::-1]
    heads["position"] = position
    heads["read_dir"], heads["phase_dir"], heads["slice_dir"] = directions
    heads["phase"] = np.arange(images.n_phases)
    heads["image_index"] = np.arange(images.n_phases) + 1
    heads["attribute_string_len"] = [len(_meta(images, p).encode()) for p in range(images.n_phases)]
    return heads


def _meta(images: ImageSet, phase: int) -> str:
    rows, columns = lps_from_geometry(images.geometry)[1][:2]
    content: dict[str, list[Any]] = {
        "DataRole": ["Image"],
        "SeriesDescription": ["csiq"],
        "ImageComments": [f"phase {phase + 1} of {images.n_phases}"],
    }
    if images.geometry.known:
        content |= {"ImageRowDir": list(rows), "ImageColumnDir": list(columns)}
    if images.simulated is not None:
        content["csiq_simulated"] = [int(images.simulated)]
    root = ElementTree.Element("ismrmrdMeta")
    for name, values in content.items():
        entry = ElementTree.SubElement(root, "meta")
        ElementTree.SubElement(entry, "name").text = name
        for value in values:
            ElementTree.SubElement(entry, "value").text = str(value)
    return ElementTree.tostring(root, encoding="unicode")


def image_groups(file: h5py.File) -> list[str]:
    """Return the groups of an open file that hold ISMRMRD images."""
    found = []
    for outer in groups_of(file):
        node = find_node(file, outer)
        if isinstance(node, h5py.Group):
            inner = [f"{outer}/{name}" for name in node] if "header" not in node else [outer]
            found += [name for name in inner if _is_images(file, name)]
    return found


def _is_images(file: h5py.File, name: str) -> bool:
    node = find_node(file, name)
    return isinstance(node, h5py.Group) and {"header", "data"} <= set(node)


def read_ismrmrd_images(path: str | Path, group: str | None = None) -> ImageSet:
    """Read the images of an ISMRMRD file: volumes, or slices that make volumes; of several, phases.

    Parameters
    ----------
    path : path
    group : str, optional
        Which group, as in ``dataset/image_0``; needed if there are several.

    Raises
    ------
    RawDataError
        If it is damaged, holds no images, several channels, or images that are no stack.
    ConfigError
        If there is no such group, or several.
    """
    path = Path(path)
    with open_h5(path) as file:
        name = _choose(image_groups(file), path, group)
        nodes = {part: find_dataset(file, f"{name}/{part}") for part in ("header", "data", "attributes")}
        header, data = nodes["header"], nodes["data"]
        if header is None or data is None or data.ndim != 5 or len(header) != len(data):
            raise RawDataError("header and data do not make images", file=path, field=name)
        check_size(data, None)
        with reading(path, name):
            heads, values = header[()], data[()]
            texts = [] if nodes["attributes"] is None else nodes["attributes"].asstr()[()].tolist()
    values = _plain(values, path, name)
    metas = [_parse_meta(text, path, name) for text in texts] or [{}] * len(heads)
    slices = _slices(heads, values, metas, path)
    said = {int(float(meta["csiq_simulated"][0])) for meta in metas if meta.get("csiq_simulated")}
    return stack(slices, path, simulated=bool(said.pop()) if len(said) == 1 else None)


def _choose(found: list[str], path: Path, wanted: str | None) -> str:
    listed = ", ".join(found) or "none"
    if wanted is not None and wanted.strip("/") not in found:
        raise ConfigError(
            f"there are no images in '{wanted}'", file=path, field="--group", hint=f"found: {listed}"
        )
    if not found:
        raise RawDataError("holds no ISMRMRD images", file=path, field="/")
    if wanted is None and len(found) > 1:
        raise ConfigError(f"holds {len(found)} sets of images", file=path, hint=f"--group, one of: {listed}")
    return wanted.strip("/") if wanted is not None else found[0]


def _plain(values: np.ndarray, path: Path, name: str) -> np.ndarray:
    """Return (n, z, y, x); ISMRMRD's complex numbers are pairs named real and imag."""
    if values.shape[1] != 1:
        raise RawDataError(f"images of {values.shape[1]} channels, expected one", file=path, field=name)
    if values.dtype.names == ("real", "imag"):
        values = values["real"] + 1j * values["imag"]
    if values.dtype.kind not in "iufc":
        raise RawDataError(f"expected numbers, got {values.dtype}", file=path, field=name)
    return as_voxels(values[:, 0])


def _parse_meta(text: str, path: Path, name: str) -> dict[str, list[str]]:
    if "<!DOCTYPE" in text.upper() or "<!ENTITY" in text.upper():
        raise RawDataError("attributes declare XML entities: refused", file=path, field=name)
    try:
        root = ElementTree.fromstring(text.strip("\0 \t\r\n") or "<ismrmrdMeta/>")
    except ElementTree.ParseError:
        return {}
    return {
        entry.findtext("name", "").strip(): [value.text or "" for value in entry.findall("value")]
        for entry in root.iter("meta")
    }


def _slices(
    heads: np.ndarray, values: np.ndarray, metas: list[dict[str, list[str]]], path: Path
) -> list[Slice]:
    found = []
    for head, volume, meta in zip(heads, values, metas, strict=True):
        axes = np.stack([head[name] for name in ("read_dir", "phase_dir", "slice_dir")]).astype(np.float64)
        # An image that was turned after its reconstruction says so here, and not in the header
        for axis, name in enumerate(("ImageRowDir", "ImageColumnDir")):
            axes[axis] = _vector(meta.get(name), axes[axis])
        shape = tuple(int(n) for n in volume.shape)
        fov = tuple(float(f) for f in head["field_of_view"][::-1])
        if not (np.isfinite(fov).all() and min(fov) > 0):
            raise RawDataError(f"field of view {fov} (z y x) is no size", file=path, field="field_of_view")
        z, y, x = shape
        geometry = geometry_from_lps((z, y, x), (fov[0], fov[1], fov[2]), head["position"], axes)
        found.append(Slice(volume, geometry))
    return found


def _vector(words: list[str] | None, default: np.ndarray) -> np.ndarray:
    try:
        found = np.array([float(word) for word in words or ()])
    except ValueError:
        return default
    return found if found.shape == (3,) else default
