"""Pins the NVML meter against a synthetic driver library behind the real pynvml and the real Zeus.

Not pinned: how often a real GPU renews its counter.
"""

from __future__ import annotations

import ctypes
import gc
import math
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from polymorph_ros.energy.nvml import open_nvml
from polymorph_ros.energy.reading import EnergySource
from polymorph_ros.errors import PolymorphError

pytest.importorskip("zeus", reason="the library zeus is not installed")
pynvml = pytest.importorskip("pynvml", reason="the library nvidia-ml-py is not installed")


DEADLINE_S = 20.0


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE_S
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < end, "the condition did not come true in time"
        pause.wait(0.005)


class DriverLibrary:
    """The functions of libnvidia-ml that are called here, with their C signatures."""

    def __init__(self, gpus: int = 1) -> None:
        self.gpus = gpus
        self.millijoules = [0] * gpus
        self.architecture = pynvml.NVML_DEVICE_ARCH_AMPERE
        self.milliwatts: int | None = None
        self.counts = True
        self.lost = False
        self.sessions = 0

        self.asked_by: set[int] = set()

    def nvmlInitWithFlags(self, flags: int) -> int:
        self.sessions += 1
        return pynvml.NVML_SUCCESS

    def nvmlShutdown(self) -> int:
        self.sessions -= 1
        return pynvml.NVML_SUCCESS

    def nvmlDeviceGetCount_v2(self, count: Any) -> int:
        count._obj.value = self.gpus
        return pynvml.NVML_SUCCESS

    def nvmlDeviceGetHandleByIndex_v2(self, index: Any, device: Any) -> int:
        ctypes.memmove(device, ctypes.byref(ctypes.c_uint64(index.value + 1)), 8)
        return pynvml.NVML_SUCCESS

    def nvmlDeviceGetC2cModeInfoV(self, device: Any, info: Any) -> int:
        return pynvml.NVML_ERROR_NOT_SUPPORTED

    def nvmlDeviceGetName(self, device: Any, name: Any, length: Any) -> int:
        name.value = b"Synthetic GPU"
        return pynvml.NVML_SUCCESS

    def nvmlDeviceGetArchitecture(self, device: Any, architecture: Any) -> int:
        architecture._obj.value = self.architecture
        return pynvml.NVML_SUCCESS

    def nvmlDeviceGetTotalEnergyConsumption(self, device: Any, energy: Any) -> int:
        self.asked_by.add(threading.get_ident())
        if self.lost:
            return pynvml.NVML_ERROR_GPU_IS_LOST
        if not self.counts:
            return pynvml.NVML_ERROR_NOT_SUPPORTED
        index = ctypes.cast(device, ctypes.c_void_p).value - 1
        energy._obj.value = self.millijoules[index]
        return pynvml.NVML_SUCCESS

    def nvmlDeviceGetPowerUsage(self, device: Any, power: Any) -> int:
        if self.milliwatts is None:
            return pynvml.NVML_ERROR_NOT_SUPPORTED
        if self.lost:
            return pynvml.NVML_ERROR_GPU_IS_LOST
        power._obj.value = self.milliwatts
        return pynvml.NVML_SUCCESS

    def nvmlErrorString(self, result: int) -> bytes:
        return b"made error"


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> DriverLibrary:
    library = DriverLibrary(gpus=2)
    monkeypatch.setattr(pynvml, "nvmlLib", library)
    monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return library


def test_counts_joules_of_the_named_gpu(driver: DriverLibrary) -> None:
    driver.millijoules = [10, 5_000_000]
    meter = open_nvml("cuda:1")

    driver.millijoules = [99_000, 5_002_500]

    wait_until(lambda: meter.read() == pytest.approx(2.5))
    assert meter.source is EnergySource.NVML
    assert "GPU 1 (Synthetic GPU)" in meter.scope


