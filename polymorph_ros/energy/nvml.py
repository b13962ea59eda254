"""NVML: the total energy counter of one NVIDIA GPU, or its power where it has none."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from polymorph_ros.energy.background import LastReading
from polymorph_ros.energy.counter import CounterMeter, WrappingCounter
from polymorph_ros.energy.power import PowerSampler
from polymorph_ros.energy.reading import EnergySource
from polymorph_ros.energy.uncertainty import ErrorModel
from polymorph_ros.errors import PolymorphError

if TYPE_CHECKING:
    from zeus.device.gpu.nvidia import NVIDIAGPUs

# Drivers renew the counter every 20 to 100 ms, depending on the GPU: the slowest is assumed.
RENEWAL_S = 0.1

# A thread asks: one question took 3.7 ms on an H100, more than a frame.
POLL_S = 0.1

# NVML's manual: readings of power are within 5 %, and means over 1 s from Ampere on.
POWER_MEAN_S = 1.0

ERROR = ErrorModel(
    basis="NVML's manual: power within 5 %, taken as two standard errors; a delay of up to 100 ms "
    "is assumed (one H200 renewed its counter every 100 ms, and it rose within 104 ms of a load)",
    gain=0.025,
    delay_s=0.1,
    quantum_joules=0.001,
)


def open_nvml(device: str = "cuda") -> CounterMeter:
    """A meter over the GPU that ``device`` names ("cuda", "cuda:1").

    Zeus counts devices as CUDA_VISIBLE_DEVICES does. With several GPUs set
    CUDA_DEVICE_ORDER=PCI_BUS_ID, or CUDA's order may differ from the driver's.

    Raises:
        PolymorphError: no driver, no such GPU, or one with neither counter nor power.
    """
    from zeus.device.gpu.common import ZeusGPUNotSupportedError
    from zeus.exception import ZeusBaseError

    index = _index(device)
    with ExitStack() as started:
        try:
            gpus = _visible_gpus()
            started.callback(_shut_down)
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
                raise ZeusGPUNotSupportedError("older than Volta")
            reading = LastReading(
                lambda: gpu.get_total_energy_consumption() * 1e-3, period_s=POLL_S, name="nvml"
            )
            started.callback(reading.close)
        except ZeusGPUNotSupportedError:
            return _by_power(gpus, index, name, started)
        except (ZeusBaseError, ValueError) as error:
            raise PolymorphError(
                "a working NVIDIA driver",
                str(error),
                where="nvml",
                remedy="check nvidia-smi and CUDA_VISIBLE_DEVICES, or use energy source estimated",
            ) from error
        scope = f"whole GPU {index} ({name}), all processes, no CPU"
        release = started.pop_all().close
    return CounterMeter(
        EnergySource.NVML,
        scope,
        RENEWAL_S + POLL_S,
        [WrappingCounter(reading)],
        ERROR,
        release=release,
    )


def _visible_gpus() -> NVIDIAGPUs:
    """Zeus's GPUs, of which nothing ends NVML when they are collected.

    Zeus shuts NVML down in ``__del__``, which takes a lock of pynvml. The garbage collector may
    call it while the same thread holds that lock, and the process would stand still for ever.
    """
    from zeus.device.gpu.nvidia import NVIDIAGPUs

    class VisibleGpus(NVIDIAGPUs):
        def __del__(self) -> None:
            pass

    return VisibleGpus()


def _shut_down() -> None:
    """Give back one start of NVML, which counts them."""
    import pynvml

    with suppress(pynvml.NVMLError):
        pynvml.nvmlShutdown()


def _by_power(gpus: NVIDIAGPUs, index: int, name: str, started: ExitStack) -> CounterMeter:
    """A meter over a GPU without an energy counter; its release ends what is started."""
    import pynvml

    def watts() -> float:
        try:
            return float(pynvml.nvmlDeviceGetPowerUsage(gpus.gpus[index].handle)) * 1e-3
        except pynvml.NVMLError as error:
            raise OSError(str(error)) from error

    try:
        sampler = PowerSampler(watts, period_s=POLL_S, name="nvml-power")
    except OSError as error:
        raise PolymorphError(
            "a GPU with an energy counter (Volta or newer) or a power reading",
            f"{name}, which has neither ({error})",
            where="nvml",
            remedy="on a Jetson use energy source jetson_rails; virtual GPUs and MIG slices "
            "have no sensor of their own: use estimated",
        ) from error
    scope = (
        f"whole GPU {index} ({name}), all processes, no CPU; it has no energy counter: power is "
        f"integrated, within 5 % and {POWER_MEAN_S:g} s of power at either end"
    )
    counter = WrappingCounter(sampler.joules)
    started.callback(sampler.close)
    release = started.pop_all().close
    return CounterMeter(
        EnergySource.NVML,
        scope,
        POWER_MEAN_S,
        [counter],
        ERROR,
        release=release,
        sampling=sampler.sampling,
    )


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
