"""Pins how several contexts are compared with one of all labels, and what the bundle takes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.console import Console

from helpers.quick_training import QUICK
from polymorph_ros.bundle.manifest import SingleContextEntry
from polymorph_ros.cli.train_report import print_summary
from polymorph_ros.data.synthetic import make_sequence
from polymorph_ros.evaluation.replay import measure
from polymorph_ros.model.polymorph import PolymorphModel
from polymorph_ros.training.artifacts import Artifact
from polymorph_ros.training.config import TrainConfig
from polymorph_ros.training.pipeline import Trained, train_bundle
from polymorph_ros.training.plan import plan_training
from polymorph_ros.training.stages.thresholds import compare_contexts


def config(**scout: int) -> TrainConfig:
    contexts = QUICK["contexts"] | {"compare": True}
    return TrainConfig.model_validate(
        QUICK | {"contexts": contexts, "scout": QUICK["scout"] | scout}
    )


def train(settings: TrainConfig, folder: Path) -> Trained:
    return train_bundle(settings, folder / "bundle", folder / "work", measure, lambda line: None)


@pytest.fixture(scope="module", params=[0, 2], ids=["scout", "scout with LoRA"])
def trained(request, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return train(config(rank=request.param), tmp_path_factory.mktemp("compared"))


def validation(folder: Path, mean_ap: float, adapters: float = 1.0) -> Artifact:
    folder.mkdir()
    measured = {"mean_ap": mean_ap, "adapters": adapters}
    (folder / "tuned.json").write_text(json.dumps({"validation": measured}))
    return Artifact(folder, "")


def test_the_bundle_has_what_it_says_it_took(trained: Trained) -> None:
    entry = trained.bundle.manifest.single_context

    assert entry is not None
    assert entry.used == (len(trained.bundle.manifest.contexts) == 1)
    assert entry.used == (entry.mean_ap > entry.mean_ap_several + 0.002)


def test_a_single_context_has_all_labels(trained: Trained) -> None:
    if not trained.bundle.manifest.single_context.used:
        pytest.skip("several contexts were better here")
    model = PolymorphModel.from_bundle(trained.bundle, "cpu")
    frame = next(make_sequence(1, split="test", frames=1, size=(64, 48)).frames())

    labels, contexts = model.scout(model.trunk(model.preprocess(frame.image)))

    assert model.contexts == (tuple(range(33)),)
    assert len(labels) == 33
    assert contexts.shape == (1,)


def test_its_scout_has_no_lora(trained: Trained) -> None:
    recipe = json.loads((trained.bundle.path / "training.json").read_text(encoding="utf-8"))
    scouts = list((trained.bundle.path.parent / "work").glob("scout-*"))

    assert len(scouts) == 2
    with_lora = [scout for scout in scouts if (scout / "scout").exists()]
    assert len(with_lora) == (1 if recipe["scout"]["rank"] else 0)


@pytest.mark.parametrize(
    ("several", "single", "used"), [(0.8, 0.81, True), (0.8, 0.801, False), (0.8, 0.7, False)]
)
def test_a_single_context_is_taken_where_it_is_better_by_more_than_noise(
    tmp_path: Path, several: float, single: float, used: bool
) -> None:
    found = compare_contexts(
        validation(tmp_path / "a", several, 2.5), validation(tmp_path / "b", single)
    )

    assert found == SingleContextEntry(
        used=used, mean_ap=single, mean_ap_several=several, adapters=2.5
    )


def test_without_labels_in_validation_nothing_is_compared(tmp_path: Path) -> None:
    nothing = validation(tmp_path / "a", float("nan"))

    assert compare_contexts(nothing, nothing) is None


def test_a_plan_counts_what_the_comparison_costs(tmp_path: Path) -> None:
    compared, alone = (
        [stage.name for stage in plan_training(settings, tmp_path).stages]
        for settings in (config(), TrainConfig.model_validate(QUICK))
    )

    assert compared.count("scout") == 2
    assert compared.count("thresholds") == alone.count("thresholds") + 1


def test_the_report_says_which_was_taken(trained: Trained, capsys: pytest.CaptureFixture) -> None:
    print_summary(Console(width=200), trained)

    entry = trained.bundle.manifest.single_context
    word = "one of all labels" if entry.used else "several"
    assert f"contexts: {word} (validation: several {entry.mean_ap_several:.3f}" in (
        capsys.readouterr().out
    )
