"""The networks that a model card may describe: the IQ-DCNN is the only kind there is.

A second one was tried and was not better (docs/decisions/0018-a-second-network.md).
"""

from __future__ import annotations

from csiq.quality.network import NetworkConfig

AnyConfig = NetworkConfig
config_of = NetworkConfig.from_dict
