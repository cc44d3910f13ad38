"""The IQ-DCNN: four convolutions and three fully connected layers that grade a patch from 0 to 4.

The fully connected layers are written as convolutions (6x6, 1x1, 1x1), so that one pass over a whole
slice grades every patch of it: nothing is padded and all strides multiply to 16, the spacing of the
patches. A slice of 208x208 gives 6x6 grades, the same as 36 patches of 128x128 one by one.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from csiq.errors import ModelError

#: Side of a patch the network grades, and the product of its four pooling steps.
PATCH = 128
STRIDE = 16


@dataclass(frozen=True)
class NetworkConfig:
    """What fixes the shape of an IQ-DCNN.

    The paper states four convolutions, the first kernel (5), pooling and ReLU, three fully connected layers
    and a keep probability of 0.3. The widths and the further kernels are ours: its appendix is not public.

    Attributes
    ----------
    kind, title : str
        The word for this network in a model card, and its name for people.
    widths : (int, int, int, int)
        Channels after each convolution.
    first_kernel, kernel : int
        Side of the first and of the further convolution kernels.
    hidden : (int, int)
        Units of the first two fully connected layers; the third has one.
    keep : float
        Probability of *keeping* a unit in training, the complement of ``torch.nn.Dropout``'s argument.
    """

    kind: ClassVar[str] = "iq-dcnn"
    title: ClassVar[str] = "IQ-DCNN"

    widths: tuple[int, int, int, int] = (16, 32, 64, 64)
    first_kernel: int = 5
    kernel: int = 3
    hidden: tuple[int, int] = (256, 128)
    keep: float = 0.3

    def __post_init__(self) -> None:
        if not 0 < self.keep <= 1:
            raise ModelError(f"keep probability {self.keep} is not in (0, 1]", field="network.keep")
        if self.last_side < 1:
            raise ModelError(f"kernels leave nothing of a {PATCH}x{PATCH} patch", field="network.kernel")

    @property
    def last_side(self) -> int:
        """Side of the feature map of one patch after the last pooling."""
        side = PATCH
        for kernel in (self.first_kernel, self.kernel, self.kernel, self.kernel):
            side = (side - kernel + 1) // 2
        return side

    def as_dict(self) -> dict[str, Any]:
        """Return the entry of the model card."""
        values = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
        return {"kind": self.kind, **values}

    @classmethod
    def from_dict(cls, entry: dict[str, Any]) -> NetworkConfig:
        """Return the configuration of a model card.

        Raises
        ------
        ModelError
            If it describes another kind of network.
        """
        if entry.get("kind") != cls.kind:
            raise ModelError(f"expected kind '{cls.kind}', got {entry.get('kind')!r}", field="network.kind")
        values: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in entry.items() if k != "kind"
        }
        try:
            return cls(**values)
        except TypeError as error:
            raise ModelError(f"not an {cls.title}: {error}", field="network") from error


class IQDCNN(nn.Module):
    """The network of Piccini et al. 2020, fully convolutional.

    Parameters
    ----------
    config : NetworkConfig, optional

    Attributes
    ----------
    features : torch.nn.Sequential
        Of a slice; their strides multiply to 16.
    regression : torch.nn.Sequential
        The grade from the features under each patch.

    References
    ----------
    Piccini D, Demesmaeker R, et al. Radiology: Artificial Intelligence 2020;2(3):e190123.
    """

    def __init__(self, config: NetworkConfig | None = None) -> None:
        super().__init__()
        self.config = config or NetworkConfig()
        kernels = (self.config.first_kernel, *[self.config.kernel] * 3)
        channels = (1, *self.config.widths)
        stages: list[nn.Module] = []
        for c_in, c_out, kernel in zip(channels[:-1], channels[1:], kernels, strict=True):
            # the largest of four, then ReLU: the same numbers as the other way round, for a third less time
            stages += [nn.Conv2d(c_in, c_out, kernel), nn.MaxPool2d(2), nn.ReLU()]
        self.features = nn.Sequential(*stages)
        first, second = self.config.hidden
        drop = 1 - self.config.keep
        self.regression = nn.Sequential(
            nn.Conv2d(channels[-1], first, self.config.last_side),
            nn.ReLU(),
            nn.Dropout(drop),
            nn.Conv2d(first, second, 1),
            nn.ReLU(),
            nn.Dropout(drop),
            nn.Conv2d(second, 1, 1),
        )

    def forward(self, slices: Tensor) -> Tensor:
        """Grade every patch of each slice.

        Parameters
        ----------
        slices : float32 tensor, (n, height, width)
            Normalised magnitude, sides of at least 128.

        Returns
        -------
        float32 tensor, (n, rows, columns)
            Grades of the patches whose corners lie at multiples of 16; ``rows = (height - 128) // 16 + 1``.
        """
        grades: Tensor = self.regression(self.features(slices[:, None]))[:, 0]
        return grades
