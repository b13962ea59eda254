"""Pins what `polymorph train` says of its sources, before (`--dry-run`) and after a run: how what
they leave open was read, and which clock each recording has.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from helpers.quick_training import QUICK
from helpers.recordings import write_bag
from polymorph_ros.cli.main import app

STAMPS = [1.7e9 + number / 4 for number in range(48)]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Two recordings, one with a header stamp of zero; their labels have stamps in nanoseconds."""
    headers = [0.0 if number == 20 else stamp for number, stamp in enumerate(STAMPS)]
    write_bag(tmp_path / "drives/mon[d]ay", STAMPS)
    write_bag(tmp_path / "drives/tuesday", STAMPS, headers_s=headers)
    rows = [
        f"{name},{round(stamp * 1e9)},{'mug' if number // 6 % 2 else 'oven'}\n"
        for name in ("mon[d]ay", "tuesday")
        for number, stamp in enumerate(STAMPS)
    ]
    (tmp_path / "drives/labels.csv").write_text("sequence,stamp,labels\n" + "".join(rows))
    data = {"sources": [{"path": str(tmp_path / "drives")}], "split": "time"}
    settings = {key: value for key, value in QUICK.items() if key != "synthetic"}
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(settings | {"data": data}))
    return file


@pytest.mark.parametrize("dry", [True, False])
def test_case_05_training_says_how_sources_are_read(
    config: Path, tmp_path: Path, dry: bool
) -> None:
    ending = ["--dry-run"] if dry else ["--out", str(tmp_path / "bundle")]

    answer = CliRunner().invoke(app, ["train", str(config), "--work", str(tmp_path / "w"), *ending])

    assert answer.exit_code == 0, answer.output
    assert "assumed: stamps are nanoseconds: too large for seconds\n" in answer.output
    assert "assumed: tuesday: 1 of 48 header stamps are not in step (picture 21 is zero)" in (
        answer.output
    )
    assert "clock: mon[d]ay: header\n" in answer.output
    assert "clock: tuesday: header, 1 not in step\n" in answer.output
