"""Adapters that were trained elsewhere, in a bundle: what PEFT computes is what the bundle answers.

Pins: a new context and one that is replaced, what the manifest and the scout say of them, every
misfit refused with the bundle left as it was. Open: whether the adapter is any good.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file

from helpers.tiny import HIDDEN_SIZE, random_pixels, whole_feature, write_tiny_head
from helpers.tiny_bundle import CONTEXTS, TAIL_BLOCKS, write_tiny_bundle
from polymorph_ros.bundle import read_bundle
from polymorph_ros.bundle.manifest import MANIFEST_FILE
from polymorph_ros.bundle.reader import Bundle
from polymorph_ros.cli.main import main
from polymorph_ros.errors import PolymorphError
from polymorph_ros.model.backbone import load_backbone
from polymorph_ros.model.import_adapter import ForeignAdapter, import_adapter
from polymorph_ros.model.pack import pack_bundle
from polymorph_ros.model.polymorph import PolymorphModel

LABELS = ("cup", "person", "tree")


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return write_tiny_bundle(tmp_path / "bundle")


@pytest.fixture
def foreign(bundle: Bundle, tmp_path: Path) -> ForeignAdapter:
    """An adapter that PEFT made on the bundle's backbone, with patterns and a head of its own."""
    folder = tmp_path / "elsewhere"
    config = LoraConfig(
        r=3,
        lora_alpha=5,
        use_rslora=True,
        target_modules=r"layers\.[23]\.(attention\.[qk]_proj|mlp\.fc2)",
        alpha_pattern={"fc2": 2},
    )
    model = get_peft_model(load_backbone(bundle.backbone_location).model, config)
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    model.save_pretrained(folder)
    write_tiny_head(folder, len(LABELS), seed=5)
    return ForeignAdapter(folder, folder / "head.safetensors", "table", LABELS)


def scores_by_peft(bundle: Bundle, foreign: ForeignAdapter) -> np.ndarray:
    base = load_backbone(bundle.backbone_location).model
    model = PeftModel.from_pretrained(base, foreign.folder).eval()
    head = load_file(foreign.head)
    with torch.inference_mode():
        feature = whole_feature(model, random_pixels())[0]
        return torch.sigmoid(head["weight"] @ feature + head["bias"]).numpy()


def scores_by_bundle(bundle: Bundle, context: int) -> np.ndarray:
    model = PolymorphModel.from_bundle(bundle, "cpu")
    return model.tails(model.trunk(random_pixels()), [context])[0]


@pytest.mark.parametrize("scout_adapter", [False, True])
def test_case_30_an_imported_adapter_scores_as_peft_does(
    tmp_path: Path, bundle: Bundle, foreign: ForeignAdapter, scout_adapter: bool
) -> None:
    old = write_tiny_bundle(tmp_path / "old", scout_adapter=scout_adapter)

    new = import_adapter(old, foreign)

    assert [context.name for context in new.manifest.contexts] == [*CONTEXTS, "table"]
    np.testing.assert_allclose(scores_by_bundle(new, 2), scores_by_peft(new, foreign), atol=1e-4)
    for context in range(len(CONTEXTS)):
        np.testing.assert_array_equal(
            scores_by_bundle(new, context), scores_by_bundle(bundle, context)
        )


@pytest.mark.parametrize("scout_adapter", [False, True])
def test_the_scout_says_of_a_new_context_its_prior_and_of_all_else_what_it_said(
    tmp_path: Path, foreign: ForeignAdapter, scout_adapter: bool
) -> None:
    old = write_tiny_bundle(tmp_path / "old", scout_adapter=scout_adapter)
    before = PolymorphModel.from_bundle(old, "cpu")
    labels, contexts = before.scout(before.trunk(random_pixels()))

    new = import_adapter(old, foreign, tmp_path / "new")

    after = PolymorphModel.from_bundle(new, "cpu")
    new_labels, new_contexts = after.scout(after.trunk(random_pixels()))
    prior = 1 - math.prod(1 - label.prior for label in old.manifest.labels[: len(LABELS)])
    np.testing.assert_allclose(new_labels, labels, atol=1e-6)
    np.testing.assert_allclose(new_contexts, [*contexts, prior], atol=1e-6)


def test_a_new_context_comes_and_goes_as_its_labels_do(
    bundle: Bundle, foreign: ForeignAdapter
) -> None:
    entry = import_adapter(bundle, foreign).manifest.contexts[-1]

    assert entry.prior == pytest.approx(1 - 0.7**3)
    assert entry.appear_hz == pytest.approx(0.3)
    assert entry.prior * entry.vanish_hz == pytest.approx((1 - entry.prior) * entry.appear_hz)
    assert entry.reliability is None and entry.shares is None and entry.label_priors is None


def test_shares_are_told_where_the_other_contexts_tell_theirs(
    bundle: Bundle, foreign: ForeignAdapter
) -> None:
    contexts = tuple(
        context.model_copy(
            update={field: (0.5,) * len(context.labels) for field in ("shares", "label_priors")}
        )
        for context in bundle.manifest.contexts
    )
    told = replace(bundle, manifest=bundle.manifest.model_copy(update={"contexts": contexts}))

    entry = import_adapter(told, foreign).manifest.contexts[-1]

    assert entry.shares is not None and entry.label_priors is not None
    expected = [entry.prior / (entry.prior + 0.65 * times) for times in (1, 2, 1)]
    assert entry.shares == pytest.approx(expected)
    assert entry.label_priors == pytest.approx([0.3 * share / entry.prior for share in expected])


