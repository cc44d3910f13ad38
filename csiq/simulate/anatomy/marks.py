"""What surgery and disease leave in an image: sternal wires, valve prostheses, flow jets, and a bias field.

Modelled are their looks, not the field of a metal: around steel the signal is void, out to about 8 mm, with a
bright rim on one side, where the signal of the neighbours has been shifted to (pile-up). A jet is a cone in
which blood of many velocities cancels (flow void) in a mantle where half of it does. All of them lie beside
the coronaries: Piccini 2020 shows in its figure 2b that such a scan may still be of grade 3, and so a
prosthesis keeps away from the vessels and wires stay in front of the heart. Not modelled: banding, which is
off-resonance and belongs to the scan, and failed fat saturation near a metal.

References
----------
Hargreaves BA, et al. Metal-induced artifacts in MRI. AJR Am J Roentgenol 2011;197:547-555.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from csiq.simulate.anatomy.frame import BodySize
from csiq.simulate.anatomy.heart import HeartSize
from csiq.simulate.anatomy.people import Person
from csiq.simulate.anatomy.placing import at, egg
from csiq.simulate.anatomy.shapes import Grid, Shape, Tube
from csiq.simulate.anatomy.skeleton import front_wall
from csiq.simulate.anatomy.vessels import root_frame

#: Jets, and how often each is the one that is there.
JETS = {
    "aortic stenosis": 0.4,
    "mitral regurgitation": 0.3,
    "aortic regurgitation": 0.2,
    "outflow obstruction": 0.1,
}
_MITRAL = np.array([-6.0, -10.0, -4.0])  # middle of the annulus in the heart frame
_METAL, _RIM = 3.2, 1.3  # mm: radius of the void around a prosthesis' ring, and its bright rim


@dataclass(frozen=True)
class Bias:
    """A smooth factor on the signal: how unevenly the body coil transmits, and what else is not the coils'.

    Its logarithm is a polynomial of second order in the place; it is 1 at the origin.

    Attributes
    ----------
    linear : float array, (3,)
        Per 100 mm.
    quadratic : float array, (3, 3)
        Per (100 mm)^2.
    """

    linear: np.ndarray
    quadratic: np.ndarray

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Bias:
        """Return one scan's bias: some 5 to 15 % over the field of view."""
        square = 0.03 * np.clip(rng.standard_normal((3, 3)), -2, 2)
        return cls(0.05 * np.clip(rng.standard_normal(3), -2, 2), (square + square.T) / 2)

    def field(self, grid: Grid) -> np.ndarray:
        """Return the factor on a grid.

        Returns
        -------
        float32 array, ``grid.shape``
        """
        z, y, x = np.meshgrid(*(grid.axis(a) / 100 for a in range(3)), indexing="ij", sparse=True)
        q = self.quadratic + self.quadratic.T - np.diag(np.diag(self.quadratic))
        power = self.linear[0] * z + self.linear[1] * y + self.linear[2] * x
        power = power + q[0, 0] * z * z + q[1, 1] * y * y + q[2, 2] * x * x
        power = power + q[0, 1] * z * y + q[0, 2] * z * x + q[1, 2] * y * x
        return np.asarray(np.exp(np.clip(power, -0.4, 0.4)), dtype=np.float32)


