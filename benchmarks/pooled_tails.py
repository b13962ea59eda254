"""What patches pooled two by two before the tails cost in accuracy, at equal gradient steps.

    build/venv/bin/python benchmarks/pooled_tails.py [--bundle PATH] [--train 400] [--epochs 6]

Trains every context's adapter of a bundle anew, on all tokens and on pooled ones, from the same
frames and the same seed, and compares them where adapters count: in frames of other scenes in which
the context is there. Frames are procedural scenes. The cover, the scout and the belief over time
are not in it; `polymorph train` with `adapters.tail_tokens: pooled` measures with them.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Annotated, get_args

import numpy as np
import torch
import typer

from polymorph_ros.bundle.manifest import TailTokens
from polymorph_ros.bundle.reader import Bundle, read_bundle
from polymorph_ros.contexts.presence import true_presence
from polymorph_ros.data.scenes import SCENE_LABELS, make_sequence
from polymorph_ros.data.track import Track
from polymorph_ros.evaluation.metrics import label_average_precision
from polymorph_ros.model.backbone import load_backbone
from polymorph_ros.model.preprocess import Preprocessor
from polymorph_ros.training.adapters import train_adapter
from polymorph_ros.training.config import AdaptersConfig
from polymorph_ros.training.token_set import TokenSet

_DEFAULT = Path(__file__).resolve().parent.parent / "bundles/default"
_FRAMES = 10


def main(
    bundle: Annotated[Path, typer.Option(help="The bundle whose contexts are taken.")] = _DEFAULT,
    train: Annotated[int, typer.Option(min=2, help="Training sequences of ten frames.")] = 400,
    test: Annotated[int, typer.Option(min=2, help="Test sequences of ten frames.")] = 150,
    epochs: Annotated[int, typer.Option(min=1)] = 6,
) -> None:
    """Print the mean average precision of both, given that the context is there."""
    read = read_bundle(bundle)
    data, held_out = _tokens(read, "train", train), _tokens(read, "test", test)
    columns = {label.name: index for index, label in enumerate(read.manifest.labels)}
    for which in get_args(TailTokens):
        start, precisions = time.process_time(), []
        config = AdaptersConfig(
            tail_blocks=read.manifest.tail_blocks, others=0.3, epochs=epochs, tail_tokens=which
        )
        for index, context in enumerate(read.manifest.contexts):
            labels = tuple(columns[label] for label in context.labels)
            with tempfile.TemporaryDirectory() as folder:
                logits = train_adapter(
                    config, Path(read.backbone_location), data, held_out, index, labels,
                    Path(folder), name=context.name, seed=0,
                )  # fmt: skip
            here = held_out.presence[:, index] == 1
            truth = held_out.truth[here][:, list(labels)]
            precisions.append(label_average_precision(logits[here], truth))
        mean = np.nanmean(np.concatenate(precisions))
        seconds = time.process_time() - start
        typer.echo(f"{which}: mean AP given the context {mean:.4f}, {seconds:.0f} CPU seconds")


def _tokens(bundle: Bundle, split: str, sequences: int) -> TokenSet:
    """The trunk's tokens of scenes, with their truth in the bundle's vocabulary."""
    manifest = bundle.manifest
    names = [label.name for label in manifest.labels]
    order = [SCENE_LABELS.index(name) for name in names]
    members = np.array(
        [[name in context.labels for name in names] for context in manifest.contexts]
    )
    backbone = load_backbone(bundle.backbone_location)
    preprocessor = Preprocessor(manifest.preprocessing, "cpu")
    tokens, truth, presence = [], [], []
    for index in range(sequences):
        scene = make_sequence(11, index=index, split=split, frames=_FRAMES, hz=1.0, size=(160, 120))
        drawn = list(scene.frames())
        pixels = preprocessor.batch(np.stack([frame.image for frame in drawn]))
        with torch.inference_mode():
            tokens.append(backbone.trunk(pixels, manifest.tail_blocks).half().numpy())
        truth.append(np.stack([frame.truth for frame in drawn])[:, order])
        stamps_s = np.array([frame.stamp_s for frame in drawn])
        presence.append(true_presence(Track(truth[-1], stamps_s), members))
    return TokenSet(np.concatenate(tokens), np.concatenate(truth), np.concatenate(presence))


if __name__ == "__main__":
    typer.run(main)
