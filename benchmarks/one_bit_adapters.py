"""Experiment: adapters of one bit per weight, and what that costs in mean average precision.

    build/venv/bin/python benchmarks/one_bit_adapters.py [--bundle PATH] [--synthetic 40]

Each matrix of an adapter becomes its signs, times one scale for each rank (the mean of the
magnitudes, which is the nearest in squares; Rastegari et al., "XNOR-Net", ECCV 2016). The weights
are not trained further in this form, as "Revisiting the Parameter Efficiency of Adapters from the
Perspective of Precision Redundancy" (ICCV 2023) does: the figure is a lower bound of what one bit
can give. Nothing reads such adapters: they are written back as float32 to be measured.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import torch
import typer
from safetensors.torch import load_file, save_file

from polymorph_ros.bundle.manifest import ADAPTER_WEIGHTS_FILE, MANIFEST_FILE
from polymorph_ros.bundle.reader import Bundle, read_bundle
from polymorph_ros.bundle.writer import write_bundle
from polymorph_ros.evaluation.accuracy import mean_ap, synthetic_dataset

_DEFAULT = Path(__file__).resolve().parent.parent / "bundles/default"


def main(
    bundle: Annotated[Path, typer.Option(help="The bundle.")] = _DEFAULT,
    synthetic: Annotated[int, typer.Option(min=1, help="Held-out scenes, 24 frames each.")] = 40,
) -> None:
    """Print mean AP and the adapters' size before and after."""
    whole = read_bundle(bundle)
    data = synthetic_dataset(synthetic)
    with tempfile.TemporaryDirectory() as folder:
        signs, before, after = _one_bit(whole, Path(folder) / "one-bit")
        aps = [mean_ap(each, data, "cpu") for each in (whole, signs)]
    typer.echo(f"adapters without heads: {before / 1e3:.0f} kB as float32, {after / 1e3:.0f} kB")
    typer.echo(
        f"mean AP on {synthetic} held-out scenes: {aps[0]:.4f} before, {aps[1]:.4f} of one bit"
    )


def _one_bit(whole: Bundle, out: Path) -> tuple[Bundle, int, int]:
    """The bundle with adapters of signs and scales, and the bytes before and after."""
    before = after = 0

    def write_parts(folder: Path) -> None:
        nonlocal before, after
        shutil.copytree(whole.path, folder, dirs_exist_ok=True)
        (folder / MANIFEST_FILE).unlink()
        for context in whole.manifest.contexts:
            path = folder / context.folder / ADAPTER_WEIGHTS_FILE
            tensors = load_file(path)
            for name, tensor in tensors.items():
                along = 1 if tensor.shape[0] <= tensor.shape[1] else 0
                scale = tensor.float().abs().mean(dim=along, keepdim=True)
                tensors[name] = torch.where(tensor < 0, -scale, scale)
                before += 4 * tensor.numel()
                after += tensor.numel() // 8 + 4 * scale.numel()
            save_file(tensors, path)

    bundle = write_bundle(
        out, write_parts, lambda files: whole.manifest.model_copy(update={"files": files})
    )
    return bundle, before, after


if __name__ == "__main__":
    typer.run(main)
