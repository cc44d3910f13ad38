"""Inline SVG taken apart: what a test wants to know of a chart."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass


@dataclass
class Drawn:
    """A chart as a tree."""

    root: ET.Element

    @classmethod
    def of(cls, markup: str) -> Drawn:
        return cls(ET.fromstring(str(markup)))

    def all(self, tag: str, cls: str = "") -> list[ET.Element]:
        """Elements of a tag, if wanted of a class."""
        return [e for e in self.root.iter(tag) if not cls or cls in (e.get("class") or "").split()]

    def one(self, tag: str, cls: str = "") -> ET.Element:
        (found,) = self.all(tag, cls)
        return found

    @property
    def words(self) -> list[str]:
        return [e.text or "" for e in self.root.iter("text")]


def points(path: ET.Element) -> list[tuple[float, float]]:
    """Places of a path of M, L and h0."""
    numbers = re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", path.get("d") or "")
    return [(float(x), float(y)) for x, y in numbers]


def number(element: ET.Element, name: str) -> float:
    return float(element.get(name) or "nan")
