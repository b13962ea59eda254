"""What frozen features are worth: a linear classifier for each label, judged on other drives."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from parts.frozen_features import Pool
from polymorph_ros.data.average_precision import label_average_precision
from polymorph_ros.data.dataset import Dataset, Fault
from polymorph_ros.model.backbone import load_backbone
from polymorph_ros.model.preprocess import Preprocessor
from polymorph_ros.training.backbone_choice import preprocessing_of
from polymorph_ros.training.config import FolderBackboneConfig

_INVERSE_REGULARISATION = 0.01  # one for all, not chosen on any of them


def features_of(folder: Path, image_size: int, datasets: Sequence[Dataset]) -> list[Pool]:
    """Features of every picture by a backbone's folder, as the product reads them."""
    backbone = load_backbone(folder)
    preprocessing = preprocessing_of(FolderBackboneConfig(folder=folder, image_size=image_size))
    preprocessor = Preprocessor(preprocessing, "cpu")
    pools = []
    for dataset in datasets:
        features, truths = [], []
        for sequence in dataset.sequences:
            for picture, truth in zip(sequence.pictures.read(), sequence.track.truth, strict=True):
                if isinstance(picture, Fault):
                    raise picture_error(picture)
                with torch.inference_mode():
                    features.append(backbone.feature(preprocessor(picture))[0].numpy().copy())
                truths.append(truth)
        pools.append(Pool(np.array(features), np.array(truths), np.arange(len(truths))))
    return pools


def picture_error(fault: Fault) -> ValueError:
    """A data set of a benchmark is whole, or nothing is measured."""
    return ValueError(f"{fault.where}: {fault.reason}")


def average_precisions(train: Pool, test: Pool) -> NDArray[np.float64]:
    """Average precision of each label; NaN where training or test does not vary."""
    found = np.full(train.truth.shape[1], np.nan)
    for label in range(len(found)):
        learned, judged = (part.truth[:, label] >= 0 for part in (train, test))
        wanted, truth = train.truth[learned, label], test.truth[judged, label]
        if len(set(wanted.tolist())) < 2 or len(set(truth.tolist())) < 2:
            continue
        judge = make_pipeline(
            StandardScaler(), LogisticRegression(C=_INVERSE_REGULARISATION, max_iter=1000)
        ).fit(train.features[learned], wanted)
        scores = judge.decision_function(test.features[judged]).astype(np.float32)
        found[label] = label_average_precision(scores[:, None], truth[:, None])[0]
    return found
