"""Trunk and composed tails of a model, captured as CUDA graphs.

PyTorch's rules for CUDA graphs (its notes "CUDA semantics", section "CUDA Graphs"), and what meets
each; ``GraphedRun`` is in ``model/gpu.py``:

- Capture on a side stream, after warm-ups on a side stream: ``GraphedRun`` has one for each.
- One capture at a time in a process: a lock. Other threads go on, as capture is ``thread_local``.
- Nothing synchronises with the CPU, and no shape depends on data, within a capture: the path runs
  on meta tensors in ``test/model/test_capturable.py``, where both are errors.
- No control flow by data: adapters are chosen by an index that is an input; one capture per count.
- A replay reads and writes the same addresses: inputs are copied to fixed places; weights, stack
  and rotations live as long as the captured closure; another bundle is another object.
- Outputs are overwritten by the next replay: callers read them before, or copy them (``tails``).
- Captures that share a pool replay in the order of capture, or need none of each other's memory:
  a tails capture reads only its inputs, which lie outside of the pool, and of several goes of one
  frame each output is copied before the next.
- A shared pool never serves two replays at once: all engines of a process use the default stream.
- Captured work and work outside are ordered by the stream they are on: uploads, replays and
  downloads of a frame are all on the current stream of the calling thread.
- Random numbers and dropout would need registered generators: nothing here is random.
- Autocast must not cache casts: it is not used; a backend casts the weights once.
- A capture goes on using the working memory that cuBLAS has for its stream: nothing but captures
  is on that stream, so what runs meanwhile cannot write there.
- Data-parallel wrappers, autograd and CPU work are not captured: all is in inference mode.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from polymorph_ros.bundle.manifest import TailTokens
from polymorph_ros.model.backbone import Backbone
from polymorph_ros.model.bank import AdapterBank
from polymorph_ros.model.gpu import GraphedRun, PinnedUpload
from polymorph_ros.model.stack import AdapterStack
from polymorph_ros.model.tails import ComposedTails

MOST_SIDE_BY_SIDE = 32  # more active adapters run in several goes, in the same memory


class GraphedModel:
    """A model's trunk and its tails, as captured computations.

    The tails are captured once for each number of active adapters. Which adapters are active is
    data: their indices are uploaded with each frame, and the capture gathers them. These captures
    share their memory, which is all that they ever take.

    Args:
        backbone: on its device, as are all others.
        tails: its composed tails.
        bank: the adapters; they move into a stack. When one is added or replaced, a new object of
            this class is needed.
        tail_blocks: K.
        tail_tokens: what of the trunk's tokens the tails get.
        pixels: an example, float (1, 3, S, S).
    """

    def __init__(
        self,
        backbone: Backbone,
        tails: ComposedTails,
        bank: AdapterBank,
        tail_blocks: int,
        tail_tokens: TailTokens,
        pixels: Tensor,
    ) -> None:
        self.trunk = GraphedRun(lambda x: backbone.trunk(x, tail_blocks), pixels)
        stack = AdapterStack(bank.adapters, tail_blocks)
        bank.move(stack.adapters)
        self._labels = [len(adapter.head.bias) for adapter in stack.adapters]
        self._upload = PinnedUpload(stack.device)
        self._most = min(len(bank), MOST_SIDE_BY_SIDE)

        def run(tokens: Tensor, index: Tensor) -> Tensor:
            chosen = stack.gather(index)
            return chosen.logits(tails(backbone.tail_input(tokens, tail_tokens), chosen))

        tokens = self.trunk(pixels)
        pool: Any = torch.cuda.graph_pool_handle() if tokens.is_cuda else None
        # The largest first: all others fit into its memory.
        self._tails = {
            count: GraphedRun(run, tokens, torch.arange(count, device=tokens.device), pool=pool)
            for count in range(self._most, 0, -1)
        }

    def tails(self, tokens: Tensor, active: Sequence[int]) -> list[Tensor]:
        """Trunk tokens (1, N, D) to each active adapter's logits (labels of its context,).

        The next call may overwrite them.
        """
        logits: list[Tensor] = []
        for first in range(0, len(active), self._most):
            chosen = list(active[first : first + self._most])
            padded = self._tails[len(chosen)](tokens, self._upload(torch.tensor(chosen)))
            if len(active) > self._most:
                padded = padded.clone()  # the next go overwrites it
            rows = zip(padded, chosen, strict=True)
            logits += [row[: self._labels[index]] for row, index in rows]
        return logits
