"""Pins both kinds of teacher on real tiny networks: a transformers teacher answers with the feature
that the product reads and with its own logits, an ONNX teacher with its named outputs; what cannot
teach is refused in one line.

Open: a teacher on a GPU, and one of the Hub.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper, save_model
from transformers import (
    Dinov2Config,
    Dinov2ForImageClassification,
    ViTConfig,
    ViTForImageClassification,
)

from helpers.tiny import (
    CONV_FAMILIES,
    IMAGE_SIZE,
    TRANSFORMERS,
    random_pixels,
    tiny_backbone_folder,
)
from polymorph_ros.distillation.answers import Teacher
from polymorph_ros.distillation.config import DistillConfig
from polymorph_ros.distillation.open_teacher import content_of, open_teacher
from polymorph_ros.errors import PolymorphError
from polymorph_ros.model.backbone import load_backbone

CHANNELS, CLASSES = 6, 5


def opened(**teacher: object) -> Teacher:
    document = {"recordings": [{"path": "."}], "teacher": teacher}
    document["student"] = {"width": 0.1, "image_size": 32}
    return open_teacher(DistillConfig.model_validate(document).teacher, 1, "cpu")


def write_onnx(file: Path, *, batch: int | str = "n", side: int | str = 16) -> Path:
    """A convolution with stride 8, its mean, and logits of that; ``flat``: three tokens in a row
    too many for a square, ``flipped``: the grid as tokens."""
    rng = np.random.default_rng(0)
    weights = {
        "kernel": rng.normal(size=(CHANNELS, 3, 8, 8)).astype(np.float32),
        "classes": rng.normal(size=(CHANNELS, CLASSES)).astype(np.float32),
        "tokens_shape": np.array([0, CHANNELS, -1]),
        "axes": np.array([2]),
        "starts": np.array([0]),
        "three": np.array([3]),
    }
    nodes = [
        helper.make_node("Conv", ["pixels", "kernel"], ["grid"], strides=[8, 8]),
        helper.make_node("GlobalAveragePool", ["grid"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["pooled"]),
        helper.make_node("MatMul", ["pooled", "classes"], ["logits"]),
        helper.make_node("Reshape", ["grid", "tokens_shape"], ["columns"]),
        helper.make_node("Transpose", ["columns"], ["tokens"], perm=[0, 2, 1]),
        helper.make_node("Concat", ["tokens"] * 2, ["twice"], axis=1),
        helper.make_node("Sqrt", ["pooled"], ["roots"]),
    ]
    shapes = {"grid": 4, "pooled": 2, "logits": 2, "tokens": 3, "twice": 3, "roots": 2}
    graph = helper.make_graph(
        nodes,
        "teacher",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [batch, 3, side, side])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * rank)
            for name, rank in shapes.items()
        ],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    save_model(model, file)
    return file


@pytest.mark.parametrize("family", sorted({*TRANSFORMERS, *CONV_FAMILIES} - {"siglip2"}))
def test_a_transformers_teacher_answers_with_the_products_feature(
    family: str, tmp_path: Path
) -> None:
    folder = tiny_backbone_folder(tmp_path / family, family)
    pixels = random_pixels(2)

    answers = opened(folder=folder, image_size=IMAGE_SIZE)(pixels)

    with torch.inference_mode():
        expected = load_backbone(folder).feature(pixels)
    torch.testing.assert_close(answers["feature"], expected, rtol=1e-4, atol=1e-4)
    rows, columns = answers["patches"].shape[2:]
    assert rows == columns >= (1 if family == "mobilenet_v2" else 2)
    assert "logits" not in answers


@pytest.mark.parametrize(
    ("config", "kind"),
    [(ViTConfig, ViTForImageClassification), (Dinov2Config, Dinov2ForImageClassification)],
)
def test_a_checkpoint_that_classifies_gives_its_logits(
    config: type, kind: type, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    model = kind(config(**sizes, image_size=32, patch_size=8, num_labels=CLASSES)).eval()
    model.save_pretrained(tmp_path)
    pixels = random_pixels(2, 32)

    answers = opened(folder=tmp_path)(pixels)

    with torch.inference_mode():
        torch.testing.assert_close(answers["logits"], model(pixels).logits)
    assert answers["patches"].shape == (2, 16, 4, 4)
    assert answers["feature"].shape == (2, 16)


def test_a_model_that_takes_no_pictures_is_refused(tmp_path: Path) -> None:
    folder = tiny_backbone_folder(tmp_path / "siglip2", "siglip2")

    with pytest.raises(PolymorphError, match="a network that takes pictures"):
        opened(folder=folder, image_size=IMAGE_SIZE)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PolymorphError, match=r"a transformers backbone"):
        opened(folder=tmp_path)


@pytest.mark.parametrize("batch", ["n", 1, 2])
def test_an_onnx_teacher_answers_with_its_outputs(batch: int | str, tmp_path: Path) -> None:
    file = write_onnx(tmp_path / "teacher.onnx", batch=batch)
    pixels = random_pixels(3, 16)

    answers = opened(onnx=file, outputs={"patches": "grid", "logits": "logits"})(pixels)

    assert answers["patches"].shape == (3, CHANNELS, 2, 2)
    torch.testing.assert_close(answers["feature"], answers["patches"].mean(dim=(2, 3)))
    alone = opened(onnx=file, outputs={"patches": "tokens", "feature": "pooled"})(pixels[2:])
    torch.testing.assert_close(alone["patches"], answers["patches"][2:])
    torch.testing.assert_close(alone["feature"], answers["feature"][2:])
    assert answers["logits"].shape == (3, CLASSES)


def test_an_output_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    file = write_onnx(tmp_path / "teacher.onnx")

    with pytest.raises(PolymorphError) as error:
        opened(onnx=file, outputs={"patches": "features"})

    assert "grid, pooled, logits, tokens, twice, roots, found features" in str(error.value)


def test_an_onnx_output_that_is_no_grid_is_refused(tmp_path: Path) -> None:
    file = write_onnx(tmp_path / "teacher.onnx", side=24)  # 18 tokens: 16 and 2 others

    opened(onnx=file, outputs={"patches": "twice"})
    with pytest.raises(PolymorphError, match=r"output pooled: expected tokens that form a grid"):
        opened(onnx=file, outputs={"patches": "pooled"})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_size": 32}, r"expected teacher\.image_size 16, which the file has, found 32"),
        ({"onnx": "none.onnx"}, "expected an ONNX file, found no such file"),
    ],
)
def test_an_onnx_file_that_does_not_fit_is_refused(
    changes: dict[str, object], message: str, tmp_path: Path
) -> None:
    file = write_onnx(tmp_path / "teacher.onnx")

    with pytest.raises(PolymorphError, match=message):
        opened(**{"onnx": file, "outputs": {"patches": "grid"}, **changes})


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "teacher.onnx"
    file.write_text("not a network")

    with pytest.raises(PolymorphError, match="an ONNX file that ONNX Runtime can run"):
        opened(onnx=file, outputs={"logits": "logits"})


def test_a_size_must_be_named_where_the_file_has_none(tmp_path: Path) -> None:
    file = write_onnx(tmp_path / "teacher.onnx", side="side")

    with pytest.raises(PolymorphError, match=r"set teacher\.image_size"):
        opened(onnx=file, outputs={"patches": "grid"})
    assert opened(onnx=file, outputs={"patches": "grid"}, image_size=24).preprocessing.size == 24


def test_what_decides_answers_does_not_depend_on_the_place(tmp_path: Path) -> None:
    files = [write_onnx(tmp_path / name) for name in ("one.onnx", "other.onnx")]
    configs = [
        DistillConfig.model_validate(
            {
                "recordings": [{"path": "."}],
                "student": {"width": 1, "image_size": 32},
                "teacher": {"onnx": file, "outputs": {"patches": name}},
            }
        ).teacher
        for file in files
        for name in ("grid", "tokens")
    ]

    contents = [content_of(config) for config in configs]

    assert contents[0] == contents[2]
    assert contents[0] != contents[1]
