"""One LoRA for all labels, on its own and in place of Polymorph's adapters."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from torch import Tensor

from polymorph_ros.bundle.reader import Bundle
from polymorph_ros.contexts.cost import membership
from polymorph_ros.contexts.presence import true_presence
from polymorph_ros.data.frame import Frame
from polymorph_ros.evaluation.baselines.entry import Entry, Source, Weights
from polymorph_ros.evaluation.baselines.scorer import Scorer
from polymorph_ros.evaluation.baselines.single_frame import (
    ALL_LABELS,
    SingleFrameMethod,
    single_frame,
)
from polymorph_ros.evaluation.baselines.train import Inputs, copy_weights
from polymorph_ros.evaluation.baselines.trained import (
    OWN_BACKBONE,
    TrainedBaseline,
    write_trained,
)
from polymorph_ros.evaluation.baselines.variants import AllAdapters
from polymorph_ros.evaluation.methods.engine_method import EngineMethod
from polymorph_ros.evaluation.methods.method import Labelled
from polymorph_ros.model.polymorph import Scores
from polymorph_ros.progress import progress_bar
from polymorph_ros.runtime.belief import logit, sigmoid
from polymorph_ros.runtime.engine import MakePolicy
from polymorph_ros.runtime.policy import Policy
from polymorph_ros.training.calibration import platt
from polymorph_ros.training.config import BackboneConfig, PretrainConfig, TrainConfig
from polymorph_ros.training.frames import LabelledFrames
from polymorph_ros.training.graph import TrainingGraph
from polymorph_ros.training.rehearsal import rehearse
from polymorph_ros.training.stages.backbone import weights_folder
from polymorph_ros.training.stages.thresholds import on_off

_GIVEN_FILE = "given_context.safetensors"  # calibration of scores given each context


class AllLabelAnswers:
    """The answers of all adapters from the scores of one LoRA, calibrated given each context.

    Attributes:
        scores: the LoRA's own of the last picture that was computed, float32 (labels,).
    """

    def __init__(self, baseline: TrainedBaseline, source: Source, device: torch.device) -> None:
        names = [label.name for label in source.bundle.manifest.labels]
        self._contexts = contexts_of(source.bundle)
        self._scorer = Scorer(baseline, source.bundle, device)
        self._given = load_file(baseline.folder / _GIVEN_FILE)
        self.scores: Scores = np.zeros(len(names), np.float32)

    @torch.inference_mode()
    def __call__(self, pixels: Tensor, tokens: Tensor, adapters: Sequence[int]) -> list[Scores]:
        """As ``PolymorphModel.tails``."""
        self.scores = self._scorer.scores(tokens)
        given = _logits(self.scores) * self._given["scale"] + self._given["shift"]
        return [
            sigmoid(given[adapter, list(self._contexts[adapter])].astype(np.float64)).astype(
                np.float32
            )
            for adapter in adapters
        ]


class AllLabelEngine:
    """An engine with one LoRA of all labels in place of the adapters.

    Args:
        name: what tables call it.
        baseline: the LoRA.
        source: the bundle and the device.
        make_policy: which of the contexts it answers for.
    """

    def __init__(
        self, name: str, baseline: TrainedBaseline, source: Source, make_policy: MakePolicy
    ) -> None:
        self.name = name
        model = source.model()
        self.answers = AllLabelAnswers(baseline, source, model.device)
        bundle = _with_thresholds(source.bundle, baseline)
        self.method = EngineMethod(name, model, bundle, make_policy, run_adapters=self.answers)

    def reset(self) -> None:
        self.method.reset()

    def label(self, frame: Frame, truth: NDArray[np.int8]) -> Labelled:
        said = self.method.label(frame, truth)
        adapters = ALL_LABELS if said.adapters else ()
        return replace(said, adapters=adapters, adapters_changed=False, result=None)


class RestrictedHead(AllLabelEngine):
    """The LoRA's own scores instead of the engine's beliefs; 0 for labels outside the cover."""

    def __init__(self, name: str, baseline: TrainedBaseline, source: Source) -> None:
        super().__init__(name, baseline, source, Policy)
        self._on = np.array(baseline.text.on)
        contexts = contexts_of(source.bundle)
        names = [context.name for context in source.bundle.manifest.contexts]
        self._labels_of = dict(zip(names, contexts, strict=True))

    def label(self, frame: Frame, truth: NDArray[np.int8]) -> Labelled:
        said = self.method.label(frame, truth)
        covered = np.zeros(len(said.scores), np.bool_)
        covered[[label for name in said.adapters for label in self._labels_of[name]]] = True
        scores = np.where(covered, self.answers.scores, np.float32(0))
        adapters = ALL_LABELS if said.adapters else ()
        return Labelled(scores, covered & (scores >= self._on), adapters, False, said.stage_seconds)


def _with_thresholds(bundle: Bundle, baseline: TrainedBaseline) -> Bundle:
    """The bundle with the baseline's thresholds on beliefs; those that cover labels stay."""
    if not baseline.text.belief_on:
        return bundle
    pairs = zip(baseline.text.belief_on, baseline.text.belief_off, strict=True)
    labels = tuple(
        label.model_copy(update={"on": on, "off": off})
        for label, (on, off) in zip(bundle.manifest.labels, pairs, strict=True)
    )
    return replace(bundle, manifest=bundle.manifest.model_copy(update={"labels": labels}))