def test_an_adapter_of_the_same_name_and_labels_takes_the_others_place(
    bundle: Bundle, foreign: ForeignAdapter
) -> None:
    write_tiny_head(foreign.folder, 3, seed=6)
    order = ("tree", "person", "car")
    scout = load_file(bundle.scout_file)

    new = import_adapter(bundle, replace(foreign, name="street", labels=order))

    entry, old = new.manifest.contexts[1], bundle.manifest.contexts[1]
    assert entry.labels == order and entry.prior == old.prior
    assert all(torch.equal(t, scout[key]) for key, t in load_file(new.scout_file).items())
    np.testing.assert_allclose(scores_by_bundle(new, 1), scores_by_peft(new, foreign), atol=1e-4)


def test_a_context_that_gets_other_labels_is_new_to_the_scout(
    bundle: Bundle, foreign: ForeignAdapter
) -> None:
    labels = ("car", "tree", "cup")

    new = import_adapter(bundle, replace(foreign, name="street", labels=labels))

    model = PolymorphModel.from_bundle(new, "cpu")
    _, contexts = model.scout(model.trunk(random_pixels()))
    assert contexts[1] == pytest.approx(new.manifest.contexts[1].prior, abs=1e-6)
    assert len(contexts) == len(new.manifest.contexts) == 2


def test_metrics_that_no_longer_hold_are_dropped(tmp_path: Path, foreign: ForeignAdapter) -> None:
    old = write_tiny_bundle(tmp_path / "old")
    file = old.path / MANIFEST_FILE
    file.write_text(json.dumps(json.loads(file.read_text()) | {"metrics": {"mean_ap": 0.9}}))

    assert import_adapter(read_bundle(old.path), foreign).manifest.metrics == {}


def head_of(rows: int, dim: int, fill: float = 0.1) -> dict[str, torch.Tensor]:
    return {"weight": torch.full((rows, dim), fill), "bias": torch.zeros(rows)}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda f: replace(f, labels=("cup", "unicorn", "tree")), "found unicorn; .*train --add"),
        (lambda f: replace(f, labels=("cup", "cup", "tree")), "labels, each once"),
        (lambda f: replace(f, labels=()), "labels, each once, found none"),
        (lambda f: replace(f, labels=LABELS[:2]), r"2 rows, one for each of cup, person, found 3"),
        (lambda f: replace(f, name="street"), "keeps a context: car too"),
        (lambda f: replace(f, name="../street"), "a name of letters"),
        (lambda f: replace(f, name=""), "a name of letters"),
        (lambda f: save_file(head_of(3, 7), f.head), r"weight of shape \(3, 24\), found shape"),
        (lambda f: save_file(head_of(3, HIDDEN_SIZE, math.nan), f.head), "finite tensor weight"),
        (lambda f: f.head.unlink(), "head.safetensors"),
        (lambda f: save_file({"kernel": torch.ones(3)}, f.head), "the tensors weight and bias"),
        (
            lambda f: (f.folder / "adapter_model.safetensors").rename(
                f.folder / "adapter_model.bin"
            ),
            "safe_serialization=True",
        ),
        (lambda f: (f.folder / "adapter_config.json").unlink(), "a PEFT adapter_config.json"),
    ],
)
def test_what_does_not_fit_is_refused_and_the_bundle_stays(
    bundle: Bundle, foreign: ForeignAdapter, change: Callable[[ForeignAdapter], Any], told: str
) -> None:
    changed = change(foreign)

    with pytest.raises(PolymorphError, match=told):
        import_adapter(bundle, changed if isinstance(changed, ForeignAdapter) else foreign)

    assert read_bundle(bundle.path).checksum == bundle.checksum


def test_a_packed_bundle_is_refused_with_the_remedy(
    bundle: Bundle, foreign: ForeignAdapter, tmp_path: Path
) -> None:
    packed = pack_bundle(bundle, "int8", tmp_path / "packed")

    with pytest.raises(PolymorphError, match="packed from, and pack it again"):
        import_adapter(packed, foreign)


def test_an_adapter_on_deeper_blocks_is_refused(
    bundle: Bundle, foreign: ForeignAdapter, tmp_path: Path
) -> None:
    base = load_backbone(bundle.backbone_location).model
    get_peft_model(base, LoraConfig(target_modules=["q_proj"])).save_pretrained(foreign.folder)

    with pytest.raises(PolymorphError, match=rf"last {TAIL_BLOCKS} blocks"):
        import_adapter(bundle, foreign)


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr("sys.argv", ["polymorph", "bundle", "import-adapter", *words])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def test_the_command_writes_the_bundle_and_says_what_must_agree(
    bundle: Bundle,
    foreign: ForeignAdapter,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    head = foreign.head.rename(tmp_path / "my_head.safetensors")
    words = ["--name", "table", "--labels", "cup, person,tree", "--out", str(tmp_path / "new")]

    code = run(monkeypatch, str(bundle.path), str(foreign.folder), *words, "--head", str(head))

    said = " ".join(capsys.readouterr().out.split())
    assert code == 0
    assert "context table (cup, person, tree)" in said
    assert "32 px" in said and "it must have been trained on such" in said
    assert read_bundle(tmp_path / "new").manifest.contexts[-1].labels == LABELS
    assert read_bundle(bundle.path).checksum == bundle.checksum


def test_the_command_refuses_in_one_line(
    bundle: Bundle,
    foreign: ForeignAdapter,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["--name", "table", "--labels", "cup,unicorn"]

    code = run(monkeypatch, str(bundle.path), str(foreign.folder), *words)

    assert code == 1
    assert "labels of the bundle's vocabulary, found unicorn" in " ".join(
        capsys.readouterr().err.split()
    )
