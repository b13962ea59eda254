"""Which power rails each NVIDIA Jetson module has, and what they hold.

Sources: the Jetson Linux Developer Guides, chapters on power, and Linux's device trees
tegra*-p*.dtsi. Limits: absolute maxima of the modules or of their supplies, rounded up.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Module:
    """One kind of module.

    Attributes:
        boards: NVIDIA's part numbers, as the device tree has them.
        inputs: rails that hold the whole; the first that is there counts.
        parts: rails that do not hold each other; the whole where a module has no input rail.
        most_watts: no true reading is above.
        beside: what an input rail holds beside the module.
    """

    boards: tuple[str, ...]
    inputs: tuple[str, ...]
    parts: tuple[str, ...]
    most_watts: float
    beside: str = ""


_XAVIER_PARTS = ("GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V")
_TX2_PARTS = ("VDD_SYS_GPU", "VDD_SYS_SOC", "VDD_SYS_CPU", "VDD_SYS_DDR")
_NX_PARTS = ("VDD_CPU_GPU_CV", "VDD_SOC")
_ORIN_PARTS = ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0")  # the last holds VDDQ_VDD2_1V8AO
_THOR_PARTS = ("VDD_GPU", "VDD_CPU_SOC_MSS", "VIN_SYS_5V0")

MODULES = {
    "Nano": Module(("p3448",), ("POM_5V_IN",), ("POM_5V_GPU", "POM_5V_CPU"), 30.0),
    "TX1": Module(("p2180",), ("VDD_IN",), ("VDD_GPU", "VDD_CPU"), 60.0),
    "TX2": Module(("p3310", "p3489", "p3636"), ("VDD_IN",), _TX2_PARTS, 60.0),
    "Xavier NX": Module(("p3668",), ("VDD_IN", "5V_IN"), _NX_PARTS, 80.0),
    "AGX Xavier": Module(("p2888",), (), _XAVIER_PARTS, 120.0),
    "Orin Nano, Orin NX": Module(("p3767",), ("VDD_IN",), _NX_PARTS, 80.0),
    "AGX Orin": Module(("p3701",), (), _ORIN_PARTS, 120.0),
    # An INA238 on the carrier board measures its supply; its driver may know no label.
    "Thor": Module(("p3834",), ("VIN", "INA238"), _THOR_PARTS, 300.0, beside=" and carrier board"),
}
_UNKNOWN = Module(
    (),
    ("VDD_IN", "POM_5V_IN", "5V_IN", "VIN"),
    tuple(dict.fromkeys(part for module in MODULES.values() for part in module.parts)),
    300.0,
)


def find_module(sysfs: Path, labels: frozenset[str]) -> Module:
    """The module by its device tree, else by its rails, else one with what any module has."""
    compatible = sysfs / "firmware/devicetree/base/compatible"
    board = compatible.read_text(errors="replace") if compatible.is_file() else ""
    modules = MODULES.values()
    found = [module for module in modules if any(part in board for part in module.boards)]
    found += [m for m in modules if labels.issuperset((*m.inputs[:1], *m.parts))]
    found += [module for module in modules if labels.issuperset(module.parts)]
    return (found or [_UNKNOWN])[0]