@dataclass(frozen=True)
class Marks:
    """What a person carries.

    Attributes
    ----------
    wires : int
        Loops of steel in the breastbone, 0 or 5 to 7.
    valve : str
        Which valve is a prosthesis: ``aortic``, ``mitral`` or none (empty).
    jet : str
        A key of :data:`JETS`, or none (empty).
    bias : Bias
    seed : int
    """

    wires: int
    valve: str
    jet: str
    bias: Bias
    seed: int

    @classmethod
    def of(cls, person: Person) -> Marks:
        """Draw the marks of a person: wires in about 8 %, a prosthesis in 3 % (with wires), a jet in 10 %.

        All are more frequent in the old. No jet leaves a valve that is a prosthesis.
        """
        rng = person.rng(16)
        older = float(np.clip(person.age / 57, 0.3, 1.5))
        valve = str(rng.choice(["aortic", "mitral"], p=[0.65, 0.35])) if rng.random() < 0.03 * older else ""
        wired = bool(rng.random() < 0.055 * older) or bool(valve)
        wires = int(rng.integers(5, 8)) if wired else 0
        jet = str(rng.choice(list(JETS), p=list(JETS.values()))) if rng.random() < 0.105 * older else ""
        if valve and jet.startswith(valve):
            jet = ""
        return cls(wires, valve, jet, Bias.drawn(rng), person.seed)


def wire_shapes(marks: Marks, body: BodySize) -> list[Shape]:
    """Return the wires round the breastbone; they stand still."""
    rng = np.random.default_rng([marks.seed, 17])
    shapes: list[Shape] = []
    for z in np.linspace(102, -18, marks.wires):
        place = at(z + rng.uniform(-3, 3), front_wall(body, z) + 8.0, body.middle[1] + rng.uniform(-2, 2))
        size = rng.uniform(0.85, 1.15)
        knot = place + at(rng.uniform(-2, 2), 8.0, rng.uniform(-4, 4))
        for middle, semi in ((place, (4.8, 6.4, 13.0)), (knot, (5.0, 5.0, 5.0))):
            shift = at(rng.choice([-1.0, 1.0]), 0.4, 0.0)
            outer = egg("pile-up", middle + shift, size * np.array(semi) + _RIM)
            shapes += [outer, egg("void", middle, size * np.array(semi))]
    return shapes


def heart_marks(marks: Marks, heart: HeartSize) -> list[Shape]:
    """Return prosthesis and jet; they move with the heart."""
    return [*_prosthesis(marks.valve, heart), *_jet(marks.jet, heart)]


def _valve_frame(heart: HeartSize, valve: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the middle of a valve, and axes: along the blood's way, and two across."""
    if valve == "aortic":
        return root_frame(heart)
    u, v, w = heart.frame
    return heart.place(_MITRAL), np.array([u, v, w])


def _prosthesis(valve: str, heart: HeartSize) -> list[Shape]:
    if not valve:
        return []
    middle, axes = _valve_frame(heart, valve)
    reach = heart.scale * (9.0 if valve == "aortic" else 10.5)
    turn = np.linspace(0, 2 * np.pi, 17)[:, None]
    ring = middle + reach * (np.cos(turn) * axes[1] + np.sin(turn) * axes[2])
    return [
        _moving("pile-up", ring + 1.0 * axes[0], np.full(17, _METAL + _RIM)),
        _moving("void", ring, np.full(17, _METAL)),
    ]


def _jet(jet: str, heart: HeartSize) -> list[Shape]:
    if not jet:
        return []
    middle, axes = _valve_frame(heart, "mitral" if jet.startswith("mitral") else "aortic")
    # backward through a leaking valve; obstructed outflow is fastest just below the aortic valve
    sign = -1.0 if jet.endswith("regurgitation") else 1.0
    start = middle - (12.0 if jet.startswith("outflow") else -2.0 * sign) * heart.scale * axes[0]
    length = {"aortic stenosis": 34.0, "outflow obstruction": 16.0}.get(jet, 26.0)
    steps = np.linspace(0, 1, 6)
    way = start + sign * length * heart.scale * steps[:, None] * axes[0]
    radius = heart.scale * (1.8 + 3.0 * steps * (1.25 - steps))
    return [_moving("turbulent blood", way, 1.6 * radius), _moving("flow void", way, radius)]


def _moving(tissue: str, way: np.ndarray, radius: np.ndarray) -> Tube:
    ones = np.ones(len(way))
    return Tube(tissue, way, radius, ones, 0 * ones)
