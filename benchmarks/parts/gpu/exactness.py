"""Composed answers beside PEFT's own, for all families and number types.

In float32 they differ by rounding only. In half precision both are off: each is compared with
PEFT's answer in float32 on the CPU, and the composed one should be off by about as much as PEFT's
(root mean squares over all logits of some pictures).
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from torch import Tensor

from parts.gpu.bench import Bench
from parts.gpu.composition import TINY
from parts.metrics import Results
from polymorph_ros.bundle.manifest import HEAD_FILE
from polymorph_ros.evaluation.composition.synthetic import size_of
from polymorph_ros.evaluation.composition.ways import Ways
from polymorph_ros.model.adapter import read_adapter
from polymorph_ros.model.backbone import load_backbone
from polymorph_ros.model.bank import AdapterBank
from polymorph_ros.model.cuda_graphs import GraphedModel
from polymorph_ros.model.tails import ComposedTails
from polymorph_ros.model.tensor_file import read_tensors

_TAIL_BLOCKS = 2
_DTYPES = (torch.float32, torch.bfloat16, torch.float16)
_BOUND = 1e-4  # in float32, the project's contract
_TIMES_PEFT = 1.5  # in half precision: of PEFT's own error
_PICTURES = 8


def measure(bench: Bench) -> None:
    """Differences of logits."""
    from helpers.tiny import FAMILIES

    # Single precision that is single precision: products without TF32 are PyTorch's default.
    torch.backends.cudnn.allow_tf32 = False
    rows = bench.results["rows"] = []
    families = FAMILIES[:2] if bench.quick else FAMILIES
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        for family in families:
            rows += _family(Path(folder), family, bench)
            bench.save()
    rows += _large(bench)
    torch.backends.cudnn.allow_tf32 = True
    bench.results["judged_by"] = {"float32": _BOUND, "half_precision_times_peft": _TIMES_PEFT}
    wrong = [row for row in rows if not row["holds"]]
    bench.say(f"exactness: {len(rows) - len(wrong)} of {len(rows)} hold")
    for row in wrong:
        bench.say(f"  NOT EXACT: {row}")


def _family(root: Path, family: str, bench: Bench) -> list[Results]:
    """A tiny backbone of a family with unlike adapters."""
    from helpers.tiny import AdapterSpec, random_pixels, tiny_backbone_folder, write_tiny_adapter

    specs = (
        AdapterSpec(rank=1, targets=("q", "v"), labels=2, seed=1),
        AdapterSpec(rank=6, targets=("q", "k", "v", "o", "fc1", "fc2"), labels=5, seed=2),
        AdapterSpec(rank=3, targets=("k", "fc1"), labels=1, seed=3),
    )
    with torch.inference_mode(False):
        backbone = tiny_backbone_folder(root / family, family)
        folders = [
            write_tiny_adapter(root / f"{family}-adapter-{i}", backbone, _TAIL_BLOCKS, spec)
            for i, spec in enumerate(specs)
        ]
    pixels, cpu = random_pixels(_PICTURES), torch.device("cpu")
    exact = _peft(backbone, folders, pixels, cpu, torch.float32)
    rows = []
    for dtype in _DTYPES:
        peft = _peft(backbone, folders, pixels, bench.device, dtype)
        composed = _composed(backbone, folders, pixels, bench.device, dtype)
        rows.append(_row(f"{family} (tiny)", dtype, exact, peft, composed))
    return rows


def _peft(
    backbone: Path, folders: list[Path], pixels: Tensor, device: torch.device, dtype: torch.dtype
) -> list[Tensor]:
    """Each adapter's logits (pictures, labels), by transformers' forward of PEFT's model."""
    from peft import PeftModel

    from helpers.tiny import whole_feature

    answers = []
    for folder in folders:
        with torch.inference_mode(False):
            model = PeftModel.from_pretrained(load_backbone(backbone).model, folder).eval()
            model.requires_grad_(False).to(device, dtype)
        head = read_tensors(folder / HEAD_FILE)
        with torch.device(device):  # where SigLIP 2 gets its masks
            feature = whole_feature(model, pixels.to(device, dtype))
        weight, bias = (head[name].to(device, dtype) for name in ("weight", "bias"))
        answers.append(torch.nn.functional.linear(feature, weight, bias).float().cpu())
    return answers