def test_counts_gpus_as_cuda_visible_devices_does(
    driver: DriverLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    meter = open_nvml("cuda")

    driver.millijoules = [99_000, 2_500]

    wait_until(lambda: meter.read() == pytest.approx(2.5))


def test_only_a_thread_asks_the_driver_because_an_answer_takes_longer_than_a_frame(
    driver: DriverLibrary,
) -> None:
    meter = open_nvml("cuda")
    driver.asked_by.clear()

    wait_until(lambda: not math.isnan(meter.read()) and bool(driver.asked_by))

    assert threading.get_ident() not in driver.asked_by


def test_a_driver_reload_restarts_the_counter_and_loses_no_later_joule(
    driver: DriverLibrary,
) -> None:
    driver.millijoules = [8_000, 0]
    meter = open_nvml("cuda")
    driver.millijoules = [9_000, 0]
    wait_until(lambda: meter.read() == pytest.approx(1.0))

    driver.millijoules = [500, 0]

    wait_until(lambda: meter.read() == pytest.approx(1.5))


def test_a_lost_gpu_makes_the_meter_unavailable(driver: DriverLibrary) -> None:
    meter = open_nvml("cuda")

    driver.lost = True

    wait_until(lambda: math.isnan(meter.read()))
    assert meter.source is EnergySource.UNAVAILABLE
    assert "nvml stopped working" in meter.note


def test_closing_ends_the_driver_session(driver: DriverLibrary) -> None:
    meter = open_nvml("cuda")
    during = driver.sessions

    meter.close()

    assert during == 1
    assert driver.sessions == 0


def test_the_collector_never_ends_nvml(driver: DriverLibrary) -> None:
    """It might run where this thread holds pynvml's lock: the process would stand still."""
    driver.counts, driver.milliwatts = False, None
    with pytest.raises(PolymorphError, match="neither"):
        open_nvml()
    assert driver.sessions == 0, "a refused GPU leaves NVML as it was"
    driver.counts = True
    meter = open_nvml()

    del meter
    gc.collect()

    assert driver.sessions == 1


def test_says_that_the_gpu_is_too_old(driver: DriverLibrary) -> None:
    driver.architecture = pynvml.NVML_DEVICE_ARCH_PASCAL

    with pytest.raises(PolymorphError, match="Volta or newer.*Synthetic GPU"):
        open_nvml("cuda")


def test_says_that_there_is_no_such_gpu(driver: DriverLibrary) -> None:
    with pytest.raises(PolymorphError, match="expected GPU 2, found 2 visible"):
        open_nvml("cuda:2")


@pytest.mark.parametrize("device", ["cpu", "cuda:one", "mps"])
def test_says_that_the_device_is_no_nvidia_gpu(driver: DriverLibrary, device: str) -> None:
    with pytest.raises(PolymorphError, match="NVML measures NVIDIA GPUs only"):
        open_nvml(device)


def test_says_that_a_visible_device_is_no_number(
    driver: DriverLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-8932f937")

    with pytest.raises(PolymorphError, match="CUDA_VISIBLE_DEVICES"):
        open_nvml("cuda")


def test_says_that_there_is_no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_library() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(pynvml, "_LoadNvmlLibrary", no_library)

    with pytest.raises(PolymorphError, match="a working NVIDIA driver"):
        open_nvml("cuda")


@pytest.mark.parametrize("old", [True, False])
def test_case_37_a_gpu_without_a_counter_is_told_as_such_and_not_as_a_broken_driver(
    driver: DriverLibrary, old: bool
) -> None:
    driver.counts = False
    if old:
        driver.architecture = pynvml.NVML_DEVICE_ARCH_PASCAL

    with pytest.raises(PolymorphError, match="energy counter.*Synthetic GPU") as refusal:
        open_nvml("cuda")

    assert "on a Jetson use energy source jetson_rails" in refusal.value.remedy
    assert "driver" not in str(refusal.value)


@pytest.mark.parametrize("old", [True, False])
def test_case_37_power_is_integrated_where_there_is_no_counter(
    driver: DriverLibrary, old: bool
) -> None:
    driver.counts, driver.milliwatts = False, 50_000
    if old:
        driver.architecture = pynvml.NVML_DEVICE_ARCH_PASCAL
    start = time.monotonic()
    meter = open_nvml("cuda")

    wait_until(lambda: meter.read() > 0)

    assert meter.read() <= 50.0 * (time.monotonic() - start)
    assert meter.source is EnergySource.NVML
    assert "no energy counter" in meter.scope and "within 5 %" in meter.scope
    assert meter.resolution_s == 1.0
    meter.close()


def test_case_37_a_gpu_that_is_lost_while_power_is_integrated_makes_the_meter_unavailable(
    driver: DriverLibrary,
) -> None:
    driver.counts, driver.milliwatts = False, 50_000
    meter = open_nvml("cuda")

    driver.lost = True

    wait_until(lambda: math.isnan(meter.read()))
    assert meter.source is EnergySource.UNAVAILABLE
    meter.close()
