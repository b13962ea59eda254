"""What the driver says of the first GPU through NVML: facts, clocks, energy. It changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from parts.metrics import Results


def _handle() -> Any:
    import pynvml

    pynvml.nvmlInit()
    return pynvml.nvmlDeviceGetHandleByIndex(0)


def _asked(questions: dict[str, Callable[[], Any]]) -> Results:
    """Each answer, or what the driver says instead."""
    answers: Results = {}
    for name, ask in questions.items():
        try:
            answer = ask()
            answers[name] = answer.decode() if isinstance(answer, bytes) else answer
        except Exception as error:  # drivers do not know every question
            answers[name] = f"unknown: {error}"
    return answers


def card() -> Results:
    """Name, driver, limits and modes."""
    import pynvml as nvml

    handle = _handle()
    return _asked(
        {
            "name": lambda: nvml.nvmlDeviceGetName(handle),
            "driver": nvml.nvmlSystemGetDriverVersion,
            "power_limit_w": lambda: nvml.nvmlDeviceGetEnforcedPowerLimit(handle) * 1e-3,
            "max_sm_mhz": lambda: nvml.nvmlDeviceGetMaxClockInfo(handle, nvml.NVML_CLOCK_SM),
            "max_memory_mhz": lambda: nvml.nvmlDeviceGetMaxClockInfo(handle, nvml.NVML_CLOCK_MEM),
            "persistence_mode": lambda: nvml.nvmlDeviceGetPersistenceMode(handle),
            "compute_mode": lambda: nvml.nvmlDeviceGetComputeMode(handle),
            "mig_mode": lambda: list(nvml.nvmlDeviceGetMigMode(handle)),
        }
    )


def clocks() -> Results:
    """Clocks, power and temperature now; why it could not be asked, where it could not."""
    try:
        import pynvml as nvml

        handle = _handle()
    except Exception as error:
        return {"unknown": str(error)}
    return _asked(
        {
            "sm_mhz": lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM),
            "memory_mhz": lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_MEM),
            "watts": lambda: nvml.nvmlDeviceGetPowerUsage(handle) * 1e-3,
            "celsius": lambda: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU),
            "throttle_reasons": lambda: nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle),
            "used_mib": lambda: nvml.nvmlDeviceGetMemoryInfo(handle).used >> 20,
        }
    )


def total_joules() -> Callable[[], float]:
    """What reads the GPU's total energy counter, joules since the driver was loaded."""
    import pynvml

    handle = _handle()
    return lambda: float(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)) * 1e-3
