"""What fixes a training: everything that changes its weights is in here, and in the card."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any

from csiq.errors import ConfigError, ModelError
from csiq.quality.network import PATCH, STRIDE, NetworkConfig
from csiq.quality.patches import HALF_EDGE, patch_offsets

OPTIMISERS = ("adam", "sgd")
SCHEDULES = ("cosine", "step", "constant")
BALANCES = ("weights", "draw")
PRECISIONS = ("auto", "float32", "bf16")


@dataclass(frozen=True)
class TrainConfig:
    """How to train. The paper states loss, keep probability, learning rate and half edge; the rest is ours.

    Attributes
    ----------
    iterations : int
        Optimiser steps.
    batch : int
        Windows a step.
    windows : int
        Of each volume in a step; the others are of other volumes as long as there are enough.
    window : int
        Side of a window, 128 + a multiple of 16: 128 holds one patch, 160 nine, 192 twenty-five.
    half_edge : int
        hp4: of the cube of patch centres, mm.
    learning_rate : float
        hp3: after ``warmup`` steps; the schedule follows.
    warmup : int
    schedule : str
        ``cosine`` to zero, ``step`` (a tenth after half and after three quarters), or ``constant``.
    optimiser : str
        ``adam``, or ``sgd`` with Nesterov momentum 0.9.
    weight_decay : float
        Of the weights towards zero, decoupled from the gradient in ``adam``.
    balance : str
        How eq. 1 is estimated from a batch: ``weights`` draws volumes evenly and weighs them
        1 / (#G #S_j); ``draw`` draws a grade first, then one of its volumes. Both are unbiased.
    average : float
        Decay a step of the moving average of the weights that is kept as the result; 0 keeps the last.
    batch_norm : bool
        Normalise between layers while training; folded into the weights that are kept.
    together : float
        Share of the loss taken of the mean over the patches of a volume in a step, where eq. 1 takes each
        patch; 0 is eq. 1.
    intensity : float
        Brightness varies by up to this share.
    seed : int
    check_every : int
        Steps between checkpoints, and looks at held-out patients if there are any.
    network : NetworkConfig
        Its kind, widths, hp1 (first kernel), hp2 (keep).
    """

    iterations: int = 6000
    batch: int = 16
    windows: int = 1
    window: int = 160
    half_edge: int = HALF_EDGE
    learning_rate: float = 5e-3
    warmup: int = 100
    schedule: str = "cosine"
    optimiser: str = "sgd"
    weight_decay: float = 1e-4
    balance: str = "weights"
    average: float = 0.998
    batch_norm: bool = True
    together: float = 0.0
    intensity: float = 0.07
    seed: int = 0
    check_every: int = 200
    network: NetworkConfig = field(default_factory=NetworkConfig)

    def __post_init__(self) -> None:
        offsets = patch_offsets(self.half_edge)
        widest = PATCH + STRIDE * (len(offsets) - 1)
        if (self.window - PATCH) % STRIDE or not PATCH <= self.window <= widest:
            what = f"expected {PATCH} to {widest} in steps of {STRIDE} at a half edge of {self.half_edge}"
            raise ConfigError(f"{what}, got {self.window}", field="window")
        for name, known in (("optimiser", OPTIMISERS), ("schedule", SCHEDULES), ("balance", BALANCES)):
            if getattr(self, name) not in known:
                raise ConfigError(f"expected one of {', '.join(known)}", field=name)
        for name in ("iterations", "batch", "check_every"):
            if getattr(self, name) < 1:
                raise ConfigError(f"expected at least 1, got {getattr(self, name)}", field=name)
        if self.windows < 1 or self.batch % self.windows:
            raise ConfigError(
                f"expected a divisor of batch, {self.batch}, got {self.windows}", field="windows"
            )
        if not self.learning_rate > 0:
            raise ConfigError(f"expected more than 0, got {self.learning_rate}", field="learning_rate")
        for name in ("average", "intensity"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"expected 0 to below 1, got {getattr(self, name)}", field=name)
        if not 0 <= self.together <= 1:
            raise ConfigError(f"expected 0 to 1, got {self.together}", field="together")

    @property
    def patches_a_side(self) -> int:
        """Patches along a side of a window."""
        return (self.window - PATCH) // STRIDE + 1

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {**asdict(self), "network": self.network.as_dict()}

    @classmethod
    def from_dict(cls, entry: dict[str, Any]) -> TrainConfig:
        """Return what :meth:`as_dict` gave.

        Raises
        ------
        ConfigError
            If there are other keys.
        """
        try:
            return cls(**{**entry, "network": NetworkConfig.from_dict(entry["network"])})
        except (TypeError, KeyError, ModelError) as error:
            raise ConfigError(f"not the settings of a training: {error}") from error

    @property
    def sha256(self) -> str:
        """Digest of everything that decides the weights."""
        entry = {key: value for key, value in self.as_dict().items() if key != "check_every"}
        return hashlib.sha256(json.dumps(entry, sort_keys=True).encode()).hexdigest()
