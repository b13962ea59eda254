"""Adapters that others trained: PEFT itself says what each configuration means.

Pins: an adapter is read as the installed PEFT reads it (features within 1e-4), or it is refused;
the fields of all PEFT versions since 0.10; initialisations that alter the base; names that
torch.compile leaves. Open: backbones other than ViT (test_tails has them), other PEFT versions.
"""

from __future__ import annotations

import json
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.tuners_utils import check_target_module_exists
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModelForImageClassification

from helpers.tiny import random_pixels, whole_feature, write_tiny_head
from polymorph_ros.errors import PolymorphError
from polymorph_ros.model.adapter import read_adapter
from polymorph_ros.model.backbone import load_backbone
from polymorph_ros.model.bank import AdapterBank
from polymorph_ros.model.lora_modules import read_target_modules
from polymorph_ros.model.tails import ComposedTails

TAIL_BLOCKS = 2
TOLERANCE = 1e-4
CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
Fields = dict[str, Any]

CHOICES_OF_MODULES: tuple[Fields, ...] = (
    {"target_modules": ["layers.2.attention.q_proj", "layers.3.mlp.fc1", "layers.3.mlp.fc2"]},
    {"target_modules": r"layers\.[23]\.(attention\.v_proj|mlp\.fc1)"},
    {"target_modules": ["q_proj", "fc2"], "exclude_modules": r"layers\.[01]\..*"},
    {
        "target_modules": ["fc1", "o_proj"],
        "layers_to_transform": [2, 3],
        "layers_pattern": "layers",
    },
    {"target_modules": ["mlp.fc1"], "layers_to_transform": 3, "layers_pattern": ["h", "layers"]},
)
PATTERNS = (
    "q_proj",
    "fc1",
    "mlp.fc2",
    r"layers\.3\..*",
    "layers.2.attention.q_proj",
    "^layers.3.mlp.fc1",
    ".*proj|fc1",
    "attention",
)
HARMLESS_INITIALISATIONS = (True, False, "gaussian", "Gaussian", "eva", "orthogonal", "mica")
ALTERING_INITIALISATIONS = (
    "pissa",
    "pissa_niter_4",
    "olora",
    "OLoRA",
    "corda",
    "corda_kpm",
    "lora_ga",
    "loftq",
)
HARMLESS_EDITS: tuple[tuple[str, Any], ...] = (
    ("fan_in_fan_out", True),
    ("lora_dropout", 0.5),
    ("inference_mode", False),
    ("revision", "main"),
    ("base_model_name_or_path", "somewhere/else"),
    ("runtime_config", {"ephemeral_gpu_offload": True}),
    ("megatron_core", "another.core"),
    ("qalora_group_size", 32),
    ("corda_config", {"corda_method": "kpm"}),
    ("eva_config", {"rho": 1.0}),
    ("lora_ga_config", {"scale": "unit"}),
    ("loftq_config", {"loftq_bits": 4, "loftq_iter": 1}),
    ("use_bdlora", None),
    ("trainable_token_indices", None),
    ("target_parameters", []),
    ("task_type", "FEATURE_EXTRACTION"),
)
REFUSED_EDITS: tuple[tuple[str, Any], ...] = (
    ("use_dora", True),
    ("use_qalora", True),
    ("use_bdlora", {"target_modules_bd_a": ["q_proj"], "nblocks": 2}),
    ("lora_bias", True),
    ("bias", "all"),
    ("bias", "lora_only"),
    ("modules_to_save", ["layernorm"]),
    ("layer_replication", [[0, 3], [2, 4]]),
    ("trainable_token_indices", [1, 2]),
    ("target_parameters", ["layers.3.mlp.fc1.weight"]),
    ("alora_invocation_tokens", [7]),
    ("arrow_config", {"top_k": 2}),
    ("kasa_config", {"beta": 1e-4}),
    ("velora_config", {}),
    ("monteclora_config", {"num_samples": 2}),
    ("megatron_config", {"tensor_model_parallel_size": 2}),
    ("ensure_weight_tying", True),
    ("a_field_of_tomorrow", 3),
    ("init_lora_weights", None),
    ("init_lora_weights", "true"),
    ("use_rslora", "yes"),
)
EITHER_EDITS: tuple[tuple[str, Any], ...] = (
    ("r", 3),
    ("lora_alpha", 7),
    ("lora_alpha", 0.5),
    ("use_rslora", True),
    ("rank_pattern", {"fc1": 3}),
    ("rank_pattern", None),
    ("alpha_pattern", {r"layers\.3\..*": 5, "fc1": 9}),
    ("target_modules", ["q_proj"]),
    ("target_modules", "all-linear"),
    ("target_modules", None),
    ("exclude_modules", ["layers.3.mlp.fc1"]),
    ("layers_to_transform", [3]),
    ("layers_to_transform", []),
    ("layers_pattern", "layers"),
)


