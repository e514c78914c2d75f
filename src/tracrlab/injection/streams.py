"""A causal language model as residual streams: read and edited, with logits where needed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tracrlab.errors import TracrLabError

#: Where a supported architecture keeps its blocks, and the norm between attention and MLP.
_BLOCKS = {"gpt2": ("h", "ln_2"), "llama": ("layers", "post_attention_layernorm")}

Edit = Callable[[Tensor], Tensor]


@dataclass
class Run:
    """What a forward pass gave.

    Attributes:
      streams: the residual stream at each stage that was asked for [rows, positions, width].
      hidden: the final hidden state, behind the last norm [rows, positions, width].
    """

    streams: dict[int, Tensor]
    hidden: Tensor


class StreamModel(nn.Module):
    """Reads and edits the residual stream of a GPT-2 or Llama model.

    Padding on the right needs no mask, as attention is causal and nothing behind a padded position
    is read.

    Args:
      model: a ``PreTrainedModel`` with a language-model head.

    Raises:
      TracrLabError: if the architecture is another.
    """

    def __init__(self, model: nn.Module):
        super().__init__()
        kind = model.config.model_type
        if kind not in _BLOCKS:
            raise TracrLabError(
                f"the model is a {kind}; programs are injected into {' and '.join(_BLOCKS)} models."
            )
        self.model = model
        self._list, self._middle = _BLOCKS[kind]
        self._blocks = getattr(model.base_model, self._list)

    @property
    def layers(self) -> int:
        return len(self._blocks)

    @property
    def width(self) -> int:
        return self.model.config.hidden_size

    def forward(
        self,
        tokens: Tensor,
        keep: Collection[int] = (),
        edits: Mapping[int, Edit] | None = None,
    ) -> Run:
        """Runs the model without its head.

        Args:
          tokens: int64 [rows, positions], padded on the right with any token.
          keep: stages (0 to twice the layers) whose streams are kept, before they are edited.
          edits: by even stage, what becomes of the stream before the next block reads it.
        """
        edits = dict(edits or {})
        streams: dict[int, Tensor] = {}

        def visit(stage: int, stream: Tensor) -> Tensor:
            if stage in keep:
                streams[stage] = stream
            return edits[stage](stream) if stage in edits else stream

        with ExitStack() as hooks:
            for number, block in enumerate(self._blocks):
                if number == 0 and (0 in keep or 0 in edits):
                    hooks.callback(_before(block, 0, visit).remove)
                middle, after = 2 * number + 1, 2 * number + 2
                if middle in keep:
                    norm = getattr(block, self._middle)
                    hooks.callback(_before(norm, middle, visit).remove)
                if after in keep or after in edits:
                    hooks.callback(_after(block, after, visit).remove)
            output = self.model.base_model(input_ids=tokens, use_cache=False)
        return Run(streams, output.last_hidden_state)

    def resume(self, tokens: Tensor, stage: int, stream: Tensor) -> Run:
        """The end of a run: only the blocks behind a stage, and the one before it, are computed.

        Args:
          tokens: of the run.
          stage: an even one, behind a block.
          stream: what the blocks behind it read [rows, positions, width].
        """
        base, blocks, last = self.model.base_model, self._blocks, stage // 2 - 1
        setattr(base, self._list, blocks[last:])
        try:
            with ExitStack() as hooks:
                hooks.callback(_after(blocks[last], stage, lambda *_: stream).remove)
                output = base(input_ids=tokens, use_cache=False)
        finally:
            setattr(base, self._list, blocks)
        return Run({}, output.last_hidden_state)

    def logits(self, hidden: Tensor) -> Tensor:
        """The head on final hidden states [..., width]: logits [..., vocabulary]."""
        return self.model.get_output_embeddings()(hidden)

    def logits_of(self, hidden: Tensor, tokens: Tensor) -> Tensor:
        """Logits of a few tokens at each final hidden state, in float32.

        Args:
          hidden: [positions, width].
          tokens: int64 [positions, tokens].
        """
        rows = self.model.get_output_embeddings().weight[tokens].float()
        return torch.einsum("ptw,pw->pt", rows, hidden.float())

    def logits_at(self, run: Run, rows: Tensor, positions: Tensor) -> Tensor:
        """Logits at some positions only [positions, vocabulary]."""
        return self.logits(run.hidden[rows, positions])


def fastest_device() -> torch.device:
    """A GPU where there is one, else the processor."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _before(module: nn.Module, stage: int, visit: Callable[[int, Tensor], Tensor]):
    """Visits a module's first argument, whether it is given by position or by name."""

    def hook(_, args, kwargs):
        if args:
            return (visit(stage, args[0]), *args[1:]), kwargs
        return args, kwargs | {"hidden_states": visit(stage, kwargs["hidden_states"])}

    return module.register_forward_pre_hook(hook, with_kwargs=True)


def _after(module: nn.Module, stage: int, visit: Callable[[int, Tensor], Tensor]):
    def hook(_, __, output):
        if isinstance(output, torch.Tensor):
            return visit(stage, output)
        return (visit(stage, output[0]), *output[1:])

    return module.register_forward_hook(hook)
