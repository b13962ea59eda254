"""How much cached trunk tokens save: adapters of a bundle beside plain PEFT runs, same pictures.

    build/venv/bin/python benchmarks/train_contexts.py [--bundle PATH] [--train 120] [--epochs 6]

Trains every context's adapter of a bundle anew, as `polymorph train` does it (trunk once, then
tails from cached tokens), and as a plain PEFT run does it (the whole model on pictures, in every
step): the same frames, batches, epochs, seeds and loss. Frames are synthetic scenes.
Times are seconds of computing on one thread, so that other work on the machine does not count; both
have training, scoring the test frames and loading the model in them, the cached way the tokens too.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn

from polymorph_ros.bundle.reader import Bundle, read_bundle
from polymorph_ros.contexts.presence import true_presence
from polymorph_ros.data.synthetic import SYNTHETIC_LABELS, make_sequence
from polymorph_ros.data.track import Track
from polymorph_ros.evaluation.metrics import label_average_precision
from polymorph_ros.model.backbone import Backbone, load_backbone
from polymorph_ros.model.preprocess import Preprocessor
from polymorph_ros.runtime.knowledge import Knowledge
from polymorph_ros.training.config import AdaptersConfig
from polymorph_ros.training.loop import Indices, Schedule, fit
from polymorph_ros.training.losses import known_bce
from polymorph_ros.training.stages.adapter import Lesson, frames_for, train_adapter
from polymorph_ros.training.token_set import TokenSet

_DEFAULT = Path(__file__).resolve().parent.parent / "bundles/default"
_FRAMES = 10  # of a sequence
_BATCH = 64

Pictures = NDArray[np.uint8]


def main(
    bundle: Annotated[Path, typer.Option(help="The bundle whose contexts are taken.")] = _DEFAULT,
    train: Annotated[int, typer.Option(min=2, help="Training sequences of ten frames.")] = 120,
    test: Annotated[int, typer.Option(min=2, help="Test sequences of ten frames.")] = 60,
    epochs: Annotated[int, typer.Option(min=1)] = 6,
    out: Annotated[Path | None, typer.Option("--json", help="Where the metrics go.")] = None,
) -> None:
    """Print seconds and mean average precision (given that the context is there) of both ways."""
    torch.set_num_threads(1)
    read = read_bundle(bundle)
    config = AdaptersConfig.model_validate(
        {"tail_blocks": read.manifest.tail_blocks, "others": 0.3, "epochs": epochs}
    )
    knowledge = Knowledge.of(read.manifest)
    pictures, truth, presence = _frames(read, "train", train)
    test_pictures, test_truth, test_presence = _frames(read, "test", test)
    start = time.process_time()
    data = TokenSet(_tokens(read, pictures), truth, presence)
    held_out = TokenSet(_tokens(read, test_pictures), test_truth, test_presence)
    seconds = {"cached": time.process_time() - start, "plain": 0.0}
    precisions: dict[str, list[NDArray[np.float64]]] = {"cached": [], "plain": []}
    for index, labels in enumerate(knowledge.contexts):
        start = time.process_time()
        with tempfile.TemporaryDirectory() as folder:
            lesson = Lesson(data, knowledge.context_names[index], index, labels)
            backbone = Path(read.backbone_location)
            adapter = train_adapter(
                config, backbone, lesson, Path(folder) / "checkpoint", seed=index
            )
            cached = held_out.outputs(adapter)
        seconds["cached"] += time.process_time() - start
        plain, took = _plain_run(config, read, pictures, data, test_pictures, index, labels)
        seconds["plain"] += took
        here = test_presence[:, index] == 1
        for name, logits in (("cached", cached), ("plain", plain)):
            wanted = test_truth[here][:, list(labels)]
            precisions[name].append(label_average_precision(logits[here], wanted))
    metrics = {
        "contexts": len(knowledge.contexts),
        "frames": len(truth),
        "epochs": epochs,
        "seconds": {name: round(value, 2) for name, value in seconds.items()},
        "times_faster": round(seconds["plain"] / seconds["cached"], 2),
        "mean_ap": {
            name: round(float(np.nanmean(np.concatenate(values))), 4)
            for name, values in precisions.items()
        },
    }
    print(json.dumps(metrics, indent=1))
    if out is not None:
        out.write_text(json.dumps(metrics, indent=1) + "\n", encoding="utf-8")


def _frames(
    read: Bundle, split: str, sequences: int
) -> tuple[Pictures, NDArray[np.int8], NDArray[np.int8]]:
    """Pictures, truth in the bundle's vocabulary, and where each context is there."""
    knowledge = Knowledge.of(read.manifest)
    order = [SYNTHETIC_LABELS.index(name) for name in knowledge.labels]
    pictures, truths, presences = [], [], []
    for index in range(sequences):
        scene = make_sequence(11, index=index, split=split, frames=_FRAMES, hz=1.0, size=(160, 120))
        drawn = list(scene.frames())
        truth = np.stack([frame.truth for frame in drawn])[:, order]
        pictures += [frame.image for frame in drawn]
        truths.append(truth)
        presences.append(true_presence(Track(truth, np.arange(_FRAMES) / 1.0), knowledge.members))
    return np.stack(pictures), np.concatenate(truths), np.concatenate(presences)