def contexts_of(bundle: Bundle) -> tuple[tuple[int, ...], ...]:
    """For each context the vocabulary indices of its labels."""
    names = [label.name for label in bundle.manifest.labels]
    return tuple(
        tuple(names.index(label) for label in context.labels)
        for context in bundle.manifest.contexts
    )


def _logits(scores: Scores) -> Scores:
    return logit(scores.astype(np.float64)).astype(np.float32)


def _train_rank(inputs: Inputs, target: Path) -> TrainedBaseline:
    return _train(inputs.small, inputs, target)


def _train_size(inputs: Inputs, target: Path) -> TrainedBaseline:
    return _train(inputs.large, inputs, target)


def _train_larger(inputs: Inputs, target: Path) -> TrainedBaseline | None:
    """On the named backbone, else on one twice as wide as that which was trained from scratch."""
    own = inputs.config.backbone
    backbone: BackboneConfig
    if inputs.larger is not None:
        backbone = inputs.larger
    elif isinstance(own, PretrainConfig):
        twice = {"hidden_size": 2 * own.hidden_size, "heads": 2 * own.heads}
        backbone = own.model_copy(update=twice)
    else:
        inputs.runner.log("larger_backbone is left out: --larger-backbone has to name it")
        return None
    config = inputs.small.model_copy(update={"backbone": backbone})
    return _train(config, inputs, target, own=True)


def _train(
    config: TrainConfig, inputs: Inputs, target: Path, *, own: bool = False
) -> TrainedBaseline:
    """One LoRA of all labels, trained as the adapter of a context that has them all.

    Args:
        own: whether it is trained on another backbone than the bundle's. Only one on the
            bundle's may stand in for its adapters.
    """
    graph = TrainingGraph(config)
    features = graph.features(inputs.frames, inputs.runner)
    (stage,) = graph.adapters(features)
    folder = copy_weights(inputs.runner.make(stage).folder, target)
    if own:
        shutil.copytree(weights_folder(features.backbone), folder / OWN_BACKBONE)
    text = inputs.text(folder, "lora", graph.preprocessing, own=own, steps=stage.steps())
    tokens = features.validation.load(features.contexts).tokens
    scorer = Scorer(TrainedBaseline(folder, text), inputs.bundle, torch.device(features.device))
    scores = _scores(scorer, tokens)
    baseline = inputs.with_thresholds(folder, text, scores)
    if own:
        return baseline
    given = _given_context(_logits(scores), inputs.validation, inputs.bundle)
    save_file(given, folder / _GIVEN_FILE)
    return _with_belief_thresholds(baseline, inputs)


