"""Foreign weights: taken over whole, or refused; never run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from csiq.errors import ModelError
from csiq.quality.import_weights import as_iqdcnn, read_foreign
from csiq.quality.network import IQDCNN, NetworkConfig

CONFIG = NetworkConfig(widths=(4, 4, 8, 8), first_kernel=7, hidden=(16, 8))


class Theirs(nn.Module):
    """The same network as others write it: flattened patches, fully connected layers, other names."""

    def __init__(self) -> None:
        super().__init__()
        chain = [1, *CONFIG.widths]
        kernels = [CONFIG.first_kernel, *[CONFIG.kernel] * 3]
        self.conv = nn.ModuleList(nn.Conv2d(chain[i], chain[i + 1], kernels[i]) for i in range(4))
        side = CONFIG.last_side
        self.fc1 = nn.Linear(CONFIG.widths[-1] * side * side, CONFIG.hidden[0])
        self.fc2 = nn.Linear(*CONFIG.hidden)
        self.fc10 = nn.Linear(CONFIG.hidden[1], 1)

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        x = patches[:, None]
        for layer in self.conv:
            x = torch.max_pool2d(torch.relu(layer(x)), 2)
        return self.fc10(torch.relu(self.fc2(torch.relu(self.fc1(x.flatten(1))))))[:, 0]


@pytest.fixture
def theirs() -> Theirs:
    torch.manual_seed(11)
    return Theirs().eval()


def test_their_network_grades_as_before(theirs: Theirs) -> None:
    tensors, config = as_iqdcnn(theirs.state_dict())
    assert (config.widths, config.first_kernel, config.hidden) == (CONFIG.widths, 7, CONFIG.hidden)
    ours = IQDCNN(config)
    ours.load_state_dict(tensors)
    patches = torch.rand(5, 128, 128)
    with torch.inference_mode():
        torch.testing.assert_close(ours.eval()(patches)[:, 0, 0], theirs(patches), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("holder", [None, "state_dict", "model"])
def test_torch_files_of_tensors_are_read(theirs: Theirs, tmp_path: Path, holder: str | None) -> None:
    state = theirs.state_dict()
    torch.save({holder: state, "epoch": 3} if holder else state, tmp_path / "theirs.pt")
    found = read_foreign(tmp_path / "theirs.pt")
    assert list(found) == list(state)
    as_iqdcnn(found)


def test_safetensors_in_any_order_are_read(theirs: Theirs, tmp_path: Path) -> None:
    save_file(
        {k: v.contiguous() for k, v in reversed(theirs.state_dict().items())}, tmp_path / "t.safetensors"
    )
    tensors, _ = as_iqdcnn(read_foreign(tmp_path / "t.safetensors"))
    torch.testing.assert_close(tensors["regression.6.bias"], theirs.fc10.bias.detach())


def test_names_of_our_own_stay(theirs: Theirs) -> None:
    own = IQDCNN(CONFIG).state_dict()
    tensors, _ = as_iqdcnn({f"module.{name}": value.double() for name, value in own.items()}, CONFIG)
    for name, value in own.items():
        torch.testing.assert_close(tensors[name], value)


class _Runs:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (os.environ["CSIQ_TEST_TRAP"],)


def test_code_in_a_file_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CSIQ_TEST_TRAP", str(tmp_path / "trap"))
    torch.save({"state_dict": {"a": _Runs()}}, tmp_path / "bad.pt")
    with pytest.raises(ModelError, match="could run code"):
        read_foreign(tmp_path / "bad.pt")
    assert not (tmp_path / "trap").exists()


def test_whole_modules_are_refused(theirs: Theirs, tmp_path: Path) -> None:
    torch.save(theirs, tmp_path / "whole.pt")
    with pytest.raises(ModelError, match=r"state_dict"):
        read_foreign(tmp_path / "whole.pt")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a zip", b"\x80\x02rubbish", b"\xff" * 40, b"text"])
def test_damaged_files(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "odd.pt").write_bytes(content)
    with pytest.raises(ModelError, match=r"odd.pt"):
        read_foreign(tmp_path / "odd.pt")
    with pytest.raises(ModelError, match=r"nothing.pt: no such file"):
        read_foreign(tmp_path / "nothing.pt")


def test_a_file_of_other_things(tmp_path: Path) -> None:
    torch.save({"epoch": 3}, tmp_path / "log.pt")
    with pytest.raises(ModelError, match="no state_dict"):
        read_foreign(tmp_path / "log.pt")


def _without(state: dict[str, torch.Tensor], name: str) -> dict[str, torch.Tensor]:
    return {key: value for key, value in state.items() if key != name}


def test_other_networks_are_refused(theirs: Theirs) -> None:
    state = theirs.state_dict()
    for broken, words in (
        (_without(state, "conv.0.bias"), "without its bias"),
        (_without(_without(state, "fc2.weight"), "fc2.bias"), "3 fully connected layers expected"),
        ({**state, "norm.running_mean": torch.ones(3)}, "other layers"),
        ({**state, "norm.batches": torch.tensor(3)}, "other layers"),
        ({**state, "fc10.weight": torch.ones(5, 8), "fc10.bias": torch.ones(5)}, "5 numbers, not one grade"),
        ({**state, "conv.2.weight": torch.ones(8, 5, 3, 3)}, "do not follow"),
        ({**state, "fc1.weight": torch.ones(16, 7)}, "expected shape"),
        ({**state, "fc2.bias": torch.full((8,), torch.nan)}, "not finite"),
        ({**state, "fc1.bias": torch.full((16,), 3e38), "fc2.weight": torch.full((8, 16), 9.0)}, "no finite"),
    ):
        with pytest.raises(ModelError, match=words):
            as_iqdcnn(broken)


def test_a_kind_that_is_stated_is_held_to(theirs: Theirs) -> None:
    with pytest.raises(ModelError, match="expected shape"):
        as_iqdcnn(theirs.state_dict(), NetworkConfig())