def _composed(
    folder: Path, folders: list[Path], pixels: Tensor, device: torch.device, dtype: torch.dtype
) -> dict[str, list[Tensor]]:
    """The composed logits, computed and by captures."""
    backbone = load_backbone(folder)
    adapters = [read_adapter(each, backbone, _TAIL_BLOCKS) for each in folders]
    backbone.to(device).model.to(dtype)
    bank = AdapterBank(adapters, _TAIL_BLOCKS, device, dtype)
    tails, pictures = ComposedTails(backbone, _TAIL_BLOCKS), pixels.to(device).split(1)
    chosen = bank.select(range(len(bank)))
    computed = [chosen.logits(tails(backbone.trunk(x, _TAIL_BLOCKS), chosen)) for x in pictures]
    example = torch.zeros_like(pictures[0])
    graphs = GraphedModel(backbone, tails, bank, _TAIL_BLOCKS, "all", example)
    captured = [
        [row.clone() for row in graphs.tails(graphs.trunk(x), range(len(bank)))] for x in pictures
    ]
    return {"computed": _joined(computed), "captured": _joined(captured)}


def _joined(answers: list[list[Tensor]]) -> list[Tensor]:
    """Each picture's logits of each adapter, as each adapter's (pictures, labels)."""
    return [torch.stack(list(rows)).float().cpu() for rows in zip(*answers, strict=True)]


def _row(
    name: str,
    dtype: torch.dtype,
    exact: list[Tensor],
    peft: list[Tensor],
    composed: dict[str, list[Tensor]],
) -> Results:
    """Differences, and whether they are as they should be."""
    own = _root_mean_square(peft, exact)
    errors = {way: _root_mean_square(rows, exact) for way, rows in composed.items()}
    to_peft = {way: _largest(rows, peft) for way, rows in composed.items()}
    if dtype == torch.float32:
        holds = max(to_peft.values()) <= _BOUND
    else:
        holds = max(errors.values()) <= _TIMES_PEFT * own
    return {
        "backbone": name,
        "dtype": str(dtype).removeprefix("torch."),
        "largest_logit": max(float(row.abs().max()) for row in exact),
        "peft_to_float32_rms": own,
        "composed_to_float32_rms": errors,
        "composed_to_peft_largest": to_peft,
        "holds": holds,
    }


def _largest(rows: list[Tensor], others: list[Tensor]) -> float:
    return max(float((a - b).abs().max()) for a, b in zip(rows, others, strict=True))


def _root_mean_square(rows: list[Tensor], others: list[Tensor]) -> float:
    off = torch.cat([(a - b).flatten() for a, b in zip(rows, others, strict=True)])
    return float(off.square().mean().sqrt())


def _large(bench: Bench) -> list[Results]:
    """A ViT-S with eight adapters at 224 px."""
    size, count = (TINY, 2) if bench.quick else (size_of("ViT-S"), 8)
    reference = Ways(size, _TAIL_BLOCKS, count, 0, torch.device("cpu"), cameras=_PICTURES)
    rows = []
    with torch.inference_mode():
        exact = [reference.run("peft_sequential", count)]
        for dtype in _DTYPES:
            ways = Ways(size, _TAIL_BLOCKS, count, 0, bench.device, dtype=dtype, cameras=_PICTURES)
            peft = [ways.run("peft_sequential", count).float().cpu()]
            computed = [ways.run("composed", count).float().cpu()]
            captured = [ways.fastest("composed", count)().float().cpu()]
            both = {"computed": computed, "captured": captured}
            rows.append(_row("ViT-S", dtype, exact, peft, both))
    return rows
