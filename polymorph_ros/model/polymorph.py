"""The model of a bundle on a device: every stage of a frame that runs on tensors."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from polymorph_ros.bundle.manifest import Manifest, TailTokens
from polymorph_ros.bundle.reader import Bundle
from polymorph_ros.data.vocabulary import Vocabulary
from polymorph_ros.errors import PolymorphError
from polymorph_ros.model.adapter import AdapterWeights, read_adapter
from polymorph_ros.model.adapter_cost import relative_costs
from polymorph_ros.model.backbone import Backbone, load_backbone
from polymorph_ros.model.backend import Backend, use_backend
from polymorph_ros.model.bank import AdapterBank
from polymorph_ros.model.cuda_graphs import GraphedModel
from polymorph_ros.model.gpu import GraphedRun, choose_device, use_device
from polymorph_ros.model.preprocess import Preprocessor
from polymorph_ros.model.scout import Scout
from polymorph_ros.model.tails import ComposedTails
from polymorph_ros.model.tensor_file import read_tensors
from polymorph_ros.model.thumbnail import thumbnails
from polymorph_ros.model.unknown_scene import FeatureStatistics, pooled

_log = logging.getLogger(__name__)

Scores = NDArray[np.float32]
_Compute = Callable[[Tensor], Tensor]


class PolymorphModel:
    """Trunk, scout and composed tails of one bundle, for one thread at a time.

    Attributes:
        labels: the vocabulary.
        contexts: for each adapter, the vocabulary indices of its context's labels.
        context_names: the names of the contexts.
        device: where it runs.
        costs: what running each adapter costs, in units of an average one, shape (contexts,).
    """

    def __init__(
        self,
        manifest: Manifest,
        backbone: Backbone,
        scout: Scout,
        adapters: Sequence[AdapterWeights],
        statistics: FeatureStatistics | None = None,
        scout_adapter: AdapterWeights | None = None,
    ) -> None:
        vocabulary = Vocabulary(tuple(label.name for label in manifest.labels))
        self.labels = vocabulary.names
        self.contexts = tuple(vocabulary.ids_of(context.labels) for context in manifest.contexts)
        self.context_names = tuple(context.name for context in manifest.contexts)
        self.device = backbone.device
        self._tail_blocks = manifest.tail_blocks
        self._tail_tokens = manifest.tail_tokens
        self._backbone = backbone
        self._scout = scout.to(self.device)
        self._feature_statistics = statistics.to(self.device) if statistics else None
        self._preprocessing = manifest.preprocessing
        self._preprocessors: dict[int, Preprocessor] = {}
        self._bank = AdapterBank(adapters, manifest.tail_blocks, self.device, backbone.dtype)
        self._tails = ComposedTails(backbone, manifest.tail_blocks)
        scout_tail: _Compute | None = None
        if scout_adapter is not None:
            own = AdapterBank([scout_adapter], manifest.tail_blocks, self.device, backbone.dtype)
            chosen, tails, which = own.select((0,)), self._tails, self._tail_tokens
            scout_tail = lambda tokens: chosen.logits(  # noqa: E731
                tails(backbone.tail_input(tokens, which), chosen)
            )[0]
        self._scout_scores = _scout_scores(self._scout, scout_tail)
        self._graphs: GraphedModel | None = None  # for pictures of the bundle's size only
        self._graphed_scout_scores: GraphedRun | None = None
        self._usual_tokens, count = self.token_counts()
        self.costs = relative_costs(self._tails.work(count), self._bank.adapters)

    @torch.inference_mode()
    def token_counts(self, size: int = 0, tail_tokens: TailTokens | None = None) -> tuple[int, int]:
        """How many tokens the trunk makes of a picture, and how many the tails get.

        Args:
            size: side of the square, pixels; 0 for the bundle's.
            tail_tokens: what the tails get; none: as the bundle says.
        """
        side = size or self._preprocessing.size
        black = torch.zeros(1, 3, side, side, device=self.device)
        tokens = self._backbone.trunk(black, self._tail_blocks)
        inputs = self._backbone.tail_input(tokens, tail_tokens or self._tail_tokens)
        return tokens.shape[1], inputs.shape[1]

    @property
    def smaller_sizes(self) -> tuple[int, ...]:
        """Picture sizes of about 3/4 and 1/2 of the bundle's that the backbone takes, pixels."""
        step = self._backbone.patch_size
        steps = self._preprocessing.size // step
        tried = sorted({round(steps * part) for part in (0.75, 0.5)}, reverse=True)
        return tuple(step * one for one in tried if 2 <= one < steps)

    @classmethod
    def from_bundle(
        cls, bundle: Bundle, device: str = "auto", backend: Backend = "float32"
    ) -> PolymorphModel:
        """Builds the model; checks that all parts fit each other.

        A backbone that the bundle only names must already be in the local Hugging Face cache:
        nothing is downloaded here.

        Args:
            bundle: as ``read_bundle`` returns it.
            device: as ``choose_device`` takes it; a GPU of a number becomes this thread's own.
            backend: what trunk and tails compute in; the scout computes in float32.

        Raises:
            PolymorphError: the device is not there or does not run the backend, or a part does
                not fit.
        """
        chosen = choose_device(device)
        use_device(chosen)
        manifest = bundle.manifest
        backbone = load_backbone(
            bundle.backbone_location, manifest.backbone.revision, download=False
        )
        _check_size(manifest, backbone)
        scout = Scout.from_tensors(read_tensors(bundle.scout_file), str(bundle.scout_file))
        _check_scout(manifest, backbone, scout, str(bundle.scout_file))
        adapters = [
            _read_with_rows(bundle, bundle.adapter_folder(index), backbone, len(context.labels))
            for index, context in enumerate(manifest.contexts)
        ]
        statistics = None
        if manifest.unknown_scene:
            file = bundle.unknown_scene_file
            tensors = read_tensors(file)
            width = backbone.token_size(manifest.tail_blocks)
            statistics = FeatureStatistics.from_tensors(tensors, width, file)
        scout_adapter = _read_scout_adapter(bundle, backbone)
        use_backend(backbone.to(chosen), manifest.tail_blocks, backend)
        return cls(manifest, backbone, scout, adapters, statistics, scout_adapter)

    @torch.inference_mode()
    def preprocess(self, image: NDArray[np.uint8], size: int = 0) -> Tensor:
        """A picture, uint8 RGB (H, W, 3), to pixels (1, 3, S, S) on the device.

        Args:
            size: S, a multiple of the backbone's ``patch_size``; 0 for the bundle's.
        """
        size = size or self._preprocessing.size
        if size not in self._preprocessors:
            wanted = self._preprocessing.model_copy(update={"size": size})
            self._preprocessors[size] = Preprocessor(wanted, self.device)
        return self._preprocessors[size](image)

    @torch.inference_mode()
    def thumbnail(self, pixels: Tensor) -> Scores:
        """Pixels (1, 3, S, S) to what pictures are compared by: float32, grey levels of 255."""
        return thumbnails(pixels, self._preprocessing.std)[0].cpu().numpy()

    @torch.inference_mode()
    def trunk(self, pixels: Tensor) -> Tensor:
        """Pixels (1, 3, S, S) to tokens (1, N, D); on a GPU the next call may overwrite them."""
        if self._graphs is not None and pixels.shape[-1] == self._preprocessing.size:
            return self._graphs.trunk(pixels)
        return self._backbone.trunk(pixels, self._tail_blocks)

    @torch.inference_mode()
    def scout(self, tokens: Tensor) -> tuple[Scores, Scores]:
        """Tokens (1, N, D) to P(label), shape (V,), and P(context), shape (C,)."""
        graphed = self._graphed_scout_scores if self._is_usual(tokens) else None
        scores = (graphed or self._scout_scores)(tokens).cpu().numpy()
        return scores[: len(self.labels)], scores[len(self.labels) :]

    @torch.inference_mode()
    def pooled_feature(self, tokens: Tensor) -> Scores:
        """The feature of tokens (1, N, D) that views are compared by: float32 (2D,)."""
        return pooled(tokens.float())[0].cpu().numpy()

    @torch.inference_mode()
    def feature_distance(self, tokens: Tensor) -> Tensor | None:
        """How far tokens (1, N, D) are from those of training; None without statistics.

        Returns:
            float (1,) on the device.
        """
        statistics = self._feature_statistics
        return None if statistics is None else statistics.distance(tokens.float())

    def _is_usual(self, tokens: Tensor) -> bool:
        """Whether tokens (1, N, D) are of a picture of the bundle's size."""
        return tokens.shape[1] == self._usual_tokens

    @torch.inference_mode()
    def tails(
        self, tokens: Tensor, adapters: Sequence[int], tail_tokens: TailTokens | None = None
    ) -> list[Scores]:
        """Runs the given adapters side by side on the trunk's tokens (1, N, D).

        Args:
            tail_tokens: what of them the tails get; none: as the bundle says.

        Returns:
            for each given adapter P(label | its context is present), in its context's label order.
        """
        if not adapters:
            return []
        which = tail_tokens or self._tail_tokens
        if self._graphs is not None and which == self._tail_tokens and self._is_usual(tokens):
            logits = self._graphs.tails(tokens, adapters)
        else:
            chosen = self._bank.select(adapters)
            inputs = self._backbone.tail_input(tokens, which)
            logits = chosen.logits(self._tails(inputs, chosen))
        scores = torch.cat(logits).float().sigmoid().cpu().numpy()
        ends = np.cumsum([len(row) for row in logits])[:-1]
        return np.split(scores, ends)

    def run_trunk_once(self) -> Tensor:
        """The tokens of a black picture: most of what a frame costs, for timing and warming."""
        return self.trunk(self.preprocess(np.zeros((48, 64, 3), np.uint8)))

    def warm(self) -> None:
        """Runs every path once, so that the first frame costs no more than the others."""
        if self.device.type == "cuda" and self._graphs is None:
            self._capture()
        tokens = self.run_trunk_once()
        self.feature_distance(tokens)
        self.scout(tokens)
        for count in (len(self.contexts), 1):
            self.tails(tokens, range(count))

    @torch.inference_mode()
    def _capture(self) -> None:
        """Captures trunk and tails as CUDA graphs; where that fails, logs it and does without."""
        pixels = self.preprocess(np.zeros((48, 64, 3), np.uint8))
        try:
            self._graphs = GraphedModel(
                *(self._backbone, self._tails, self._bank),
                *(self._tail_blocks, self._tail_tokens, pixels),
            )
            tokens = self._graphs.trunk(pixels)
            self._graphed_scout_scores = GraphedRun(self._scout_scores, tokens)
        except RuntimeError as error:
            _log.warning("no CUDA graphs: %s", str(error).splitlines()[0])


