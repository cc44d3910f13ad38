"""Networks out of model files: one, or the members of an ensemble that lie in one file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from csiq.errors import ModelError
from csiq.quality.model_file import ModelFile, read_tensors

if TYPE_CHECKING:
    from torch import Tensor

    from csiq.quality.network import IQDCNN, NetworkConfig

_MEMBER = re.compile(r"member-(\d+)\.(.+)")


def build_network(model: ModelFile) -> IQDCNN:
    """Return the network of a model with its weights; of an ensemble, the first member.

    Raises
    ------
    ModelError
        If the weights are damaged or belong to another architecture; the first tensor that differs is named.
    """
    return build_networks(model)[0]


def build_networks(model: ModelFile) -> tuple[IQDCNN, ...]:
    """Return all networks of a model: one, or the members of its ensemble.

    Raises
    ------
    ModelError
        As :func:`build_network`.
    """
    from csiq.quality.network import NetworkConfig

    tensors, described = read_tensors(model)
    described = described or (model.card or {}).get("network")
    config = NetworkConfig.from_dict(described) if described else NetworkConfig()
    members: dict[int, dict[str, Tensor]] = {1: {}}
    for name, value in tensors.items():
        found = _MEMBER.fullmatch(name)
        number, own = (int(found[1]), found[2]) if found else (1, name)
        members.setdefault(number, {})[own] = value
    return tuple(_loaded(config, members[number], model.name) for number in sorted(members))


def ensemble_tensors(members: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Return the tensors of an ensemble as one file holds them, for ``encode_tensors``.

    The first member keeps its names, so that a reader of single networks finds it; the tensors of the others
    begin with ``member-2.`` and so on. All must be of one architecture.
    """
    found = {name: value.clone() for name, value in members[0].items()}
    for number, member in enumerate(members[1:], start=2):
        found |= {f"member-{number}.{name}": value.clone() for name, value in member.items()}
    return found


def _loaded(config: NetworkConfig, tensors: dict[str, Tensor], name: str) -> IQDCNN:
    from csiq.quality.network import IQDCNN

    network = IQDCNN(config)
    wanted = network.state_dict()
    for key in [*wanted, *tensors]:
        want = tuple(wanted[key].shape) if key in wanted else None
        got = tuple(tensors[key].shape) if key in tensors else None
        if want != got:
            raise ModelError(
                f"weights of another network: expected shape {want}, got {got}",
                file=name + ".safetensors",
                field=key,
                hint="see csiq model list",
            )
    network.load_state_dict(tensors)
    return network
