"""Pins what is learned of scenes: about the stated share of known frames is called unknown, others
are, and the stage writes what a bundle reads."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from polymorph_ros.model.tensor_file import read_tensors
from polymorph_ros.model.unknown_scene import FeatureStatistics, pooled
from polymorph_ros.training.stages.unknown_scene import (
    TrunkFeatures,
    feature_distances,
    learn_unknown_scene,
)

TOKENS, DIM = 5, 6


def known(tokens: np.ndarray, hz: float = 0.2) -> TrunkFeatures:
    """Two sequences, so slow that each frame counts by itself unless told otherwise."""
    half = len(tokens) // 2
    stamps_s = np.arange(len(tokens)) / hz
    return TrunkFeatures(tokens, (slice(0, half), slice(half, len(tokens))), stamps_s)


def tokens_like_training(seed: int, frames: int) -> np.ndarray:
    """Tokens of correlated features, as frames of one kind of place have them."""
    mixing = np.random.default_rng(0).normal(size=(DIM, DIM))
    scene = np.random.default_rng(seed).normal(size=(frames, 1, DIM)) @ mixing
    noise = np.random.default_rng(seed + 1).normal(scale=0.1, size=(frames, TOKENS, DIM))
    return (scene + noise + 3.0).astype(np.float16)


def test_few_known_frames_are_called_unknown_and_most_others_are() -> None:
    statistics, entry = learn_unknown_scene(
        known(tokens_like_training(1, 2000)),
        known(tokens_like_training(3, 1000)),
        false_alarms=0.02,
    )

    familiar = feature_distances(statistics, known(tokens_like_training(5, 1000)))
    elsewhere = feature_distances(statistics, known(-tokens_like_training(7, 1000)))

    assert entry.false_alarms == 0.02
    assert (familiar > entry.threshold).mean() < 0.05
    assert (elsewhere > entry.threshold).mean() > 0.95


@pytest.mark.parametrize("scale", [1.0, 1.3])
def test_the_stated_rate_holds_for_training_and_for_validation(scale: float) -> None:
    train = known(tokens_like_training(1, 1000))
    other = scale * (tokens_like_training(3, 1000) - 3.0) + 3.0
    validation = known(other.astype(np.float16))

    statistics, entry = learn_unknown_scene(train, validation, false_alarms=0.05)

    for frames in (train, validation):
        assert (feature_distances(statistics, frames) > entry.threshold).mean() <= 0.05 + 1e-6


def test_the_stated_rate_holds_for_stills_beside_long_recordings_too() -> None:
    near, far = tokens_like_training(1, 2000), 1.3 * (tokens_like_training(3, 100) - 3.0) + 3.0
    long_ones = [slice(start, start + 500) for start in range(0, 2000, 500)]
    stills = [slice(row, row + 1) for row in range(2000, 2100)]
    tokens = np.concatenate([near, far.astype(np.float16)])
    both = TrunkFeatures(tokens, (*long_ones, *stills), np.arange(2100) / 0.2)

    statistics, entry = learn_unknown_scene(both, both, false_alarms=0.05)

    called = feature_distances(statistics, both) > entry.threshold
    assert called.mean() <= 0.05
    assert called[2000:].mean() <= 0.06


def test_the_distance_of_training_frames_is_about_one() -> None:
    train = known(tokens_like_training(1, 2000))

    statistics, _ = learn_unknown_scene(train, train)

    assert 0.7 < np.median(feature_distances(statistics, train)) < 1.1, "shrinking makes it less"


def test_the_distance_is_mahalanobis_of_class_token_and_mean_patch() -> None:
    tokens = torch.from_numpy(tokens_like_training(1, 500).astype(np.float32))
    features = torch.cat([tokens[:, 0], tokens[:, 1:].mean(dim=1)], dim=1)
    assert torch.equal(pooled(tokens), features)
    whitening = torch.randn(2 * DIM, 2 * DIM, generator=torch.Generator().manual_seed(0))
    mean = features.mean(dim=0)

    distance = FeatureStatistics(mean, whitening).distance(tokens)

    precision = whitening.T @ whitening
    centred = features - mean
    expected = torch.einsum("bi,ij,bj->b", centred, precision, centred).div(2 * DIM).sqrt()
    assert torch.allclose(distance, expected, rtol=1e-4)


def test_fewer_frames_than_features_can_be_learned_from() -> None:
    few = known(tokens_like_training(1, 8))

    statistics, entry = learn_unknown_scene(few, few)

    assert np.isfinite(feature_distances(statistics, few)).all()
    assert entry.threshold > 0


def test_the_threshold_is_of_distances_over_the_last_frames() -> None:
    slow, fast = (known(tokens_like_training(1, 2000), hz) for hz in (0.2, 10.0))

    alone, together = (learn_unknown_scene(frames, frames)[1].threshold for frames in (slow, fast))

    assert together < 0.9 * alone, "frames that differ by chance even out"


def test_the_statistics_survive_their_file(tmp_path) -> None:
    from safetensors.torch import save_file

    train = known(tokens_like_training(1, 500))
    statistics, _ = learn_unknown_scene(train, train)
    save_file(statistics.tensors(), tmp_path / "unknown_scene.safetensors")

    read = FeatureStatistics.from_tensors(
        read_tensors(tmp_path / "unknown_scene.safetensors"), DIM, tmp_path
    )

    distances = feature_distances(statistics, train)
    assert feature_distances(read, train) == pytest.approx(distances, rel=1e-5)
