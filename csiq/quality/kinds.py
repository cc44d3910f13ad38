"""The kinds of networks there are, by the word a model card has for them."""

from __future__ import annotations

from typing import Any

from csiq.errors import ModelError, nearest
from csiq.quality.network import NetworkConfig
from csiq.quality.residual_network import ResidualConfig

AnyConfig = NetworkConfig | ResidualConfig
#: The first is the paper's.
KINDS: dict[str, type[NetworkConfig] | type[ResidualConfig]] = {
    config.kind: config for config in (NetworkConfig, ResidualConfig)
}


def config_of(entry: dict[str, Any]) -> AnyConfig:
    """Return the configuration that a model card has under ``network``.

    Raises
    ------
    ModelError
        If its kind is not known, or it does not describe a network of its kind.
    """
    kind = str(entry.get("kind"))
    if kind not in KINDS:
        what = f"expected kind {' or '.join(KINDS)}, got {entry.get('kind')!r}"
        raise ModelError(what, field="network.kind", hint=nearest(kind, KINDS))
    return KINDS[kind].from_dict(entry)
