"""A teacher in an ONNX file, run by ONNX Runtime (the extra ``onnx``)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from polymorph_ros.bundle.manifest import Preprocessing
from polymorph_ros.distillation.answers import FEATURE, LOGITS, PATCHES, Answers, as_grid
from polymorph_ros.distillation.config import OnnxTeacherConfig
from polymorph_ros.errors import PolymorphError


class OnnxTeacher:
    """Answers with the named outputs of an ONNX file.

    Raises:
        PolymorphError: ONNX Runtime is not installed, the file is no ONNX file, an output is not
            there (those that are, are listed), or its input is none of square RGB pictures.
    """

    def __init__(self, config: OnnxTeacherConfig, threads: int, device: str) -> None:
        self._where = f"teacher {config.onnx}"
        self._session = _session(config, threads, device)
        wanted = {PATCHES: config.outputs.patches, FEATURE: config.outputs.feature}
        wanted[LOGITS] = config.outputs.logits
        self._outputs = {kind: name for kind, name in wanted.items() if name}
        there = [output.name for output in self._session.get_outputs()]
        lacking = [name for name in self._outputs.values() if name not in there]
        if lacking:
            raise PolymorphError(
                f"outputs out of {', '.join(there)}", ", ".join(lacking), where=self._where
            )
        given = self._session.get_inputs()[0]
        self._input, shape = given.name, given.shape
        if len(self._session.get_inputs()) != 1 or len(shape) != 4 or shape[1] not in (3, None):
            raise PolymorphError(
                "one input of shape (n, 3, S, S)", f"{given.name} {shape}", where=self._where
            )
        fixed = shape[2] if isinstance(shape[2], int) else None
        self._most = shape[0] if isinstance(shape[0], int) else None
        self.preprocessing = Preprocessing(
            size=_side(config.image_size, fixed, self._where), mean=config.mean, std=config.std
        )

    def __call__(self, pixels: Tensor) -> Answers:
        step = self._most or len(pixels)
        found: dict[str, list[Any]] = {kind: [] for kind in self._outputs}
        for first in range(0, len(pixels), step):
            part = pixels[first : first + step].cpu().numpy()
            # A file may take batches of one size only: the last is filled up.
            filled = np.concatenate([part, np.repeat(part[-1:], step - len(part), axis=0)])
            values = self._session.run(list(self._outputs.values()), {self._input: filled})
            for kind, value in zip(self._outputs, values, strict=True):
                found[kind].append(value[: len(part)])
        arrays = {kind: np.concatenate(parts) for kind, parts in found.items()}
        return self._read({kind: torch.from_numpy(a).float() for kind, a in arrays.items()}, pixels)

    def _read(self, raw: dict[str, Tensor], pixels: Tensor) -> Answers:
        answers: dict[str, Tensor] = {}
        if PATCHES in raw:
            where = f"{self._where}, output {self._outputs[PATCHES]}"
            answers[PATCHES] = as_grid(raw[PATCHES], where).patches
            answers[FEATURE] = answers[PATCHES].mean(dim=(2, 3))
        answers |= {kind: raw[kind].flatten(1) for kind in (FEATURE, LOGITS) if kind in raw}
        return {kind: values.to(pixels.device) for kind, values in answers.items()}


def _session(config: OnnxTeacherConfig, threads: int, device: str) -> Any:
    try:
        import onnxruntime
    except ModuleNotFoundError:
        raise PolymorphError(
            "ONNX Runtime", "none", where=f"teacher {config.onnx}",
            remedy='pip install "polymorph_ros[onnx]"',
        ) from None  # fmt: skip
    if not config.onnx.is_file():
        raise PolymorphError("an ONNX file", "no such file", where=f"teacher {config.onnx}")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    there = onnxruntime.get_available_providers()
    wanted = ["CUDAExecutionProvider"] if device.startswith("cuda") else []
    providers = [name for name in (*wanted, "CPUExecutionProvider") if name in there]
    try:
        return onnxruntime.InferenceSession(str(config.onnx), options, providers=providers)
    except Exception as error:  # it raises classes of its own, which share no other base
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise PolymorphError(
            "an ONNX file that ONNX Runtime can run", reason, where=f"teacher {config.onnx}"
        ) from error


def _side(wanted: int | None, fixed: int | None, where: str) -> int:
    """The side of its pictures, pixels."""
    side = wanted or fixed
    if side is None:
        raise PolymorphError(
            "an input size", "none in the file", where=where, remedy="set teacher.image_size"
        )
    if fixed not in (None, side):
        raise PolymorphError(
            f"teacher.image_size {fixed}, which the file has", str(side), where=where
        )
    return side
