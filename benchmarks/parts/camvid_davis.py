"""The tables of CamVid's drives and DAVIS's clips, and what is trained on them."""

from __future__ import annotations

from parts.examples import ROOT, run_example

CONFIG = ROOT / "config/camvid_davis.yaml"
TEST_TABLES = tuple(ROOT / f"build/camvid_davis/{name}_test.csv" for name in ("camvid", "davis"))


def make_tables() -> None:
    """Have the example write the tables, unless they are there; ends the process if it fails."""
    if all(table.is_file() for table in TEST_TABLES):
        return
    run_example("camvid_davis.py")
