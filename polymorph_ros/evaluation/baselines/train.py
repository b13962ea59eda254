"""Train the baselines of a bundle, from the configuration that the bundle was trained from.

All see the bundle's training frames and take as many gradient steps of the same batch size as all
of its adapters together (up to half an epoch). Learning rate and decay are the adapters' own
(a tenth of the rate for the whole backbone); nothing is tuned for any of them, nor for Polymorph.
With the work folder of the bundle's own training, frames and tokens are found.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file

from polymorph_ros.bundle.manifest import ADAPTER_WEIGHTS_FILE, Preprocessing
from polymorph_ros.bundle.reader import Bundle, file_sha256
from polymorph_ros.contexts.cost import membership
from polymorph_ros.contexts.presence import true_presence
from polymorph_ros.errors import PolymorphError
from polymorph_ros.evaluation.baselines.files import (
    GIVEN_FILE,
    OWN_BACKBONE,
    Baseline,
    BaselineText,
    GivenContext,
    write_baseline,
    write_given_context,
)
from polymorph_ros.evaluation.baselines.scorer import Scorer, logits_of, sigmoid
from polymorph_ros.evaluation.baselines.stages import (
    LOGITS_FILE,
    FullFinetuneStage,
    LinearProbeStage,
)
from polymorph_ros.progress import progress_bar
from polymorph_ros.training.artifacts import SUMS_FILE, Stage, make, sole_use
from polymorph_ros.training.calibration import fold_into_head, platt
from polymorph_ros.training.config import HubBackboneConfig, PretrainConfig, TrainConfig
from polymorph_ros.training.frames import (
    LabelledFrames,
    count_frames,
    load_about,
    load_frames,
    vocabulary_of,
)
from polymorph_ros.training.graph import Frames, TrainingGraph
from polymorph_ros.training.loop import Schedule, set_up_torch
from polymorph_ros.training.pipeline import Runner
from polymorph_ros.training.stages.backbone import weights_folder
from polymorph_ros.training.stages.thresholds import on_alone, on_off
from polymorph_ros.training.token_set import Features

TRAINED = ("lora", "lora_same_size", "linear_probe", "full_finetune", "larger_backbone")

Say = Callable[[str], None]
Beliefs = Callable[[Baseline, LabelledFrames], NDArray[np.float32]]


@dataclass(frozen=True)
class _Given:
    """What all baselines are trained from.

    Attributes:
        steps: of all of the bundle's adapters together.
        small, large: configurations of a LoRA of an adapter's rank, and of all adapters' size.
    """

    config: TrainConfig
    bundle: Bundle
    frames: Frames
    features: Features
    steps: int
    small: TrainConfig
    large: TrainConfig
    work: Path
    say: Say

    @property
    def validation(self) -> LabelledFrames:
        """The frames on which everything is calibrated."""
        return load_frames(self.features.validation.frames.folder)


def train_baselines(
    config: TrainConfig,
    bundle: Bundle,
    out: Path,
    work: Path,
    beliefs: Beliefs,
    say: Say,
    *,
    larger: str = "",
    names: Sequence[str] = TRAINED,
) -> None:
    """Train baselines into folders below ``out``; what an earlier run made stays.

    Args:
        config: the bundle's own.
        bundle: whose vocabulary, contexts and backbone they share.
        work: where stages keep what they made; with the bundle's own, frames and tokens are found.
        beliefs: an engine's beliefs of frames, with a baseline's scores in place of the adapters'.
        say: takes a line on what was done.
        larger: the next larger backbone's Hub name. Without it, a backbone that was trained from
            scratch is made twice as wide, and for any other this baseline is left out.
        names: which to train, of ``TRAINED``.

    Raises:
        PolymorphError: the configuration is not this bundle's.
    """
    with sole_use(work):
        given = _given(config, bundle, work, say)
        say(f"{given.steps} gradient steps for each baseline, as many as all adapters together")
        for name in names:
            if name == "larger_backbone" and not _has_larger(config, larger):
                say("larger_backbone is left out: --larger-backbone has to name it")
                continue
            baseline = _train(name, given, out, larger)
            if (baseline.folder / GIVEN_FILE).is_file():
                frames = given.validation
                on, off = on_off(
                    beliefs(baseline, frames), np.asarray(frames.truth), frames.slices()
                )
                told = {"belief_on": tuple(on.tolist()), "belief_off": tuple(off.tolist())}
                write_baseline(baseline.folder, baseline.text.model_copy(update=told))
            say(f"{baseline.folder}: {baseline.text.parameters} trained parameters")


def _given(config: TrainConfig, bundle: Bundle, work: Path, say: Say) -> _Given:
    set_up_torch(config.threads)
    graph, runner = TrainingGraph(config), Runner(work, say)
    frames = graph.frames(runner)
    features = graph.features(frames, runner)
    _check_same(bundle, features)
    steps, contexts = graph.lora_steps(features), len(graph.adapters(features))
    small, large = (one_lora(config, frames, steps, factor) for factor in (1, contexts))
    return _Given(config, bundle, frames, features, steps, small, large, work, say)


def one_lora(config: TrainConfig, frames: Frames, steps: int, factor: int) -> TrainConfig:
    """The configuration of one adapter for all labels, trained as long as a bundle.

    Everything else is the same: backbone, frames, calibration.

    Args:
        config: the bundle's.
        steps: gradient steps of all LoRAs of the bundle together; up to half an epoch is lost.
        factor: of the rank: 1, or the number of contexts for the size of all adapters.
    """
    labels, own = vocabulary_of(frames.train), config.adapters
    per_epoch = Schedule.of(own, config.seed).per_epoch(count_frames(frames.train))
    adapters = own.model_copy(
        update={
            "rank": own.rank * factor,
            "alpha": own.alpha * factor,
            "others": 1.0,
            "epochs": max(1, round(steps / per_epoch)),
        }
    )
    contexts = config.contexts.model_copy(update={"count": 1, "labels_per_context": len(labels)})
    return config.model_copy(update={"adapters": adapters, "contexts": contexts})


def _check_same(bundle: Bundle, features: Features) -> None:
    labels = tuple(label.name for label in bundle.manifest.labels)
    same = load_about(features.train.frames.folder).vocabulary == labels
    if same and bundle.manifest.backbone.source == "bundle":
        weights = "model.safetensors"
        mine = file_sha256(weights_folder(features.backbone) / weights)
        same = mine == file_sha256(Path(bundle.backbone_location) / weights)
    if not same:
        raise PolymorphError(
            "the configuration that this bundle was trained from",
            "one that leads to another vocabulary or backbone",
            where=str(bundle.path),
        )


def _train(name: str, given: _Given, out: Path, larger: str) -> Baseline:
    """Train a baseline unless it is kept, put it into its folder, calibrate it."""
    if name in ("linear_probe", "full_finetune"):
        return _plain(name, given, out / name)
    if name == "larger_backbone":
        config = given.small.model_copy(update={"backbone": _larger(given.config, larger)})
        return _lora(config, given, out / name, own=True)
    config = given.small if name == "lora" else given.large
    return _lora(config, given, out / name, own=False)


def _lora(config: TrainConfig, given: _Given, target: Path, *, own: bool) -> Baseline:
    """One LoRA of all labels, trained as the adapter of a context that has them all."""
    graph, runner = TrainingGraph(config), Runner(given.work, given.say)
    features, preprocessing = graph.features(given.frames, runner), graph.preprocessing
    (stage,) = graph.adapters(features)
    folder = _copy(runner.make(stage).folder, target)
    if own:
        shutil.copytree(weights_folder(features.backbone), folder / OWN_BACKBONE)
    text = _text(given, folder, "lora", preprocessing, own=own, steps=stage.steps())
    tokens = features.validation.load(features.contexts)
    scores = _scores(
        Scorer(Baseline(folder, text), given.bundle, torch.device("cpu")), tokens.tokens
    )
    if not own:
        calibrated = _given_context(logits_of(scores), given.validation, given.bundle)
        write_given_context(folder, calibrated)
    return _with_thresholds(folder, text, scores, given)


def _scores(scorer: Scorer, tokens: NDArray[np.float16]) -> NDArray[np.float32]:
    rows = []
    with progress_bar() as bars:
        task = bars.add_task("validation frames", total=len(tokens), note="")
        for row in range(len(tokens)):
            rows.append(scorer.scores(torch.from_numpy(tokens[row : row + 1].astype(np.float32))))
            bars.update(task, advance=1)
    return np.stack(rows)


def _plain(name: str, given: _Given, target: Path) -> Baseline:
    """A baseline without LoRA: a head on the frozen backbone, or the whole backbone."""
    features, adapters = given.features, given.small.adapters
    own = name == "full_finetune"
    stage: Stage
    if own:
        stage = FullFinetuneStage(
            adapters,
            features.backbone,
            features.preprocessing,
            features.train.frames,
            features.validation.frames,
            given.config.seed,
            given.config.threads,
        )
    else:
        stage = LinearProbeStage(
            adapters,
            features.backbone,
            features.train,
            features.validation,
            features.contexts,
            given.config.seed,
            given.config.threads,
        )
    kept = make(stage, given.work, given.say)
    folder = _copy(kept.folder, target)
    steps = Schedule.of(adapters, given.config.seed).steps(count_frames(features.train.frames))
    text = _text(given, folder, "plain", features.preprocessing, own=own, steps=steps)
    raw = np.load(kept.folder / LOGITS_FILE)
    scale, shift = platt(raw, np.asarray(given.validation.truth))
    fold_into_head(folder, scale, shift)
    return _with_thresholds(folder, text, sigmoid(raw * scale + shift), given)


def _has_larger(config: TrainConfig, name: str) -> bool:
    return bool(name) or isinstance(config.backbone, PretrainConfig)


def _larger(config: TrainConfig, name: str) -> PretrainConfig | HubBackboneConfig:
    """The next larger backbone: the named one, else one twice as wide as that from scratch."""
    own = config.backbone
    if name or not isinstance(own, PretrainConfig):
        return HubBackboneConfig.model_validate({"hub": name})
    return own.model_copy(update={"hidden_size": 2 * own.hidden_size, "heads": 2 * own.heads})


def _copy(made: Path, target: Path) -> Path:
    """A stage's weights in the baseline's folder; an older baseline goes."""
    shutil.rmtree(target, ignore_errors=True)
    left = shutil.ignore_patterns(SUMS_FILE, LOGITS_FILE)
    shutil.copytree(made, target, ignore=left)
    return target


def _text(
    given: _Given,
    folder: Path,
    form: Literal["lora", "plain"],
    preprocessing: Preprocessing,
    *,
    own: bool,
    steps: int,
) -> BaselineText:
    labels = tuple(label.name for label in given.bundle.manifest.labels)
    return BaselineText(
        form=form,
        backbone="own" if own else "bundle",
        preprocessing=preprocessing,
        tail_blocks=given.config.adapters.tail_blocks,
        labels=labels,
        on=(0.5,) * len(labels),
        steps=steps,
        parameters=_trained(folder),
    )


def _with_thresholds(
    folder: Path, text: BaselineText, scores: NDArray[np.float32], given: _Given
) -> Baseline:
    """The on-thresholds with the best F1 of single validation frames: nothing holds a label on."""
    on = on_alone(scores, np.asarray(given.validation.truth))
    return write_baseline(folder, text.model_copy(update={"on": tuple(on.tolist())}))


def _given_context(
    logits: NDArray[np.float32], frames: LabelledFrames, bundle: Bundle
) -> GivenContext:
    """Calibrate each label on the frames of each of the bundle's contexts that has it.

    An engine weighs scores by P(context): they have to hold given that the context is there.
    """
    names = [label.name for label in bundle.manifest.labels]
    contexts = tuple(
        tuple(names.index(label) for label in context.labels)
        for context in bundle.manifest.contexts
    )
    members = membership(contexts, len(names))
    presence = np.concatenate([true_presence(track, members) for track in frames.tracks()])
    truth = np.asarray(frames.truth)
    given = GivenContext(np.ones(members.shape, np.float32), np.zeros(members.shape, np.float32))
    for context, labels in enumerate(contexts):
        here, columns = presence[:, context] == 1, list(labels)
        scale, shift = platt(logits[here][:, columns], truth[here][:, columns])
        given.scale[context, columns], given.shift[context, columns] = scale, shift
    return given


def _trained(folder: Path) -> int:
    """Numbers in the baseline's own weights; those of a frozen backbone are not among them."""
    lora = (folder / ADAPTER_WEIGHTS_FILE).is_file()
    files = [
        file
        for file in folder.rglob("*.safetensors")
        if not (lora and file.parent.name == OWN_BACKBONE)
    ]
    return sum(int(tensor.size) for file in files for tensor in load_file(file).values())
