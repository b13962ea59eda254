"""NVML: the total energy counter of one NVIDIA GPU."""

from __future__ import annotations

from polymorph_ros.energy.counter import CounterMeter, WrappingCounter
from polymorph_ros.energy.reading import EnergySource
from polymorph_ros.errors import PolymorphError

# Drivers renew the counter every 20 to 100 ms, depending on the GPU: the slowest is assumed.
RESOLUTION_S = 0.1


def open_nvml(device: str = "cuda") -> CounterMeter:
    """A meter over the GPU that ``device`` names ("cuda", "cuda:1").

    Zeus counts devices as CUDA_VISIBLE_DEVICES does. With several GPUs set
    CUDA_DEVICE_ORDER=PCI_BUS_ID, or CUDA's order may differ from the driver's.

    Raises:
        PolymorphError: no driver, no such GPU, or one without an energy counter.
    """
    try:
        from zeus.device.gpu.nvidia import NVIDIAGPUs
        from zeus.exception import ZeusBaseError
    except ImportError as error:
        raise PolymorphError(
            "the libraries zeus and nvidia-ml-py",
            str(error),
            where="nvml",
            remedy="run: pip install zeus",
        ) from error
    index = _index(device)
    try:
        # NVML is shut down when this object dies: the meter's release holds it.
        gpus = NVIDIAGPUs()
        if index >= len(gpus):
            raise PolymorphError(
                f"GPU {index}",
                f"{len(gpus)} visible",
                where="nvml",
                remedy="check CUDA_VISIBLE_DEVICES and the node's device",
            )
        gpu = gpus.gpus[index]
        name = gpu.get_name()
        if not gpu.supports_get_total_energy_consumption():
            raise PolymorphError(
                "a GPU with an energy counter (Volta or newer)",
                name,
                where="nvml",
                remedy="use energy source estimated",
            )
        counter = WrappingCounter(lambda: gpu.get_total_energy_consumption() * 1e-3)
    except (ZeusBaseError, ValueError) as error:
        raise PolymorphError(
            "a working NVIDIA driver",
            str(error),
            where="nvml",
            remedy="check nvidia-smi and CUDA_VISIBLE_DEVICES, or use energy source estimated",
        ) from error
    kept = [gpus]
    scope = f"whole GPU {index} ({name}), all processes, no CPU"
    return CounterMeter(EnergySource.NVML, scope, RESOLUTION_S, [counter], kept.clear)


def _index(device: str) -> int:
    """The device's number: "cuda" is the first one."""
    kind, _, number = device.partition(":")
    if kind != "cuda" or not (number == "" or number.isdigit()):
        raise PolymorphError(
            'a device such as "cuda" or "cuda:1"',
            repr(device),
            where="nvml",
            remedy="NVML measures NVIDIA GPUs only: run on one, or choose another energy source",
        )
    return int(number or 0)
