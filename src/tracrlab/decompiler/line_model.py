"""The thesis's meta-model: a causal GPT-2 that reads weight blocks and writes all lines at once.

Inverse Tracr, sections 5.1.2 and 5.2 and Figure 5.5: the blocks come first, then 17 program steps,
the first marked by a start flag. The outputs of the 15 steps after it go through five linear heads,
one for each slot of a line; the last step is the end. GPT-2 has no text embedding; all else is as
in `transformers`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from tracrlab.decompiler.program_encoding import MAX_LINES, SLOT_VOCABULARIES
from tracrlab.decompiler.weight_blocks import BLOCK, WIDTH
from tracrlab.errors import TracrLabError

#: Start, 15 lines, end.
PROGRAM_STEPS = MAX_LINES + 2


@dataclass(frozen=True)
class LineModelSettings:
    """Sizes of the thesis's meta-model.

    Attributes:
      width: of the hidden states.
      layers, heads: of GPT-2.
      max_blocks: the longest sequence of weight blocks.
      dropout: everywhere in GPT-2.
      log_weights: whether weights w enter as sign(w) log(1 + |w|). The thesis does not say how it
        scaled weights that reach into the hundreds; the raw ones are the other choice.
    """

    width: int = 128
    layers: int = 4
    heads: int = 4
    max_blocks: int = 96
    dropout: float = 0.1
    log_weights: bool = True


#: From 0.5M to 800M parameters. Those of 85M, 300M and 700M are GPT-2 small, medium and large,
#: which the thesis used, and which have 125M, 350M and 774M with text embeddings.
LINE_MODEL_SIZES: dict[str, LineModelSettings] = {
    "0.5M": LineModelSettings(96, 3, 4),
    "1M": LineModelSettings(128, 4, 4),
    "10M": LineModelSettings(320, 8, 5),
    "30M": LineModelSettings(512, 9, 8),
    "85M": LineModelSettings(768, 12, 12, max_blocks=1000),
    "300M": LineModelSettings(1024, 24, 16, max_blocks=1000),
    "700M": LineModelSettings(1280, 36, 20, max_blocks=1000),
    "800M": LineModelSettings(1280, 40, 20, max_blocks=1000),
}


class LineModel(nn.Module):
    """The thesis's meta-model."""

    def __init__(self, settings: LineModelSettings):
        # Its import takes seconds, and a folder of the other meta-model is loaded without it.
        from transformers import GPT2Config, GPT2Model

        super().__init__()
        self.settings = settings
        config = GPT2Config(
            vocab_size=1,
            n_positions=settings.max_blocks + PROGRAM_STEPS,
            n_embd=settings.width,
            n_layer=settings.layers,
            n_head=settings.heads,
            resid_pdrop=settings.dropout,
            embd_pdrop=settings.dropout,
            attn_pdrop=settings.dropout,
            use_cache=False,
            bos_token_id=0,
            eos_token_id=0,
        )
        self.embed = nn.Linear(WIDTH + 1, settings.width)
        self.body = GPT2Model(config)
        self.heads = nn.ModuleList(
            nn.Linear(settings.width, len(symbols)) for symbols in SLOT_VOCABULARIES
        )

    def forward(self, blocks: Tensor, mask: Tensor) -> list[Tensor]:
        """Logits of every slot.

        Args:
          blocks: float [batch, timesteps, WIDTH].
          mask: which timesteps are there, bool [batch, timesteps].

        Returns:
          for each of the five slots, logits [batch, 15, symbols of the slot].

        Raises:
          TracrLabError: if there are more timesteps than `max_blocks`.
        """
        batch, steps, _ = blocks.shape
        if steps > self.settings.max_blocks:
            raise TracrLabError(
                f"a model has {steps} weight blocks and the decompiler reads at most "
                f"{self.settings.max_blocks}; take a larger decompiler or a smaller model."
            )
        if self.settings.log_weights:
            weights, rest = blocks[..., :BLOCK], blocks[..., BLOCK:]
            blocks = torch.cat([weights.sign() * weights.abs().log1p(), rest], dim=-1)
        inputs = blocks.new_zeros(batch, steps + PROGRAM_STEPS, WIDTH + 1)
        inputs[:, :steps, :WIDTH] = blocks
        inputs[:, steps, WIDTH] = 1  # the start flag
        present = torch.cat([mask, mask.new_ones(batch, PROGRAM_STEPS)], dim=1)
        # Program steps stand at the same positions, whatever the padding of the batch.
        positions = torch.arange(steps + PROGRAM_STEPS, device=blocks.device)
        positions[steps:] += self.settings.max_blocks - steps
        hidden = self.body(
            inputs_embeds=self.embed(inputs),
            attention_mask=present.long(),
            position_ids=positions[None],
        ).last_hidden_state
        lines = hidden[:, steps + 1 : steps + 1 + MAX_LINES]
        return [head(lines) for head in self.heads]


def line_loss(logits: list[Tensor], lines: Tensor) -> Tensor:
    """The thesis's loss: the sum of five cross-entropies a line, averaged over lines.

    Args:
      logits: what `LineModel` gives.
      lines: the targets, int64 [batch, 15, 5].

    Returns:
      a scalar, over the lines of each program and the first one after it, all NA, which says that
      the program has ended.
    """
    used = lines.any(dim=2)
    counted = used.clone()
    counted[:, 0] = True
    counted[:, 1:] |= used[:, :-1]
    total = sum(
        functional.cross_entropy(slot.transpose(1, 2), lines[..., number], reduction="none")
        for number, slot in enumerate(logits)
    )
    return (total * counted).sum() / counted.sum()


def predicted_lines(logits: list[Tensor]) -> Tensor:
    """The likeliest symbols, int64 [batch, 15, 5]; 0 from the first line without an op."""
    lines = torch.stack([slot.argmax(dim=-1) for slot in logits], dim=-1)
    going_on = (lines[..., 0] > 0).long().cumprod(dim=1)
    return lines * going_on[..., None]
