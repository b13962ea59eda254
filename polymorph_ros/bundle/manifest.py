"""The text of a bundle: what it is, what it names, and the checksum of every file in it."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

FORMAT_VERSION: Final = 2
MANIFEST_FILE = "manifest.json"
SCOUT_FILE = "scout.safetensors"
SCOUT_ADAPTER_FOLDER: Final = "scout"
UNKNOWN_SCENE_FILE = "unknown_scene.safetensors"
ADAPTER_CONFIG_FILE = "adapter_config.json"
ADAPTER_WEIGHTS_FILE = "adapter_model.safetensors"
HEAD_FILE = "head.safetensors"


AdapterType = Literal["float32", "float16", "int8"]
TailTokens = Literal["all", "pooled"]


class Strict(BaseModel):
    """Fields that do not change, and no others."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class BackboneEntry(Strict):
    """Where the frozen backbone is: a folder of the bundle, or a Hugging Face name."""

    source: Literal["bundle", "hub"]
    name: str = Field(min_length=1, description="folder inside the bundle, or the Hub name")
    revision: str | None = Field(None, description="Hub revision; none for a bundled backbone")


class Preprocessing(Strict):
    """How a picture becomes the backbone's input: squashed to a square, scaled, normalised."""

    size: int = Field(ge=8, le=4096, description="side of the input square, pixels")
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


class LabelEntry(Strict):
    """One label: its name, when it counts as active, and how it comes and goes."""

    name: str = Field(min_length=1)
    on: float = Field(gt=0, lt=1, description="active at or above this belief")
    off: float = Field(gt=0, lt=1, description="no longer active below this belief")
    cover: float = Field(gt=0, lt=1, description="in play (to be covered) at or above this belief")
    prior: float = Field(gt=0, lt=1, description="share of training time in which it is present")
    appear_hz: float = Field(gt=0, description="rate of appearing while absent, 1/s")
    vanish_hz: float = Field(gt=0, description="rate of vanishing while present, 1/s")

    @model_validator(mode="after")
    def _hysteresis(self) -> LabelEntry:
        if self.off > self.on:
            raise ValueError(f"label {self.name}: off ({self.off}) is above on ({self.on})")
        return self


class ContextEntry(Strict):
    """A group of labels served by one adapter, and the adapter's folder in the bundle."""

    name: str = Field(min_length=1)
    labels: tuple[str, ...] = Field(min_length=1)
    folder: str = Field(min_length=1)
    prior: float = Field(gt=0, lt=1, description="share of training time in which it is present")
    appear_hz: float = Field(gt=0, description="rate of appearing while absent, 1/s")
    vanish_hz: float = Field(gt=0, description="rate of vanishing while present, 1/s")
    reliability: tuple[float, ...] | None = Field(
        None, description="of the adapter's score of each label, 0 to 1; none: all count alike"
    )

    shares: tuple[float, ...] | None = Field(
        None, description="of each label's frames, those in which this context stands for it"
    )
    label_priors: tuple[float, ...] | None = Field(
        None, description="of this context's frames, the share that has each label"
    )

    @model_validator(mode="after")
    def _one_for_each_label(self) -> ContextEntry:
        for field in ("reliability", "shares", "label_priors"):
            values = getattr(self, field)
            if values is not None and len(values) != len(self.labels):
                raise ValueError(
                    f"context {self.name}: {len(values)} {field} of {len(self.labels)} labels"
                )
            if any(not 0 <= value <= 1 for value in values or ()):
                raise ValueError(f"context {self.name}: {field} outside 0 to 1")
        return self


class EvidenceEntry(Strict):
    """How much of the evidence counts that is not independent of other evidence."""

    context: float = Field(default=0.3, ge=0, le=1, description="of the scout's context scores")
    scout: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="of its score of a label that an adapter has scored too",
    )
    answers: float = Field(
        default=0.5, ge=0, le=1, description="of an adapter's answers for its context's presence"
    )
    cooccurrence: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="of what a frame's labels say of each other by their contexts",
    )


class OverTimeEntry(Strict):
    """Beliefs over time beside beliefs of single frames, on validation sequences held out."""

    used: bool = Field(description="false: every frame stands for itself")
    log_loss: float = Field(ge=0, description="of beliefs over time, nats per known label")
    log_loss_alone: float = Field(ge=0, description="of single frames")
    mean_ap: float | None = Field(ge=0, le=1, description="over time; none: no label was present")
    mean_ap_alone: float | None = Field(ge=0, le=1, description="of single frames")


class SingleContextEntry(Strict):
    """The bundle's contexts beside one of all labels, on validation frames."""

    used: bool = Field(description="true: the bundle has the one context")
    mean_ap: float = Field(ge=0, le=1, description="with the single context")
    mean_ap_several: float = Field(ge=0, le=1, description="with the contexts that were formed")
    adapters: float = Field(ge=0, description="per frame with several, of at most one with one")


class ReuseEntry(Strict):
    """When the last result may be reused for a picture that is nearly the same."""

    difference: float = Field(gt=0, le=255, description="largest change of a cell, grey levels")
    max_age_s: float = Field(gt=0, description="age up to which that was learned, seconds")
    pace: float = Field(ge=0, le=1, description="of label changes meanwhile, share of the usual")
    agreement: float = Field(gt=0, le=1, description="of label sets this alike, in validation")


