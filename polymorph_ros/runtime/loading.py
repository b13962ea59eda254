"""From a bundle's folder to an engine that is ready for its first frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from polymorph_ros.bundle.reader import Bundle, read_bundle
from polymorph_ros.energy.calibration import read_calibration
from polymorph_ros.energy.estimated import DEFAULT_CPU_WATTS, DEFAULT_GPU_WATTS
from polymorph_ros.energy.ledger import EnergyLedger
from polymorph_ros.energy.meter import open_meter
from polymorph_ros.model.backend import Backend
from polymorph_ros.model.polymorph import PolymorphModel
from polymorph_ros.model.threads import use_threads
from polymorph_ros.runtime.engine import Engine
from polymorph_ros.runtime.settings import EngineSettings


@dataclass(frozen=True)
class LoadedBundle:
    """A bundle with its model, warm on its device.

    Attributes:
        bundle: the checked bundle.
        model: its model; every path of it has run once.
        cpu_threads: of a computation on the CPU; each thread that runs the model must set them
            (``torch.set_num_threads``), because torch keeps the number per thread.
    """

    bundle: Bundle
    model: PolymorphModel
    cpu_threads: int

    def engine(self, ledger: EnergyLedger, settings: EngineSettings | None = None) -> Engine:
        """An engine that labels with this model and enters each frame in the ledger."""
        return Engine(self.model, self.bundle.manifest, ledger, settings)

    def open_ledger(
        self,
        meter: str = "auto",
        *,
        cpu_watts: float = DEFAULT_CPU_WATTS,
        gpu_watts: float = DEFAULT_GPU_WATTS,
        calibration: Path | None = None,
    ) -> EnergyLedger:
        """A ledger of the model's energy; its owner closes it.

        Args:
            meter: one of ``METER_KINDS``; "auto" takes the best sensor that works for the device.
            cpu_watts: of one busy core, for the estimate.
            gpu_watts: of the busy GPU, for the estimate.
            calibration: this machine's, for the estimate: ``polymorph energy calibrate``.

        Raises:
            PolymorphError: the meter asked for is not there, or the calibration is no such file.
        """
        return EnergyLedger(
            open_meter(
                meter,
                cpu_watts=cpu_watts,
                gpu_watts=gpu_watts,
                device=str(self.model.device),
                calibration=read_calibration(calibration) if calibration else None,
            )
        )


def load_bundle(
    path: Path | str,
    device: str = "auto",
    backend: Backend = "float32",
    cpu_threads: int = 0,
    *,
    between: Callable[[], None] = lambda: None,
) -> LoadedBundle:
    """Check a bundle whole, build its model and run every path of it once.

    Args:
        path: the bundle's folder.
        device: "auto", "cpu", "cuda" or "cuda:N".
        backend: what trunk and tails compute in.
        cpu_threads: threads of a computation on the CPU; 0 for as many as pay, which is measured.
        between: called between the steps, which take up to seconds; may raise to give up.

    Raises:
        PolymorphError: the bundle or the device is not as it must be.
    """
    between()
    bundle = read_bundle(path)
    between()
    model = PolymorphModel.from_bundle(bundle, device, backend)
    between()
    threads = use_threads(cpu_threads, model.run_trunk_once)
    between()
    model.warm()
    return LoadedBundle(bundle, model, threads)
