"""The model of a bundle: its stages give PEFT's answers, and parts that do not fit are refused.

Pins: from files to probabilities, the order of labels, finite scores, and errors at loading.
Leaves open: running on a GPU where there is none.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from peft import PeftModel
from safetensors.torch import load_file, save_file

from helpers.tiny import IMAGE_SIZE, write_tiny_head
from helpers.tiny_bundle import CONTEXTS, TAIL_BLOCKS, write_tiny_bundle
from polymorph_ros.bundle.manifest import Manifest
from polymorph_ros.bundle.reader import Bundle
from polymorph_ros.errors import PolymorphError
from polymorph_ros.model.backbone import load_backbone
from polymorph_ros.model.polymorph import PolymorphModel
from polymorph_ros.model.scout import Scout


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture
def image() -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (IMAGE_SIZE, IMAGE_SIZE, 3), dtype=np.uint8)


def with_manifest(bundle: Bundle, **changes: object) -> Bundle:
    text = bundle.manifest.model_dump() | changes
    return replace(bundle, manifest=Manifest.model_validate(text))


def test_it_tells_labels_and_contexts(bundle: Bundle) -> None:
    model = PolymorphModel.from_bundle(bundle, "cpu")

    assert model.labels == ("person", "desk", "chair", "cup", "car", "tree")
    assert model.context_names == tuple(CONTEXTS)
    assert model.contexts == ((0, 1, 2, 3), (0, 4, 5))
    assert model.device == torch.device("cpu")


@pytest.mark.parametrize("adapters", [(0,), (1,), (0, 1), (1, 0)])
def test_tails_are_pefts_answers_through_the_heads(
    bundle: Bundle, image: NDArray[np.uint8], adapters: tuple[int, ...]
) -> None:
    model = PolymorphModel.from_bundle(bundle, "cpu")
    pixels = model.preprocess(image)

    scores = model.tails(model.trunk(pixels), adapters)

    assert len(scores) == len(adapters)
    for adapter, found in zip(adapters, scores, strict=True):
        folder = bundle.adapter_folder(adapter)
        backbone = load_backbone(bundle.backbone_location)
        peft = PeftModel.from_pretrained(backbone.model, folder).eval()
        head = load_file(folder / "head.safetensors")
        with torch.inference_mode():
            feature = peft(pixels).last_hidden_state[0, 0]
            expected = (head["weight"] @ feature + head["bias"]).sigmoid()
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


def test_the_scout_gives_probabilities_of_labels_and_contexts(
    bundle: Bundle, image: NDArray[np.uint8]
) -> None:
    model = PolymorphModel.from_bundle(bundle, "cpu")
    tokens = model.trunk(model.preprocess(image))

    labels, contexts = model.scout(tokens)

    expected = Scout.from_tensors(load_file(bundle.scout_file))(tokens)
    assert labels.shape == (6,) and contexts.shape == (2,)
    assert labels.dtype == contexts.dtype == np.float32
    np.testing.assert_allclose(labels, expected[0][0].sigmoid(), atol=1e-6)
    np.testing.assert_allclose(contexts, expected[1][0].sigmoid(), atol=1e-6)


def test_an_adapter_of_the_scout_adds_to_its_logits_what_peft_says(
    tmp_path: Path, image: NDArray[np.uint8]
) -> None:
    bundle = write_tiny_bundle(tmp_path / "bundle", scout_adapter=True)
    model = PolymorphModel.from_bundle(bundle, "cpu")
    pixels = model.preprocess(image)
    tokens = model.trunk(pixels)

    labels, contexts = model.scout(tokens)

    folder = bundle.scout_adapter_folder
    assert folder is not None
    peft = PeftModel.from_pretrained(load_backbone(bundle.backbone_location).model, folder).eval()
    head = load_file(folder / "head.safetensors")
    with torch.inference_mode():
        feature = peft(pixels).last_hidden_state[0, 0]
        alone = torch.cat(Scout.from_tensors(load_file(bundle.scout_file))(tokens), dim=1)[0]
        expected = (alone + head["weight"] @ feature + head["bias"]).sigmoid()
    np.testing.assert_allclose(np.concatenate([labels, contexts]), expected, rtol=0, atol=1e-4)


def test_an_adapter_of_the_scout_has_a_row_for_each_label_and_context(tmp_path: Path) -> None:
    bundle = write_tiny_bundle(tmp_path / "bundle", scout_adapter=True)
    write_tiny_head(bundle.path / "scout", 6)

    with pytest.raises(PolymorphError, match="a head for 8 labels and contexts, found one for 6"):
        PolymorphModel.from_bundle(bundle, "cpu")


def test_no_adapters_give_no_answers(bundle: Bundle, image: NDArray[np.uint8]) -> None:
    model = PolymorphModel.from_bundle(bundle, "cpu")

    assert model.tails(model.trunk(model.preprocess(image)), ()) == []


def test_warming_changes_no_answer(bundle: Bundle, image: NDArray[np.uint8]) -> None:
    model = PolymorphModel.from_bundle(bundle, "cpu")
    before = model.tails(model.trunk(model.preprocess(image)), (1,))

    model.warm()

    after = model.tails(model.trunk(model.preprocess(image)), (1,))
    np.testing.assert_array_equal(before[0], after[0])


def test_auto_takes_what_is_there(bundle: Bundle) -> None:
    expected = "cuda" if torch.cuda.is_available() else "cpu"

    assert PolymorphModel.from_bundle(bundle).device.type == expected


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_missing_gpu_is_named(bundle: Bundle) -> None:
    with pytest.raises(PolymorphError, match="device cuda: expected a GPU .* choose cpu or auto"):
        PolymorphModel.from_bundle(bundle, "cuda")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU on this machine")
def test_a_gpu_gives_the_cpus_answers(bundle: Bundle, image: NDArray[np.uint8]) -> None:
    answers = []
    for device in ("cpu", "cuda"):
        model = PolymorphModel.from_bundle(bundle, device)
        model.warm()
        answers.append(model.tails(model.trunk(model.preprocess(image)), (0, 1)))

    for on_cpu, on_gpu in zip(*answers, strict=True):
        np.testing.assert_allclose(on_cpu, on_gpu, rtol=0, atol=1e-3)


def test_an_unknown_device_is_refused(bundle: Bundle) -> None:
    with pytest.raises(
        PolymorphError, match="device: expected auto, cpu, cuda or cuda:N, found 'tpu'"
    ):
        PolymorphModel.from_bundle(bundle, "tpu")


def test_an_input_that_is_no_whole_number_of_patches_is_refused(bundle: Bundle) -> None:
    size = bundle.manifest.preprocessing.model_dump() | {"size": IMAGE_SIZE + 1}

    with pytest.raises(PolymorphError, match="divisible by the backbone's patch size 8, found 33"):
        PolymorphModel.from_bundle(with_manifest(bundle, preprocessing=size), "cpu")


def test_a_tail_deeper_than_the_backbone_is_refused(bundle: Bundle) -> None:
    with pytest.raises(PolymorphError, match="tail blocks"):
        PolymorphModel.from_bundle(with_manifest(bundle, tail_blocks=9), "cpu")


def test_adapters_outside_the_tail_are_refused(bundle: Bundle) -> None:
    with pytest.raises(PolymorphError, match="LoRA on the last 1 blocks"):
        PolymorphModel.from_bundle(with_manifest(bundle, tail_blocks=TAIL_BLOCKS - 1), "cpu")


def test_a_scout_of_another_vocabulary_is_refused(tmp_path: Path) -> None:
    bundle = write_tiny_bundle(tmp_path / "bundle")
    save_file(Scout(24, labels=5, contexts=2).tensors(), bundle.scout_file)

    with pytest.raises(PolymorphError, match="24, 6 labels and 2 contexts, found .* 5 labels"):
        PolymorphModel.from_bundle(bundle, "cpu")


def test_a_head_for_another_number_of_labels_is_refused(tmp_path: Path) -> None:
    bundle = write_tiny_bundle(tmp_path / "bundle")
    head = {"weight": torch.zeros(2, 24), "bias": torch.zeros(2)}
    save_file(head, bundle.adapter_folder(1) / "head.safetensors")

    with pytest.raises(PolymorphError, match="street: expected a head for 3 labels, found one for"):
        PolymorphModel.from_bundle(bundle, "cpu")