class OperatingPoint(Strict):
    """One setting of all that trades accuracy for energy, with what it cost in validation."""

    max_adapters: int = Field(default=0, ge=0, description="per frame at most; 0: no limit")
    cover_shift: float = Field(
        default=0.0, ge=0, le=10, description="log-odds added to the cover thresholds"
    )
    reuse_scale: float = Field(
        default=1.0, ge=1, le=100, description="of the difference up to which results are reused"
    )
    every: int = Field(default=1, ge=1, le=100, description="each n-th frame is computed at most")
    size: int = Field(
        default=0, ge=0, le=4096, description="side of the input square, pixels; 0: the bundle's"
    )
    tail_tokens: TailTokens | None = Field(
        default=None, description="what the last K blocks get; none: as the bundle says"
    )
    trunk_work: float = Field(
        default=1.0, gt=0, description="multiply-adds of the trunk, beside the first point's"
    )
    adapter_work: float = Field(
        default=1.0, gt=0, description="of an adapter, beside the first point's"
    )
    adapters: float = Field(default=1.0, ge=0, description="mean per computed frame")
    computed: float = Field(default=1.0, gt=0, le=1, description="share of frames computed")
    mean_ap: float | None = Field(default=None, ge=0, le=1, description="none: not measured")

    @property
    def unlimited(self) -> bool:
        """Whether it saves nothing."""
        limits = (self.max_adapters, self.cover_shift, self.reuse_scale, self.every)
        return limits == (0, 0.0, 1.0, 1) and not self.size and not self.tail_tokens


class UnknownSceneEntry(Strict):
    """When a scene counts as unknown; the distance is that of UNKNOWN_SCENE_FILE."""

    threshold: float = Field(gt=0, description="unknown above this distance")
    false_alarms: float = Field(gt=0, lt=1, description="share of known frames above it")


class FileEntry(Strict):
    """A file of the bundle and its SHA-256."""

    path: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=0, description="bytes")

    @model_validator(mode="after")
    def _inside(self) -> FileEntry:
        path = PurePosixPath(self.path)
        if path.is_absolute() or ".." in path.parts or "\\" in self.path:
            raise ValueError(f"path {self.path!r} leaves the bundle")
        return self


class Manifest(Strict):
    """The whole text of a bundle."""

    format_version: Literal[2] = FORMAT_VERSION
    name: str = Field(min_length=1)
    description: str = ""
    backbone: BackboneEntry
    preprocessing: Preprocessing
    tail_blocks: int = Field(ge=1, description="the last K blocks, which have the adapters")
    tail_tokens: TailTokens = Field(
        default="all", description="what the last K blocks get: all tokens, or patches pooled 2 x 2"
    )
    adapter_type: AdapterType = Field(default="float32", description="of their stored weights")
    labels: tuple[LabelEntry, ...] = Field(min_length=1)
    contexts: tuple[ContextEntry, ...] = Field(min_length=1)
    correlation_s: float | None = Field(
        default=0.3,
        gt=0,
        description="how long the errors of scores stay correlated, seconds; none: for ever, so "
        "that earlier scores add nothing",
    )
    smoothing_s: float = Field(
        default=0.0, ge=0, description="time constant of the mean over scores, seconds; 0: none"
    )
    over_time: OverTimeEntry | None = Field(
        default=None, description="whether filtering pays; none: not compared"
    )
    single_context: SingleContextEntry | None = Field(
        default=None, description="whether several contexts pay; none: not compared"
    )
    evidence: EvidenceEntry = EvidenceEntry()
    scout_adapter: Literal["scout"] | None = Field(
        default=None, description="folder of the scout's own adapter; none: it reads the trunk only"
    )
    reuse: ReuseEntry | None = Field(default=None, description="none: nothing is reused")
    operating_points: tuple[OperatingPoint, ...] = Field(
        default=(), description="the first without limits; none: the governor's default"
    )
    operating_points_hz: float = Field(
        default=0.0, ge=0, description="frames per second that they were measured at; 0: unknown"
    )
    unknown_scene: UnknownSceneEntry | None = Field(
        default=None, description="none: unknown scenes are not detected"
    )
    metrics: dict[str, float] = Field(default_factory=dict, description="measured after training")
    files: tuple[FileEntry, ...]

    @model_validator(mode="after")
    def _consistent(self) -> Manifest:
        names = [label.name for label in self.labels]
        if len(set(names)) != len(names):
            raise ValueError("a label's name stands twice in the vocabulary")
        known = set(names)
        for context in self.contexts:
            foreign = [label for label in context.labels if label not in known]
            if foreign:
                raise ValueError(
                    f"context {context.name} has labels outside the vocabulary: {foreign}"
                )
            if len(set(context.labels)) != len(context.labels):
                raise ValueError(f"context {context.name} names a label twice")
        uncovered = known - {label for context in self.contexts for label in context.labels}
        if uncovered:
            raise ValueError(f"labels that no context serves: {sorted(uncovered)}")
        if self.operating_points and not self.operating_points[0].unlimited:
            raise ValueError("the first operating point has a limit")
        filtered = self.correlation_s is not None or self.smoothing_s > 0
        if self.over_time is not None and filtered and not self.over_time.used:
            raise ValueError("beliefs go over time, which over_time denies")
        if len({context.name for context in self.contexts}) != len(self.contexts):
            raise ValueError("a context's name stands twice")
        return self