def _scout_scores(scout: Scout, tail: _Compute | None) -> _Compute:
    """Tokens (1, N, D) to P(label), then P(context), float32 (V + C,).

    Args:
        tail: the scout adapter's, if there is one: tokens to logits (V + C,), labels in
            vocabulary order, then contexts.
    """

    def scores(tokens: Tensor) -> Tensor:
        labels, contexts = scout(tokens.float())
        logits = torch.cat([labels[0], contexts[0]])
        return (logits if tail is None else logits + tail(tokens).float()).sigmoid()

    return scores


def _check_size(manifest: Manifest, backbone: Backbone) -> None:
    size, patch = manifest.preprocessing.size, backbone.patch_size
    if size % patch:
        raise PolymorphError(
            f"an input size divisible by the backbone's patch size {patch}",
            str(size),
            where="preprocessing.size of the manifest",
        )


def _check_scout(manifest: Manifest, backbone: Backbone, scout: Scout, where: str) -> None:
    width = backbone.token_size(manifest.tail_blocks)
    expected = (width, len(manifest.labels), len(manifest.contexts))
    found = (scout.dim, scout.num_labels, scout.num_contexts)
    if expected != found:
        names = "token length {}, {} labels and {} contexts"
        raise PolymorphError(names.format(*expected), names.format(*found), where=where)


def _read_scout_adapter(bundle: Bundle, backbone: Backbone) -> AdapterWeights | None:
    folder = bundle.scout_adapter_folder
    rows = len(bundle.manifest.labels) + len(bundle.manifest.contexts)
    what = "labels and contexts"
    return None if folder is None else _read_with_rows(bundle, folder, backbone, rows, what)


def _read_with_rows(
    bundle: Bundle, folder: Path, backbone: Backbone, rows: int, what: str = "labels"
) -> AdapterWeights:
    """An adapter whose head has a row for each of ``what``."""
    adapter = read_adapter(folder, backbone, bundle.manifest.tail_blocks)
    found = len(adapter.head_bias)
    if found != rows:
        raise PolymorphError(f"a head for {rows} {what}", f"one for {found}", where=str(folder))
    return adapter