def _tokens(read: Bundle, pictures: Pictures) -> NDArray[np.float16]:
    backbone = load_backbone(read.backbone_location)
    preprocessor = Preprocessor(read.manifest.preprocessing, "cpu")
    with torch.inference_mode():
        return np.concatenate(
            [
                backbone.trunk(
                    preprocessor.batch(pictures[first : first + _BATCH]), read.manifest.tail_blocks
                )
                .half()
                .numpy()
                for first in range(0, len(pictures), _BATCH)
            ]
        )


def _plain_run(
    config: AdaptersConfig,
    read: Bundle,
    pictures: Pictures,
    data: TokenSet,
    test_pictures: Pictures,
    context: int,
    labels: tuple[int, ...],
) -> tuple[NDArray[np.float32], float]:
    """PEFT on the whole model; logits of the test pictures, and the seconds of all that."""
    start = time.process_time()
    torch.manual_seed(context)
    backbone = load_backbone(read.backbone_location)
    preprocessor = Preprocessor(read.manifest.preprocessing, "cpu")
    targets = backbone.lora_targets(config.tail_blocks, config.targets)
    lora = LoraConfig(r=config.rank, lora_alpha=config.alpha, target_modules=targets)
    model = get_peft_model(backbone.model, lora)
    head = nn.Linear(backbone.hidden_size, len(labels))
    columns = list(labels)

    def loss_of(batch: Indices, rng: np.random.Generator) -> Tensor:
        truth = torch.from_numpy(data.truth[batch][:, columns])
        return known_bce(_logits(backbone, head, preprocessor.batch(pictures[batch])), truth)

    with tempfile.TemporaryDirectory() as folder:
        fit(
            f"plain {context}",
            [*model.parameters(), *head.parameters()],
            loss_of,
            frames_for(data, context, config.others, np.random.default_rng(context)),
            Schedule.of(config, seed=context),
            Path(folder) / "checkpoint",
        )
    with torch.inference_mode():
        logits = [
            _logits(backbone, head, preprocessor.batch(test_pictures[first : first + _BATCH]))
            for first in range(0, len(test_pictures), _BATCH)
        ]
    return torch.cat(logits).numpy(), time.process_time() - start


def _logits(backbone: Backbone, head: nn.Linear, pixels: Tensor) -> Tensor:
    feature = backbone.model(pixel_values=pixels).last_hidden_state[:, 0]
    logits: Tensor = head(feature)
    return logits


if __name__ == "__main__":
    typer.run(main)