def pick(options: tuple[Any, ...]) -> st.SearchStrategy[Any]:
    return st.sampled_from(options)


@st.composite
def plain_fields(draw: st.DrawFn) -> Fields:
    """Arguments of a LoraConfig whose adapters must be read."""
    rank = st.integers(1, 3).map(lambda half: 2 * half)  # orthogonal asks for even ranks
    return draw(pick(CHOICES_OF_MODULES)) | {
        "r": draw(rank),
        "lora_alpha": draw(st.integers(1, 9)),
        "use_rslora": draw(st.booleans()),
        "rank_pattern": draw(st.dictionaries(pick(PATTERNS), rank, max_size=1)),
        "alpha_pattern": draw(st.dictionaries(pick(PATTERNS), st.integers(1, 9), max_size=1)),
        "init_lora_weights": draw(pick(HARMLESS_INITIALISATIONS)),
        "lora_dropout": draw(pick((0.0, 0.1))),
        "fan_in_fan_out": draw(st.booleans()),
    }


def save_adapter(folder: Path, backbone_folder: Path, fields: Mapping[str, Any]) -> PeftModel:
    """An adapter with random weights, as PEFT saves it; its head; and the model it is on."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = get_peft_model(load_backbone(backbone_folder).model, LoraConfig(**fields))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    model.save_pretrained(folder)
    write_tiny_head(folder, 2)
    return model.eval()


def edit(folder: Path, *edits: tuple[str, Any]) -> None:
    file = folder / CONFIG
    file.write_text(json.dumps(json.loads(file.read_text()) | dict(edits)))


def feature_by_peft(backbone_folder: Path, adapter: Path) -> Tensor:
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        model = PeftModel.from_pretrained(load_backbone(backbone_folder).model, adapter)
        return whole_feature(model.eval().get_base_model(), random_pixels())[0]


def feature_by_us(backbone_folder: Path, adapter: Path) -> Tensor:
    backbone = load_backbone(backbone_folder)
    weights = read_adapter(adapter, backbone, TAIL_BLOCKS)
    chosen = AdapterBank([weights], TAIL_BLOCKS, "cpu").select([0])
    with torch.inference_mode():
        tokens = backbone.trunk(random_pixels(), TAIL_BLOCKS)
        return ComposedTails(backbone, TAIL_BLOCKS)(tokens, chosen)[0]


def assert_alike(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=TOLERANCE, rtol=0)


@settings(max_examples=25, deadline=None)
@given(fields=plain_fields(), edits=st.lists(pick(HARMLESS_EDITS), max_size=3))
def test_case_30_plain_adapters_of_any_configuration_are_read_as_peft_reads_them(
    backbone_folders: dict[str, Path], fields: Fields, edits: list[tuple[str, Any]]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        save_adapter(Path(name), backbone_folders["vit"], fields)
        edit(Path(name), *edits)

        expected = feature_by_peft(backbone_folders["vit"], Path(name))

        assert_alike(feature_by_us(backbone_folders["vit"], Path(name)), expected)


@settings(max_examples=40, deadline=None)
@given(
    fields=plain_fields(),
    edits=st.lists(pick((*HARMLESS_EDITS, *REFUSED_EDITS, *EITHER_EDITS)), min_size=1, max_size=4),
    altering=st.none() | pick(("pissa", "pissa_niter_2", "olora")),
)
def test_case_30_every_configuration_is_read_as_peft_reads_it_or_refused(
    backbone_folders: dict[str, Path],
    fields: Fields,
    edits: list[tuple[str, Any]],
    altering: str | None,
) -> None:
    if altering is not None:
        fields = fields | {"init_lora_weights": altering}
    with tempfile.TemporaryDirectory() as name:
        save_adapter(Path(name), backbone_folders["vit"], fields)
        edit(Path(name), *edits)
        try:
            found = feature_by_us(backbone_folders["vit"], Path(name))
        except PolymorphError:
            return
        assert altering is None
        assert not {field for field, _ in edits} & {"use_dora", "bias", "modules_to_save"}
        try:
            expected = feature_by_peft(backbone_folders["vit"], Path(name))
        except Exception:  # PEFT cannot load it: then nothing contradicts what we read
            assume(False)

        assert_alike(found, expected)


@pytest.mark.parametrize(("field", "value"), REFUSED_EDITS)
def test_case_30_a_field_that_may_change_the_output_is_refused_by_name(
    backbone_folders: dict[str, Path], tmp_path: Path, field: str, value: Any
) -> None:
    save_adapter(tmp_path, backbone_folders["vit"], CHOICES_OF_MODULES[0])
    edit(tmp_path, (field, value))

    with pytest.raises(PolymorphError, match=rf"{CONFIG}: .*{field}") as refusal:
        feature_by_us(backbone_folders["vit"], tmp_path)

    assert refusal.value.remedy or field == "use_rslora"


@pytest.mark.parametrize("value", ALTERING_INITIALISATIONS)
def test_case_30_an_initialisation_that_alters_the_base_is_refused_with_the_remedy(
    backbone_folders: dict[str, Path], tmp_path: Path, value: str
) -> None:
    save_adapter(tmp_path, backbone_folders["vit"], CHOICES_OF_MODULES[0])
    edit(tmp_path, ("init_lora_weights", value))

    with pytest.raises(PolymorphError, match=f"init_lora_weights = '{value}'") as refusal:
        feature_by_us(backbone_folders["vit"], tmp_path)

    converts = "path_initial_model_for_weight_conversion" in refusal.value.remedy
    assert converts == (value != "loftq")


@pytest.mark.parametrize("value", ["pissa", "pissa_niter_4", "olora"])
def test_case_30_a_converted_adapter_gives_what_the_trained_model_gave(
    backbone_folders: dict[str, Path], tmp_path: Path, value: str
) -> None:
    backbone = load_backbone(backbone_folders["vit"]).model
    fields = CHOICES_OF_MODULES[0] | {"r": 4, "init_lora_weights": value}
    model = get_peft_model(backbone, LoraConfig(**fields))
    model.save_pretrained(tmp_path / "initial")
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.add_(torch.randn(parameter.shape) * 0.1)
    with torch.inference_mode():
        expected = whole_feature(model.eval(), random_pixels())[0]

    model.save_pretrained(
        tmp_path / "converted",
        path_initial_model_for_weight_conversion=str(tmp_path / "initial"),
    )
    write_tiny_head(tmp_path / "converted", 2)

    found = feature_by_us(backbone_folders["vit"], tmp_path / "converted")
    assert_alike(found, expected)


@settings(max_examples=200, deadline=None)
@given(
    choice=pick(CHOICES_OF_MODULES),
    edits=st.lists(
        pick(tuple(e for e in EITHER_EDITS if "modules" in e[0] or "layers" in e[0])), max_size=2
    ),
    prefix=pick(("", "vit.", "model.encoder.")),
)
def test_case_30_modules_are_chosen_by_the_rule_of_peft(
    choice: Fields, edits: list[tuple[str, Any]], prefix: str
) -> None:
    fields = choice | dict(edits)
    assume(fields["target_modules"] not in (None, "all-linear"))
    try:
        config = LoraConfig(**fields)
    except ValueError:
        assume(False)
    targets = read_target_modules(fields, Path(CONFIG))
    ends = ("attention.q_proj", "attention.v_proj", "attention.o_proj", "mlp.fc1", "mlp.fc2")
    modules = [f"{prefix}layers.{block}.{end}" for block in range(4) for end in ends]

    for module in modules:
        assert targets.holds(module) == bool(check_target_module_exists(config, module))


def test_case_30_patterns_that_old_and_new_peft_read_otherwise_are_refused(
    backbone_folders: dict[str, Path], tmp_path: Path
) -> None:
    fields = CHOICES_OF_MODULES[0] | {"rank_pattern": {"fc1": 4}, "alpha_pattern": {"mlp.fc1": 3}}
    save_adapter(tmp_path, backbone_folders["vit"], fields)
    feature_by_us(backbone_folders["vit"], tmp_path)
    config = json.loads((tmp_path / CONFIG).read_text())
    for field in ("peft_version", "trainable_token_indices"):  # as PEFT 0.14 writes it
        del config[field]
    (tmp_path / CONFIG).write_text(json.dumps(config))

    with pytest.raises(PolymorphError, match=r"0\.15 reads alike.*layers\.3\.mlp\.fc1"):
        feature_by_us(backbone_folders["vit"], tmp_path)


@pytest.mark.parametrize("field", ["rank_pattern", "alpha_pattern"])
def test_case_30_patterns_whose_order_peft_forgets_are_refused(
    backbone_folders: dict[str, Path], tmp_path: Path, field: str
) -> None:
    patterns = {"mlp.fc2": 2, r"layers\.3\..*": 4}
    save_adapter(tmp_path, backbone_folders["vit"], CHOICES_OF_MODULES[0] | {field: patterns})
    saved = json.loads((tmp_path / CONFIG).read_text())[field]

    with pytest.raises(PolymorphError, match=r"patterns that agree on layers\.3\.mlp\.fc2"):
        feature_by_us(backbone_folders["vit"], tmp_path)

    assert list(saved) != list(patterns)


@pytest.mark.parametrize(
    ("target_modules", "fault"),
    [(["q_proj"], "none of"), (["layers.2.attention.q_proj"], "does not name")],
)
def test_case_30_weights_of_other_modules_than_the_configuration_names_are_refused(
    backbone_folders: dict[str, Path], tmp_path: Path, target_modules: list[str], fault: str
) -> None:
    save_adapter(tmp_path, backbone_folders["vit"], CHOICES_OF_MODULES[0])
    edit(tmp_path, ("target_modules", target_modules))

    with pytest.raises(PolymorphError, match=f"{WEIGHTS}.*adapter_config.json names.*{fault}"):
        feature_by_us(backbone_folders["vit"], tmp_path)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"peft_type": "LORA", "r": ', "\xff"])
def test_case_30_a_configuration_that_is_no_json_is_refused(
    backbone_folders: dict[str, Path], tmp_path: Path, text: str
) -> None:
    save_adapter(tmp_path, backbone_folders["vit"], CHOICES_OF_MODULES[0])
    (tmp_path / CONFIG).write_text(text, encoding="latin-1")

    with pytest.raises(PolymorphError, match="a PEFT adapter_config.json"):
        feature_by_us(backbone_folders["vit"], tmp_path)


def test_case_32_names_that_torch_compile_leaves_are_read_as_without_them(
    backbone_folders: dict[str, Path], tmp_path: Path
) -> None:
    save_adapter(tmp_path, backbone_folders["vit"], CHOICES_OF_MODULES[0])
    expected = feature_by_peft(backbone_folders["vit"], tmp_path)
    plain = load_file(tmp_path / WEIGHTS)

    for before in ("_orig_mod.base_model.model.", "base_model.model._orig_mod."):
        renamed = {k.replace("base_model.model.", before): v for k, v in plain.items()}
        save_file(renamed, tmp_path / WEIGHTS)

        assert_alike(feature_by_us(backbone_folders["vit"], tmp_path), expected)


def test_case_32_an_adapter_of_a_model_around_the_backbone_is_read(
    backbone_folders: dict[str, Path], tmp_path: Path
) -> None:
    classifier = AutoModelForImageClassification.from_pretrained(backbone_folders["vit"])
    config = LoraConfig(r=2, target_modules=r"vit\.layers\.[23]\..*fc1")
    model = get_peft_model(classifier, config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.copy_(torch.randn(parameter.shape) * 0.3)
    model.save_pretrained(tmp_path)
    write_tiny_head(tmp_path, 2)
    with torch.inference_mode():
        expected = whole_feature(classifier.eval().vit, random_pixels())[0]

    assert_alike(feature_by_us(backbone_folders["vit"], tmp_path), expected)


def test_case_32_two_adapters_in_one_file_are_refused(
    backbone_folders: dict[str, Path], tmp_path: Path
) -> None:
    save_adapter(tmp_path, backbone_folders["vit"], CHOICES_OF_MODULES[0])
    plain = load_file(tmp_path / WEIGHTS)
    twice = {
        k.replace("base_model.model.", "base_model.model._orig_mod."): v.clone()
        for k, v in plain.items()
    }
    save_file(plain | twice, tmp_path / WEIGHTS)

    with pytest.raises(PolymorphError, match="one pair of tensors for q of block 2"):
        feature_by_us(backbone_folders["vit"], tmp_path)
