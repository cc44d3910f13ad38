"""Who the patients are: age, sex, size, heart rate, and how large a heart and a chest go with them.

The body's build depends on a person's seed alone; drawing another tissue or another rib does not change it.

References
----------
Piccini D, et al. Radiology: AI 2020;2:e190123: 57 +- 18 years, 66.5 % men.
NCD Risk Factor Collaboration. Heights and body-mass index of adults. eLife 2016;5:e13410; Lancet
2016;387:1377-1396. Central Europe: men about 1.77 m and 26.5 kg/m2, women 1.64 m and 25 kg/m2.
Du Bois D, Du Bois EF. Body surface area. Arch Intern Med 1916;17:863-871.
Hudsmith LE, et al. J Cardiovasc Magn Reson 2005;7:775-782, and Maceira AM, et al. ibid 2006;8:417-426 and
Eur Heart J 2006;27:2879-2888: volumes of the ventricles. Maceira AM, et al. J Cardiovasc Magn Reson
2010;12:65 and 2013;15:29: of the atria.
Kawel N, et al. Normal left ventricular myocardial thickness. Circ Cardiovasc Imaging 2012;5:500-508.
Iacobellis G, Willens HJ. Echocardiographic epicardial fat. J Am Soc Echocardiogr 2009;22:1311-1319.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from csiq.errors import ConfigError

#: Years, and the share of men, as in the paper.
AGE, AGE_SD, AGES, MEN = 57.0, 18.0, (18, 90), 0.665
#: Width of the chest from skin to skin, mm.
CHEST = (303.0, 397.0)


@dataclass(frozen=True)
class Person:
    """One person.

    Attributes
    ----------
    seed : int
        Of all that is drawn for this person.
    age : int
        Years.
    sex : str
        ``F`` or ``M``.
    height_m, weight_kg : float
    heart_rate : float
        Beats a minute at rest.
    """

    seed: int
    age: int
    sex: str
    height_m: float
    weight_kg: float
    heart_rate: float

    def __post_init__(self) -> None:
        if self.sex not in ("F", "M"):
            raise ConfigError(f"sex {self.sex!r}", field="sex", hint="F or M")
        if not AGES[0] <= self.age <= AGES[1]:
            raise ConfigError(f"{self.age} years", field="age", hint=f"{AGES[0]} to {AGES[1]}")

    @classmethod
    def from_seed(cls, seed: int, *, age: int | None = None, sex: str | None = None) -> Person:
        """Draw a person.

        Parameters
        ----------
        seed : int
        age, sex : optional
            Instead of drawn ones, for a cohort that says who is in it.

        Raises
        ------
        ConfigError
            If there is no such age or sex.
        """
        rng = np.random.default_rng([seed, 11])
        drawn_age = round(float(np.clip(rng.normal(AGE, AGE_SD), *AGES)))
        drawn_sex = "M" if rng.random() < MEN else "F"
        age = drawn_age if age is None else age
        sex = drawn_sex if sex is None else sex
        man = sex == "M"
        height = (1.765 if man else 1.640) + (0.070 if man else 0.063) * _normal(rng)
        height -= 0.0009 * max(age - 40, 0)  # people shrink, and were born shorter
        bmi = (26.0 if man else 24.8) + 0.045 * (min(age, 65) - 50)
        bmi *= np.exp((0.14 if man else 0.17) * _normal(rng))
        rate = (65.0 if man else 68.0) + 0.25 * (bmi - 25) + 9.0 * _normal(rng)
        bmi, rate = float(np.clip(bmi, 17.5, 42.0)), float(np.clip(rate, 45.0, 95.0))
        return cls(seed, age, sex, round(height, 3), round(bmi * height**2, 1), round(rate, 1))

    @property
    def is_woman(self) -> bool:
        """Whether ``sex`` is ``F``."""
        return self.sex == "F"

    @property
    def bmi(self) -> float:
        """Body-mass index, kg/m2."""
        return self.weight_kg / self.height_m**2

    @property
    def bsa(self) -> float:
        """Body surface area after Du Bois, m2."""
        return float(0.007184 * self.weight_kg**0.425 * (100 * self.height_m) ** 0.725)

    def rng(self, part: int) -> np.random.Generator:
        """Return the generator of one part of this person (12 to 99 are taken by this package)."""
        return np.random.default_rng([self.seed, part])


@dataclass(frozen=True)
class HeartFacts:
    """How large a person's heart is, in the phase of rest in diastole in which it is imaged.

    Attributes
    ----------
    lv_ml, rv_ml, la_ml, ra_ml : float
        Volumes of blood in ventricles and atria.
    wall_mm : float
        Of the left ventricle.
    fat_mm : float
        Epicardial fat away from grooves.
    """

    lv_ml: float
    rv_ml: float
    la_ml: float
    ra_ml: float
    wall_mm: float
    fat_mm: float

    @classmethod
    def of(cls, person: Person) -> HeartFacts:
        """Draw the heart of a person: volumes per m2 of body surface by sex, ventricles smaller with age.

        All four chambers share part of their spread; hypertension thickens some walls, more often in the old.
        """
        rng = person.rng(12)
        woman, older = person.is_woman, person.age - 50
        common = 0.08 * _normal(rng)
        own = 0.09 * np.array([_normal(rng) for _ in range(4)])
        index = np.array([70.0, 74.0, 32.0, 38.0] if woman else [74.0, 82.0, 33.0, 42.0])
        index += np.array([-0.15, -0.20, 0.06, 0.0]) * older
        lv, rv, la, ra = person.bsa * index * np.exp(common + own)
        wall = (7.6 if woman else 8.9) + 0.015 * older + 0.9 * _normal(rng)
        if rng.random() < 0.1 + 0.004 * person.age:
            wall += rng.uniform(0.5, 3.0)
        fat = 3.6 + 0.10 * (person.bmi - 25) + 0.02 * older + 0.6 * _normal(rng)
        return cls(
            lv_ml=_between(lv, 83, 176),
            rv_ml=_between(rv, 94, 196),
            la_ml=_between(la, 42, 88),
            ra_ml=_between(ra, 52, 107),
            wall_mm=_between(wall, 6.3, 13.5),
            fat_mm=_between(fat, 2.2, 7.0),
        )


@dataclass(frozen=True)
class Build:
    """A person's chest, at end-expiration.

    Attributes
    ----------
    cage_width, cage_depth : float
        Inside the ribs at the height of the heart, mm.
    muscle : float
        Thickness of ribs and muscles at the side, mm.
    fat : float
        Subcutaneous fat at the side, mm.
    visceral : float
        0 (lean) to 1: how much fat is in the belly and the mediastinum.
    bust : float
        Half thickness of the breasts, mm; 0 in men.
    """

    cage_width: float
    cage_depth: float
    muscle: float
    fat: float
    visceral: float
    bust: float

    @classmethod
    def of(cls, person: Person) -> Build:
        """Draw the chest of a person: the cage by height and sex, fat by body-mass index and sex."""
        rng = person.rng(13)
        woman, taller, heavier = person.is_woman, person.height_m - 1.70, person.bmi - 25
        width = (272.0 if woman else 289.0) + 90 * taller + 1.2 * heavier + 8 * _normal(rng)
        depth = (168.0 if woman else 182.0) + 45 * taller + 0.9 * heavier + 6 * _normal(rng)
        depth += 0.16 * (person.age - 50)  # the chest grows deeper with age
        muscle = (15.0 if woman else 19.0) + 0.2 * heavier - 0.05 * (person.age - 50) + 1.2 * _normal(rng)
        fat = ((16.0 if woman else 11.0) + (1.25 if woman else 1.05) * heavier) * np.exp(0.12 * _normal(rng))
        visceral = 0.35 + 0.045 * heavier + 0.006 * (person.age - 50) - (0.12 if woman else 0.0)
        bust = float(np.clip(19 + 1.3 * heavier + 4 * _normal(rng), 9, 40)) if woman else 0.0
        muscle, fat = _between(muscle, 11, 25), _between(fat, 4.5, 36)
        cage = _between(width, 242, 318)
        return cls(
            cage_width=_between(cage + 2 * (muscle + fat), *CHEST) - 2 * (muscle + fat),
            cage_depth=_between(depth, 150, 214),
            muscle=muscle,
            fat=fat,
            visceral=_between(visceral, 0.0, 1.0),
            bust=bust,
        )

    @property
    def width(self) -> float:
        """From skin to skin, mm."""
        return self.cage_width + 2 * (self.muscle + self.fat)


def _normal(rng: np.random.Generator) -> float:
    return float(np.clip(rng.standard_normal(), -2.5, 2.5))


def _between(value: float, low: float, high: float) -> float:
    return float(np.clip(value, low, high))
