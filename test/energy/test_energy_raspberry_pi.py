"""Pins the Raspberry Pi's meter against a written vcgencmd: which rails count, faults.

The lines are of the form that the Pi 5's firmware gives. Open: a real board.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from polymorph_ros.energy.raspberry_pi import open_raspberry_pi
from polymorph_ros.energy.reading import EnergySource
from polymorph_ros.errors import PolymorphError

DEADLINE_S = 20.0
ANSWER = """   3V7_WL_SW_A current(0)=0.10000000A
   VDD_CORE_A current(7)=2.00000000A
   3V7_WL_SW_V volt(8)=3.70000000V
   VDD_CORE_V volt(15)=0.90000000V
       EXT5V_V volt(24)=5.10000000V
        BATT_V volt(25)=0.00683760V
"""
WATTS = 0.1 * 3.7 + 2.0 * 0.9


@pytest.fixture
def firmware(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the command answers."""
    answer = tmp_path / "answer"
    answer.write_text(ANSWER)
    command = tmp_path / "vcgencmd"
    command.write_text(f'#!/bin/sh\n[ "$1" = pmic_read_adc ] && cat {answer}\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return answer


def test_sums_the_rails_whose_voltage_and_current_are_known(firmware: Path) -> None:
    start = time.monotonic()
    meter = open_raspberry_pi()
    pause, end = threading.Event(), time.monotonic() + DEADLINE_S
    while meter.read() == 0.0 and time.monotonic() < end:
        pause.wait(0.01)

    assert 0 < meter.read() <= WATTS * (time.monotonic() - start)
    assert meter.source is EnergySource.RASPBERRY_PI
    assert "left out" in meter.scope
    meter.close()


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ('error=1 error_msg="Command not registered"\n', "Command not registered"),
        ("       EXT5V_V volt(24)=5.1V\n", "EXT5V_V"),
        ("", "no answer"),
        (ANSWER.replace("2.00000000A", "2000.0A"), "at most 40 W are possible"),
    ],
)
def test_says_what_the_firmware_answered_instead(firmware: Path, answer: str, told: str) -> None:
    firmware.write_text(answer)

    with pytest.raises(PolymorphError, match=f"raspberry_pi: .*{told}.*group video"):
        open_raspberry_pi()


def test_says_that_there_is_no_such_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(PolymorphError, match="vcgencmd"):
        open_raspberry_pi()
