"""Random damage to the bytes of a file: truncation, flips, blocks that are zeroed, repeated or exchanged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Bytes at either end of a file where structure is dense.
_DENSE = 2048


@dataclass(frozen=True)
class Damage:
    """What was done to a file, and what came of it."""

    kind: str
    content: bytes


def damaged(content: bytes, rng: np.random.Generator) -> Damage:
    """Return a file with one kind of damage, drawn at random."""
    kinds = (_truncated, _truncated, _one_flip, _one_flip, _flips_in_structure, _block, _longer)
    return kinds[int(rng.integers(len(kinds)))](content, rng)


def _truncated(content: bytes, rng: np.random.Generator) -> Damage:
    # half of them lose just the end, as a copy that was broken off late
    n = len(content)
    end = int(rng.integers(0, n)) if rng.random() < 0.5 else n - 1 - int(rng.integers(0, min(n, 600)))
    return Damage("truncated", content[:end])


def _one_flip(content: bytes, rng: np.random.Generator) -> Damage:
    out = bytearray(content)
    _flip(out, int(rng.integers(len(out))), rng)
    return Damage("flip", bytes(out))


def _flips_in_structure(content: bytes, rng: np.random.Generator) -> Damage:
    out = bytearray(content)
    dense = min(_DENSE, len(out))
    for at in rng.integers(0, dense, int(rng.integers(1, 6))):
        _flip(out, int(at) if rng.random() < 0.7 else len(out) - 1 - int(at), rng)
    return Damage("flips", bytes(out))


def _block(content: bytes, rng: np.random.Generator) -> Damage:
    """Zero a block, fill it at random, or write another part of the file over it."""
    out = bytearray(content)
    size = int(rng.integers(1, min(513, len(out))))
    at, source = (int(i) for i in rng.integers(0, len(out) - size + 1, 2))
    filled = (bytes(size), rng.bytes(size), bytes(out[source : source + size]))
    out[at : at + size] = filled[int(rng.integers(3))]
    return Damage("block", bytes(out))


def _longer(content: bytes, rng: np.random.Generator) -> Damage:
    """Take bytes out of the middle, or put some in."""
    at, size = int(rng.integers(len(content))), int(rng.integers(1, 65))
    if rng.random() < 0.5:
        return Damage("shifted", content[:at] + content[at + size :])
    return Damage("shifted", content[:at] + rng.bytes(size) + content[at:])


def _flip(out: bytearray, at: int, rng: np.random.Generator) -> None:
    out[at] ^= 1 << int(rng.integers(8)) if rng.random() < 0.5 else int(rng.integers(1, 256))
