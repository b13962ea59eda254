"""The tables of CamVid's drives and DAVIS's clips, and what is trained on them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "config/camvid_davis.yaml"
TEST_TABLES = tuple(ROOT / f"build/camvid_davis/{name}_test.csv" for name in ("camvid", "davis"))


def make_tables() -> None:
    """Have the example write the tables, unless they are there; ends the process if it fails."""
    if all(table.is_file() for table in TEST_TABLES):
        return
    made = subprocess.run([sys.executable, str(ROOT / "examples/camvid_davis.py")], cwd=ROOT)
    if made.returncode != 0:
        sys.exit(made.returncode)
