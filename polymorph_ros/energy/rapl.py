"""RAPL: the energy counters of x86 CPU packages and their memory, read through powercap."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from polymorph_ros.energy.counter import CounterMeter, WrappingCounter
from polymorph_ros.energy.reading import EnergySource
from polymorph_ros.energy.uncertainty import ErrorModel
from polymorph_ros.errors import PolymorphError

if TYPE_CHECKING:
    from zeus.device.cpu.rapl import RAPLFile

# The counters are renewed about once per millisecond.
RESOLUTION_S = 0.001

ERROR = ErrorModel(
    basis="assumed: 3 % of scale, the spread of published comparisons of RAPL with meters; "
    "steps of 61 uJ (Intel SDM, energy status units)",
    gain=0.03,
    quantum_joules=61e-6,
    cpu_of_others=True,
)

# More than any package takes. With 262 kJ of range a restart is distinguished from a wrap-around if
# the meter is read at least every few minutes.
MOST_WATTS = 1000.0


def open_rapl() -> CounterMeter:
    """A meter over all CPU packages and the memory domains beside them.

    Zeus finds the domains. Their files are read here and not through Zeus's own read, which
    starts a helper process per domain to count wrap-arounds; a meter that is read at least
    every few minutes counts them itself.

    Raises:
        PolymorphError: no RAPL here, or its counters may not be read.
    """
    from zeus.device.cpu import rapl
    from zeus.exception import ZeusBaseError

    root = next(
        (Path(d) for d in (rapl.RAPL_DIR, rapl.CONTAINER_RAPL_DIR) if Path(d).is_dir()), None
    )
    if root is None:
        raise PolymorphError(
            f"the folder {rapl.RAPL_DIR}",
            "none",
            where="rapl",
            remedy="RAPL needs an x86 CPU, the module intel_rapl_msr, and no virtual machine",
        )
    try:
        domains = [
            domain
            for folder in sorted(root.glob("intel-rapl:*"))
            for domain in _package_domains(rapl.RAPLCPU(int(folder.name.split(":")[1]), str(root)))
        ]
        counters = [_counter(domain) for domain in domains]
    except (ZeusBaseError, OSError, ValueError) as error:
        raise PolymorphError(
            f"readable counters in {root}",
            str(error),
            where="rapl",
            remedy="give the node's user the right to read energy_uj (docs/energy.md)",
        ) from error
    if not counters:
        raise PolymorphError(
            f"a CPU package in {root}", "none", where="rapl", remedy="use energy source estimated"
        )
    names = ", ".join(domain.name for domain in domains)
    scope = f"whole CPU packages, all processes, no GPU ({names})"
    return CounterMeter(EnergySource.RAPL, scope, RESOLUTION_S, counters, ERROR)


def _package_domains(cpu: object) -> list[RAPLFile]:
    """A package and its memory; nothing for psys, which holds the packages once more."""
    package: RAPLFile = cpu.rapl_file  # type: ignore[attr-defined]
    memory: RAPLFile | None = cpu.dram  # type: ignore[attr-defined]
    if not package.name.startswith("package"):
        return []
    return [package] if memory is None else [package, memory]


def _counter(domain: RAPLFile) -> WrappingCounter:
    path = Path(domain.energy_uj_path)
    return WrappingCounter(
        lambda: float(path.read_text()) * 1e-6, domain.max_energy_range_uj * 1e-6, MOST_WATTS
    )
