"""IQ-ResNet: a network as one would draw it today, under the same training, beside the paper's IQ-DCNN.

The second and third of four pooled convolutions are each followed by a residual block of two more. So less of
a patch is left for the head, whose weights are an eighth of the IQ-DCNN's. Nothing is padded, so the same
holds as there: one pass over a slice equals patch after patch.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from torch import Tensor, nn

from csiq.errors import ModelError
from csiq.quality.network import PATCH, CardEntry, GradingNetwork, check_keep

#: Residual blocks: behind the first convolution they would cost as much as all the rest, behind the last one
#: nothing of the map would be left.
_BLOCKS = 2


@dataclass(frozen=True)
class ResidualConfig(CardEntry):
    """What fixes the shape of an IQ-ResNet.

    Attributes
    ----------
    widths : (int, int, int, int)
        Channels after each pooled convolution, and within the block behind it if there is one.
    first_kernel, kernel : int
        Side of the first and of all further convolution kernels.
    hidden : int
        Units between the features of a patch and its grade.
    keep : float
        Probability of keeping one of them in training.
    """

    kind: ClassVar[str] = "iq-resnet"
    title: ClassVar[str] = "IQ-ResNet"

    widths: tuple[int, int, int, int] = (16, 32, 64, 128)
    first_kernel: int = 5
    kernel: int = 3
    hidden: int = 64
    keep: float = 0.3

    def __post_init__(self) -> None:
        check_keep(self.keep)
        if self.last_side < 1:
            raise ModelError(f"kernels leave nothing of a {PATCH}x{PATCH} patch", field="network.kernel")

    @property
    def last_side(self) -> int:
        """Side of the feature map of one patch after the last pooling."""
        shrink = self.kernel - 1
        side = (PATCH - self.first_kernel + 1) // 2
        for _ in range(_BLOCKS):
            side = (side - shrink) // 2 - 2 * shrink
        return (side - shrink) // 2

    def build(self) -> IQResNet:
        """Return a network of this shape, its weights random."""
        return IQResNet(self)


class Residual(nn.Module):
    """Two convolutions whose result is added to what they were given, cropped to where theirs is valid.

    Parameters
    ----------
    channels, kernel : int
    """

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(channels, channels, kernel), nn.ReLU(), nn.Conv2d(channels, channels, kernel)
        )
        self._crop = kernel - 1

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, channels, height - 2 crop, width - 2 crop) of (n, channels, height, width)."""
        rows, columns = (slice(self._crop, side - self._crop) for side in x.shape[2:])
        return x[..., rows, columns] + self.branch(x)


class IQResNet(GradingNetwork):
    """A small residual network, fully convolutional.

    Parameters
    ----------
    config : ResidualConfig, optional

    References
    ----------
    He K, et al. Deep residual learning for image recognition. CVPR 2016, 770-778.
    """

    def __init__(self, config: ResidualConfig | None = None) -> None:
        super().__init__()
        self.config = config or ResidualConfig()
        first, *_, last = self.config.widths
        kernel = self.config.kernel
        stages: list[nn.Module] = [nn.Conv2d(1, first, self.config.first_kernel), nn.MaxPool2d(2), nn.ReLU()]
        for number, (c_in, c_out) in enumerate(pairwise(self.config.widths)):
            stages += [nn.Conv2d(c_in, c_out, kernel), nn.MaxPool2d(2), nn.ReLU()]
            if number < _BLOCKS:
                stages += [Residual(c_out, kernel), nn.ReLU()]
        self.features = nn.Sequential(*stages)
        self.regression = nn.Sequential(
            nn.Conv2d(last, self.config.hidden, self.config.last_side),
            nn.ReLU(),
            nn.Dropout(1 - self.config.keep),
            nn.Conv2d(self.config.hidden, 1, 1),
        )
