"""A result as the fields of the node's messages, in plain Python: for the node and for bags.

Each function gives all fields of its message but the header, which is the camera's own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from polymorph_ros.bundle.reader import Bundle
from polymorph_ros.interfaces.enumerations import ResultState
from polymorph_ros.runtime.result import FrameResult
from polymorph_ros.runtime.thresholds import Thresholds

Fields = dict[str, Any]


LABEL_FIELDS = ("id", "score", "active", "source", "age")
"""Of ``Label``, besides its name; scores in [0, 1], ages in seconds."""


def label_array(result: FrameResult) -> Fields:
    """``LabelArray`` without its labels, which ``labels`` gives."""
    return {
        "camera": result.camera,
        "state": int(result.state),
        "reason": result.reason,
        "novelty": result.unknown_scene.novelty,
        "trust": result.unknown_scene.trust,
    }


def whole_label_array(result: FrameResult) -> Fields:
    """``LabelArray`` with all its labels."""
    listed = [
        {"name": name, **dict(zip(LABEL_FIELDS, values, strict=True))}
        for name, values in zip(result.vocabulary, labels(result), strict=True)
    ]
    return {**label_array(result), "labels": listed}


def labels(
    result: FrameResult, *, active_only: bool = False
) -> Iterator[tuple[int, float, bool, int, float]]:
    """The ``LABEL_FIELDS`` of a ``LabelArray``'s labels, all in vocabulary order or the active.

    Tuples, because the node writes them into messages that it reuses, for every frame.
    """
    ids = np.array(result.active_indices, np.intp) if active_only else slice(None)
    places = np.arange(len(result.vocabulary))
    arrays = (places, result.score_array, result.active_mask, result.sources, result.ages_s)
    return zip(*(array[ids].tolist() for array in arrays), strict=True)


def no_data(camera: str, reason: str) -> Fields:
    """``LabelArray`` that says that there is no result, and why."""
    return {
        "camera": camera,
        "state": int(ResultState.NO_DATA),
        "reason": reason,
        "novelty": math.nan,
        "trust": 0.0,
        "labels": [],
    }


def context_state(result: FrameResult) -> Fields:
    """``ContextState``: which adapters ran, and why these."""
    cover = result.cover
    return {
        "camera": result.camera,
        "adapters": list(result.adapters),
        "adapter_ids": list(cover.adapters),
        "changed": cover.changed,
        "reason": cover.reason,
        "uncovered": list(result.uncovered),
    }


def energy_report(result: FrameResult) -> Fields:
    """``EnergyReport``: what nothing measures is NaN."""
    energy = result.energy
    return {
        "camera": result.camera,
        "source": energy.source.value,
        "joules": float(energy.joules),
        "joules_error": float(energy.joules_error),
        "joules_above_idle": float(energy.joules_above_idle),
        "idle_watts": float(energy.idle_watts),
        "mean_watts": float(energy.mean_watts),
        "total_joules": float(energy.total_joules),
        "frames": energy.frames,
        "adapters_run": len(result.cover.adapters),
        "stages": list(result.stage_seconds),
        "stage_seconds": [float(seconds) for seconds in result.stage_seconds.values()],
    }


def label_info(bundle: Bundle, threshold_shift: float = 0.0) -> Fields:
    """``LabelInfo``: what a bundle can name.

    Args:
        bundle: the bundle that runs.
        threshold_shift: log-odds added to every threshold.
    """
    manifest = bundle.manifest
    thresholds = Thresholds.of(manifest, threshold_shift)
    return {
        "bundle": manifest.name,
        "checksum": bundle.checksum,
        "labels": [label.name for label in manifest.labels],
        "on_thresholds": thresholds.on.tolist(),
        "off_thresholds": thresholds.off.tolist(),
        "contexts": [
            {"name": context.name, "labels": list(context.labels)} for context in manifest.contexts
        ],
    }
