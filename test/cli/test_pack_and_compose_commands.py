"""`polymorph bundle pack` and `polymorph bench compose`: what they print, write and refuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from helpers.tiny_bundle import write_tiny_bundle
from polymorph_ros.bundle import read_bundle
from polymorph_ros.cli.main import main
from polymorph_ros.evaluation.machine import machine_facts


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr("sys.argv", ["polymorph", *words])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


@pytest.mark.parametrize(("dtype", "kind"), [("fp16", "float16"), ("int8", "int8")])
def test_a_packed_bundle_is_written_and_its_cost_told(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    dtype: str,
    kind: str,
) -> None:
    bundle = write_tiny_bundle(tmp_path / "bundle")
    words = [str(bundle.path), "--dtype", dtype, "--out", str(tmp_path / "packed")]

    code = run(monkeypatch, "bundle", "pack", *words, "--synthetic", "1")

    said = " ".join(capsys.readouterr().out.split())
    assert code == 0
    assert read_bundle(tmp_path / "packed").manifest.adapter_type == kind
    assert "mean AP on 1 held-out synthetic scenes" in said
    assert ("PEFT cannot open" in said) == (dtype == "int8")


def test_packing_over_something_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = write_tiny_bundle(tmp_path / "bundle")
    words = [str(bundle.path), "--dtype", "fp16", "--out", str(bundle.path)]

    code = run(monkeypatch, "bundle", "pack", *words, "--synthetic", "1")

    assert code == 1
    assert "a folder that does not exist yet" in " ".join(capsys.readouterr().err.split())


def test_the_bench_keeps_what_is_measured_already(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = machine_facts(torch.device("cpu"))
    row = {
        "backbone": "ViT-S", "tail_blocks": 2, "active": 1, "method": "composed",
        "median_s": 0.1, "p95_s": 0.1, "min_s": 0.1,
        "ratio_to_bare": 0.9, "limit_ratio": 0.9, "peak_bytes": 1,
        "device": facts.cpu, "dtype": "float32", "tail_tokens": "all",
        "threads": facts.threads, "clock": "wall",
        "torch": facts.versions["torch"], "date": facts.date, "load": facts.load,
    }  # fmt: skip
    rows = [row, row | {"method": "bare"}]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    words = ["--backbone", "ViT-S", "--tail-blocks", "2", "--active", "1"]

    code = run(monkeypatch, "bench", "compose", *words, "--json", str(tmp_path / "rows.json"))

    assert code == 0
    assert json.loads((tmp_path / "rows.json").read_text()) == rows
    assert "0.90" in capsys.readouterr().out


def test_an_unknown_backbone_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "bench", "compose", "--backbone", "ViT-X") == 1
    assert "ConvNeXt-T, found ViT-X" in " ".join(capsys.readouterr().err.split())


def test_an_unknown_number_type_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "bench", "compose", "--quick", "--dtype", "int4") == 1
    assert "float32, bfloat16, float16, found int4" in " ".join(capsys.readouterr().err.split())