def _scores(scorer: Scorer, tokens: NDArray[np.float16]) -> NDArray[np.float32]:
    """Trunk tokens of frames, (frames, N, D), to the scores of each frame, (frames, labels)."""
    rows = []
    with progress_bar() as bars:
        task = bars.add_task("validation frames", total=len(tokens), note="")
        for row in range(len(tokens)):
            rows.append(scorer.scores(torch.from_numpy(tokens[row : row + 1].astype(np.float32))))
            bars.update(task, advance=1)
    return np.stack(rows)


def _given_context(logits: Scores, frames: LabelledFrames, bundle: Bundle) -> dict[str, Scores]:
    """Calibrate each label on the frames of each of the bundle's contexts that has it.

    An engine weighs scores by P(context): they have to hold given that the context is there.

    Returns:
        ``scale`` and ``shift`` of logits, float32 (contexts, labels): 1 and 0 for labels that are
        not the context's.
    """
    contexts = contexts_of(bundle)
    members = membership(contexts, len(bundle.manifest.labels))
    presence = np.concatenate([true_presence(track, members) for track in frames.tracks()])
    truth = np.asarray(frames.truth)
    scales, shifts = np.ones(members.shape, np.float32), np.zeros(members.shape, np.float32)
    for context, labels in enumerate(contexts):
        here, columns = presence[:, context] == 1, list(labels)
        scale, shift = platt(logits[here][:, columns], truth[here][:, columns])
        scales[context, columns], shifts[context, columns] = scale, shift
    return {"scale": scales, "shift": shifts}


def _with_belief_thresholds(baseline: TrainedBaseline, inputs: Inputs) -> TrainedBaseline:
    """The baseline with thresholds on what an engine with it believes of validation frames."""
    source = Source(inputs.bundle, inputs.features.device, baseline.folder.parent)
    frames = inputs.validation
    engine = AllLabelEngine("validation", baseline, source, AllAdapters).method.engine
    beliefs = np.stack([result.score_array for result in rehearse(engine, frames)])
    on, off = on_off(beliefs, np.asarray(frames.truth), frames.slices())
    thresholds = {"belief_on": tuple(on.tolist()), "belief_off": tuple(off.tolist())}
    return write_trained(baseline.folder, baseline.text.model_copy(update=thresholds))


RANK = Weights("lora", _train_rank)
SIZE = Weights("lora_same_size", _train_size)
LARGER = Weights("larger_backbone", _train_larger)


def _engine(weights: Weights, make_policy: MakePolicy) -> Callable[[str, Source], AllLabelEngine]:
    return lambda name, source: AllLabelEngine(name, source.trained(weights), source, make_policy)


def _restricted_head(name: str, source: Source) -> RestrictedHead:
    return RestrictedHead(name, source.trained(RANK), source)


def _frame_skip(name: str, source: Source) -> SingleFrameMethod:
    skip = source.bundle.manifest.reuse
    return SingleFrameMethod(name, source.trained(RANK), source, skip)


BASELINES = (
    Entry(
        "polymorph_all_label_weights",
        "same gating and cover, one all-label LoRA of the adapters' total size",
        _engine(SIZE, Policy),
        SIZE,
    ),
    Entry("all_label_lora", "one LoRA for all labels, an adapter's rank", single_frame(RANK), RANK),
    Entry(
        "all_label_lora_same_size",
        "one LoRA for all labels, of the adapters' total size",
        single_frame(SIZE),
        SIZE,
    ),
    Entry(
        "all_label_lora_belief",
        "that LoRA with Polymorph's belief and gating: the fair baseline",
        _engine(SIZE, AllAdapters),
        SIZE,
    ),
    Entry(
        "restricted_head",
        "all_label_lora, scores of active contexts only",
        _restricted_head,
        RANK,
    ),
    Entry("frame_skip", "all_label_lora, unchanged pictures skipped", _frame_skip, RANK),
    Entry(
        "larger_backbone",
        "the next larger backbone, one LoRA for all labels",
        single_frame(LARGER),
        LARGER,
    ),
)
