"""SigLIP 2 without training: the labels' names are its classifier.

Tschannen et al., "SigLIP 2", arXiv 2502.14786. Its two towers embed the picture and a sentence with
the label's name; the score is the sigmoid of their scaled cosine plus a bias, all as published.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from huggingface_hub import snapshot_download
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional
from transformers import AutoModel, AutoTokenizer

from polymorph_ros.bundle.manifest import HEAD_FILE, Preprocessing
from polymorph_ros.errors import PolymorphError
from polymorph_ros.evaluation.baselines.entry import Entry, Weights
from polymorph_ros.evaluation.baselines.scorer import Scorer
from polymorph_ros.evaluation.baselines.single_frame import single_frame
from polymorph_ros.evaluation.baselines.train import Inputs
from polymorph_ros.evaluation.baselines.trained import OWN_BACKBONE, TrainedBaseline
from polymorph_ros.model.backbone import load_backbone
from polymorph_ros.model.preprocess import Preprocessor
from polymorph_ros.training.backbone_choice import preprocessing_of
from polymorph_ros.training.config import FolderBackboneConfig
from polymorph_ros.training.stages.backbone import save_weights

_SENTENCE = "this is a photo of {}."  # in lower case, as all that SigLIP 2 was trained with


def sentence_of(label: str) -> str:
    """What the text tower gets for a label.

    >>> sentence_of("Traffic_light")
    'this is a photo of traffic light.'
    """
    return _SENTENCE.format(label.replace("_", " ").lower())


def _prepare(inputs: Inputs, target: Path) -> TrainedBaseline | None:
    """Its picture tower and the embedded labels as a baseline; None where its weights are not."""
    place = _on_this_machine(inputs.siglip2)
    if place is None:
        inputs.runner.log(
            f"siglip2_zero_shot is left out: no weights of {inputs.siglip2} on this machine; "
            f"hf download {inputs.siglip2}, or --siglip2 FOLDER"
        )
        return None
    shutil.rmtree(target, ignore_errors=True)
    labels = [label.name for label in inputs.bundle.manifest.labels]
    head = classifier(place, [sentence_of(label) for label in labels])
    save_weights(load_backbone(place).model, target / OWN_BACKBONE)
    save_file(head, target / HEAD_FILE)
    preprocessing = preprocessing_of(FolderBackboneConfig(folder=place, image_size=None))
    text = inputs.text(target, "zero_shot", preprocessing, own=True, steps=0)
    text = text.model_copy(update={"tail_blocks": 1})
    scores = _scores(TrainedBaseline(target, text), inputs, preprocessing)
    return inputs.with_thresholds(target, text, scores)


def _on_this_machine(location: str) -> Path | None:
    """The folder with its weights, which may be in the local cache."""
    folder = Path(location)
    if not folder.is_dir():
        try:
            folder = Path(snapshot_download(location, local_files_only=True))
        except (OSError, ValueError):
            return None
    return folder if any(folder.glob("*.safetensors")) else None


def classifier(folder: Path, sentences: Sequence[str]) -> dict[str, Tensor]:
    """Embed sentences: ``weight`` (sentences, D) and ``bias`` (sentences,) of features at length 1.

    Raises:
        PolymorphError: the folder has no text tower or tokenizer that can be read.
    """
    untyped: tuple[Any, Any] = (AutoTokenizer, AutoModel)
    tokenizers, models = untyped
    try:
        tokenizer = tokenizers.from_pretrained(folder, local_files_only=True)
        model = models.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, dtype=torch.float32
        ).eval()
        tower, longest = model.text_model, model.config.text_config.max_position_embeddings
    except (OSError, ValueError, AttributeError, ImportError) as error:
        raise PolymorphError(
            "a SigLIP 2 with both towers and its tokenizer",
            (str(error).strip() or type(error).__name__).splitlines()[0], where=str(folder),
        ) from error  # fmt: skip
    # Trained with sentences that are all as long.
    words = tokenizer(
        list(sentences),
        padding="max_length",
        truncation=True,
        max_length=longest,
        return_tensors="pt",
    )
    with torch.inference_mode():
        embedded = functional.normalize(tower(**words).pooler_output, dim=-1)
        scale, bias = model.logit_scale.exp(), model.logit_bias
        return {
            "weight": (embedded * scale).clone(),
            "bias": bias.expand(len(embedded)).clone(),
        }


def _scores(
    baseline: TrainedBaseline, inputs: Inputs, preprocessing: Preprocessing
) -> NDArray[np.float32]:
    """Scores of the validation frames, (frames, labels)."""
    device = torch.device(inputs.features.device)
    scorer = Scorer(baseline, inputs.bundle, device)
    preprocessor = Preprocessor(preprocessing, device)
    images = inputs.validation.images
    rows = [scorer.scores(scorer.trunk(preprocessor(np.asarray(image)))) for image in images]
    return np.stack(rows)


SIGLIP2 = Weights("siglip2_zero_shot", _prepare)
BASELINES = (
    Entry(
        "siglip2_zero_shot",
        "SigLIP 2 on the labels' names, untrained and not calibrated (thresholds on validation)",
        single_frame(SIGLIP2),
        SIGLIP2,
    ),
)
