"""Pins which device names are taken, and that a GPU which is not there is refused by name. That
the second of two GPUs computes is left open: it needs two."""

from __future__ import annotations

import pytest
import torch

from polymorph_ros.errors import PolymorphError
from polymorph_ros.model.gpu import choose_device, is_device_name

GPUS = torch.cuda.device_count() if torch.cuda.is_available() else 0


@pytest.mark.parametrize("name", ["auto", "cpu", "cuda", "cuda:0", "cuda:1", "cuda:12"])
def test_names_of_devices(name: str) -> None:
    assert is_device_name(name)


@pytest.mark.parametrize(
    "name",
    ["", "tpu", "cuda:", "cuda:-1", "cuda:N", "cuda:01", "cuda:1\n", "CPU", "cuda:1:2", "mps"],
)
def test_other_names_are_refused(name: str) -> None:
    assert not is_device_name(name)
    with pytest.raises(PolymorphError, match=r"device: expected auto, cpu, cuda or cuda:N"):
        choose_device(name)


def test_auto_takes_a_gpu_where_there_is_one() -> None:
    assert choose_device("auto").type == ("cuda" if GPUS else "cpu")
    assert choose_device("cpu").type == "cpu"


@pytest.mark.skipif(GPUS > 0, reason="this machine has a GPU")
@pytest.mark.parametrize("name", ["cuda", "cuda:0", "cuda:1"])
def test_without_a_gpu_each_is_refused_by_name(name: str) -> None:
    with pytest.raises(PolymorphError, match=rf"device {name}: .*choose cpu or auto"):
        choose_device(name)


@pytest.mark.gpu
@pytest.mark.skipif(GPUS == 0, reason="this machine has no GPU")
def test_a_gpu_of_a_number_that_is_not_there_is_refused_by_name() -> None:
    assert choose_device("cuda:0") == torch.device("cuda:0")
    with pytest.raises(PolymorphError, match=rf"a GPU that is there .*, found cuda:{GPUS}"):
        choose_device(f"cuda:{GPUS}")
