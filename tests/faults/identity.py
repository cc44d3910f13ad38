"""Raw files full of names, and a search for them in everything that a command wrote."""

from __future__ import annotations

import base64
import gzip
import html
import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import h5py
import numpy as np

from tests.io.files import edit_xml

#: What a header says of people, places and times; no other word of a run is like these.
IDENTITY = {
    "patientName": "Zyxwald^Jane",
    "patientID": "ZYXPID-4711",
    "patientBirthdate": "1961-03-19",
    "studyDate": "2019-07-23",
    "studyTime": "11:22:33",
    "studyID": "ZYXSTUDY-7",
    "accessionNumber": "918273645",
    "referringPhysicianName": "Dr. Zyxheimer",
    "studyDescription": "zyxheart of Jane",
    "studyInstanceUID": "1.2.840.99887766",
    "measurementID": "zyxmeas_17",
    "seriesDate": "2019-07-24",
    "seriesTime": "12:23:34",
    "protocolName": "zyxprotocol for J.Z.",
    "sequenceName": "zyxsequence",
    "seriesDescription": "zyxseries",
    "seriesInstanceUIDRoot": "1.2.276.55443322",
    "frameOfReferenceUID": "1.2.826.66554433",
    "institutionName": "St. Zyx Hospital",
    "stationName": "ZYXSTATION",
    "deviceID": "zyxdevice",
    "deviceSerialNumber": "zyxserial-0815",
    "coilName": "zyxcoil",
    "operator": "zyxoperator",
}
#: And the folder, and other ways to write the dates. None is short: compressed bytes hold any three letters.
TOKENS = (*IDENTITY.values(), "zyx-ward", "19610319", "19.03.1961", "20190723", "20190724")
_SUBJECT = ("patientName", "patientID", "patientBirthdate")
_STUDY = (
    "studyDate", "studyTime", "studyID", "accessionNumber", "referringPhysicianName", "studyDescription",
    "studyInstanceUID",
)  # fmt: skip
_MEASURED = ("measurementID", "seriesDate", "seriesTime")
_SERIES = (
    "protocolName", "sequenceName", "seriesDescription", "seriesInstanceUIDRoot", "frameOfReferenceUID"
)  # fmt: skip
_SYSTEM = ("institutionName", "stationName", "deviceID", "deviceSerialNumber")


def name_everybody(path: Path, said: dict[str, str] = IDENTITY) -> None:
    """Write names into every element of a raw file's header that has room for one."""

    def elements(*names: str) -> str:
        return "".join(f"<{name}>{escape(said[name])}</{name}>" for name in names)

    subject = f"<subjectInformation>{elements(*_SUBJECT)}</subjectInformation>"
    study = f"<studyInformation>{elements(*_STUDY)}</studyInformation>"
    position = "<patientPosition>HFS</patientPosition>"
    measured = f"<measurementInformation>{elements(*_MEASURED)}{position}{elements(*_SERIES)}"
    coil = f"<coilLabel><coilNumber>0</coilNumber><coilName>{escape(said['coilName'])}</coilName></coilLabel>"
    user = f"<userParameterString><name>operator</name><value>{escape(said['operator'])}</value>"

    def change(xml: str) -> str:
        head, _, rest = xml.partition("<measurementInformation>")
        xml = head + subject + study + measured + rest.partition(position)[2]
        end = "</acquisitionSystemInformation>"
        xml = xml.replace(end, coil + elements(*_SYSTEM) + end)
        return xml.replace("<userParameters>", f"<userParameters>{user}</userParameterString>")

    edit_xml(path, change)


def found_in(path: Path, tokens: tuple[str, ...]) -> set[str]:
    """Return the tokens that a file holds, whatever it is packed or written in."""
    texts = [text.lower() for text in _texts(path.read_bytes(), path.name)]
    if path.suffix in (".h5", ".hdf5"):
        texts += [text.lower() for text in _hdf5_texts(path)]
    return {token for token in tokens if any(token.lower() in text for text in [path.name.lower(), *texts])}


def _texts(content: bytes, name: str) -> Iterator[str]:
    """Yield a file's content as every text it may be read as."""
    if content[:2] == b"\x1f\x8b":
        content = gzip.decompress(content)
    yield content.decode("latin-1")
    yield content.decode("utf-8", "ignore")
    for odd in (0, 1):
        yield content[odd:].decode("utf-16-le", "ignore")
    if content[:8] == b"\x89PNG\r\n\x1a\n":
        yield from _png_texts(content)
    if name.endswith((".json", ".html", ".log")):
        text = content.decode("utf-8", "ignore")
        yield html.unescape(text)
        yield from _strings_of_json(text)
        for data in re.findall(r"base64,([A-Za-z0-9+/=]+)", text):
            yield from _texts(base64.b64decode(data), "")


def _png_texts(content: bytes) -> Iterator[str]:
    at = 8
    while at + 8 <= len(content):
        size, kind = int.from_bytes(content[at : at + 4]), content[at + 4 : at + 8]
        body = content[at + 8 : at + 8 + size]
        if kind in (b"zTXt", b"iTXt", b"iCCP"):
            _, _, packed = body.partition(b"\0")
            for start in range(min(len(packed), 80)):
                try:
                    yield zlib.decompress(packed[start:]).decode("latin-1")
                except zlib.error:
                    continue
        at += 12 + size


def _strings_of_json(text: str) -> Iterator[str]:
    for part in [text, *text.splitlines()]:
        try:
            yield json.dumps(json.loads(part), ensure_ascii=False)
        except ValueError:
            continue


def _hdf5_texts(path: Path) -> list[str]:
    found: list[str] = []

    def look(name: str, node: Any) -> None:
        found.append(name)
        found.extend(f"{key} {value!r}" for key, value in node.attrs.items())
        if isinstance(node, h5py.Dataset):
            found.append(np.asarray(node[()]).tobytes().decode("latin-1"))
            if node.dtype.kind in "OSV" and node.dtype.names is None:
                found.append(repr(node[()]))

    with h5py.File(path) as file:
        look("/", file)
        file.visititems(look)
    return found
