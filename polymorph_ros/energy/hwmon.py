"""Power monitors of Texas Instruments (INA3221, INA238) as Linux shows them in sysfs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

# Linux's hwmon ABI (Documentation/hwmon/sysfs-interface): powerN_input in uW, inN_input in mV,
# currN_input in mA. NVIDIA's older driver of the INA3221, under iio: mW, mV and mA.
_WATTS_FILES = (
    (("power{}_input",), 1e-6),
    (("in{}_input", "curr{}_input"), 1e-6),
    (("in_power{}_input",), 1e-3),
    (("in_voltage{}_input", "in_current{}_input"), 1e-6),
)
_LABEL = re.compile(r"(?:in|curr|power)(\d+)_label|rail_name_(\d+)")
_NO_RAILS = ("NC", "sum of shunt voltages")


Watts = Callable[[], float]


def find_rails(sysfs: Path) -> dict[str, Watts]:
    """What reads each rail's power, by the label that the board gives it.

    Of two rails with one label that of the lower address counts, for modules come first. Reading
    raises OSError or ValueError where it fails.

    Raises:
        OSError: a label cannot be read.
    """
    rails: dict[str, Watts] = {}
    for folder in _monitors(sysfs):
        for label, channel in _channels(folder):
            for names, scale in _WATTS_FILES:
                files = [folder / name.format(channel) for name in names]
                if label not in rails and all(file.is_file() for file in files):
                    rails[label] = _reader(files, scale)
    return rails


def _monitors(sysfs: Path) -> list[Path]:
    """Folders with the files of one monitor; drivers differ in how deep they lie."""
    driver = "bus/i2c/drivers/ina*/*"
    depths = (driver, f"{driver}/*", f"{driver}/*/hwmon*")
    found = [folder for depth in depths for folder in sorted(sysfs.glob(depth)) if folder.is_dir()]
    others = sorted(sysfs.glob("class/hwmon/hwmon*"))
    return found + [folder for folder in others if _text(folder / "name").startswith("ina")]


def _channels(folder: Path) -> Iterator[tuple[str, str]]:
    """(Label, number) of each channel."""
    labelled = False
    for file in sorted(folder.iterdir()):
        match = _LABEL.fullmatch(file.name)
        if match:
            labelled = True
            label = file.read_text().strip()
            if label not in _NO_RAILS:
                yield label, match[1] or match[2]
    if not labelled and (folder / "power1_input").is_file():
        yield _text(folder / "label") or _text(folder / "name").upper(), "1"


def _text(file: Path) -> str:
    return file.read_text().strip() if file.is_file() else ""


def _reader(files: list[Path], scale: float) -> Watts:
    def watts() -> float:
        product = scale
        for file in files:
            product *= float(file.read_text())
        return product

    return watts
