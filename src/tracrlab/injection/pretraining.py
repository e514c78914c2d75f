"""Pretraining of `tiny`, a small GPT-2 with GPT-2's own tokenizer, on embedded text.

The vocabulary is most of the work: 50,257 logits at each position cost several times what the
blocks do. Training therefore estimates the normaliser of the softmax from tokens drawn anew at each
step (importance sampling, as in Bengio and Senecal 2008); the reported perplexity is that of the
full softmax.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerBase

from tracrlab.checkpoint_files import remove_checkpoint
from tracrlab.errors import TracrLabError
from tracrlab.folders import atomic_folder
from tracrlab.injection.base_models import gpt2_tokenizer
from tracrlab.injection.checkpoint import array_digest, load_checkpoint, save_checkpoint
from tracrlab.injection.evaluation import require_finite
from tracrlab.injection.streams import fastest_device
from tracrlab.injection.text import load_text, part_documents, token_windows
from tracrlab.muon import MuonAdamW, block_matrices
from tracrlab.progress import progress
from tracrlab.sections.injection import TinyConfig
from tracrlab.stopping import StoppedError, stopping

#: Share of the drawn tokens that are uniform over the vocabulary; the others are as in the text.
UNIFORM = 0.5
#: Standard deviation of the first embeddings. GPT-2's 0.02 is for a width of 768; a stream of 128
#: gives a rare token, whose embedding hardly moves, no more logit than its length.
EMBEDDING_EXTENT = 0.05
#: Of AdamW, for a run of a few hundred steps.
BETAS = (0.9, 0.95)


@dataclass(frozen=True)
class Corpus:
    """Token windows of all texts.

    Attributes:
      train: shuffled, int64 [windows, window].
      held_out: by text, int64 [windows, window].
      counts: how often each token occurs in `train`, int64 [vocabulary].
    """

    train: np.ndarray
    held_out: dict[str, np.ndarray]
    counts: np.ndarray


def pretrain(config: TinyConfig, seed: int, folder: Path, tables: Sequence[Path] = ()) -> None:
    """Pretrains the model, or goes on from its checkpoint, and saves it with its tokenizer.

    Args:
      config: sizes, texts and schedule.
      seed: of the weights and of all order.
      folder: for the model, an ordinary Hugging Face folder.
      tables: where to write the held-out perplexity (.csv, .md).
    """
    from tracrlab.tables import write_tables

    tokenizer = gpt2_tokenizer()
    corpus = load_corpus(tokenizer, config, seed)
    model = new_model(config, seed, tokenizer)
    checkpoint = Path(folder).with_name(f"{Path(folder).name}.checkpoint.safetensors")
    train(model, corpus, config, seed, checkpoint)
    table = perplexity_table(model, corpus, config)
    print(table.to_string(index=False), flush=True)
    save(model, tokenizer, folder)
    write_tables(table, tables)
    remove_checkpoint(checkpoint)


def load_corpus(tokenizer: PreTrainedTokenizerBase, config: TinyConfig, seed: int) -> Corpus:
    """Cuts every configured text into windows, held-out documents apart."""
    train, held_out = [], {}
    for name in config.text:
        documents, held = part_documents(load_text(name))
        train.append(token_windows(tokenizer, documents, config.context, seed))
        windows = token_windows(tokenizer, held, config.context, seed)
        held_out[name] = windows[: config.held_out_windows]
    windows = np.random.default_rng(seed).permutation(np.concatenate(train))
    return Corpus(windows, held_out, np.bincount(windows.ravel(), minlength=len(tokenizer)))


def new_model(config: TinyConfig, seed: int, tokenizer: PreTrainedTokenizerBase) -> GPT2LMHeadModel:
    """An untrained model; its logits read the embeddings, as GPT-2's do."""
    torch.manual_seed(seed)
    end = tokenizer.eos_token_id
    model = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=len(tokenizer),
            n_positions=config.context,
            n_embd=config.width,
            n_layer=config.layers,
            n_head=config.heads,
            # GPT-2's function in one kernel instead of eight.
            activation_function="gelu_pytorch_tanh",
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            bos_token_id=end,
            eos_token_id=end,
        )
    )
    torch.nn.init.normal_(model.get_input_embeddings().weight, std=EMBEDDING_EXTENT)
    return model


def train(
    model: GPT2LMHeadModel, corpus: Corpus, config: TinyConfig, seed: int, checkpoint: Path
) -> None:
    """Trains in place; every step depends on the seed, its number and the weights alone.

    Raises:
      StoppedError: after SIGTERM, once the checkpoint is written.
    """
    device = fastest_device()
    model.to(device)
    optimizer = _optimizer(model)
    identity = {
        "config": config.model_dump(mode="json"),
        "seed": seed,
        "corpus": array_digest([corpus.train]),
    }
    state = load_checkpoint(checkpoint, model, optimizer, identity)
    first = 0 if state is None else state["step"]
    if first:
        print(f"going on from step {first:,} of {checkpoint}", flush=True)
    frequencies = corpus.counts / corpus.counts.sum()
    proposal = UNIFORM / len(frequencies) + (1 - UNIFORM) * frequencies
    model.train()
    steps = range(first, config.steps)
    with stopping() as stop:
        for step in progress(steps, len(steps), "pretraining, steps"):
            for group in optimizer.param_groups:
                group["lr"] = config.learning_rate * schedule(step, config.steps)
            batch = torch.from_numpy(_batch(corpus.train, step, config.batch)).to(device)
            drawn = np.random.default_rng([seed, step]).choice(
                len(proposal), size=config.negatives, p=proposal
            )
            hidden = model.transformer(batch[:, :-1]).last_hidden_state
            loss = sampled_cross_entropy(
                hidden.flatten(0, 1),
                model.lm_head.weight,
                batch[:, 1:].flatten(),
                torch.from_numpy(drawn).to(device),
                torch.from_numpy(proposal[drawn]).float().to(device),
            )
            if not torch.isfinite(loss):
                raise TracrLabError(
                    f"the loss is {loss.item()} at step {step + 1:,}; lower "
                    "injection.tiny.learning_rate."
                )
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            if step % 50 == 0:
                print(f"step {step:,}: loss {loss.item():.3f}", flush=True)
            done = step + 1
            if done < config.steps and (stop.asked or done % config.checkpoint_every == 0):
                save_checkpoint(checkpoint, model, optimizer, identity, {"step": done})
                if stop.asked:
                    raise StoppedError(f"stopped at step {done:,}; {checkpoint} holds the run")
    model.cpu().eval()


def sampled_cross_entropy(
    hidden: Tensor, embeddings: Tensor, targets: Tensor, drawn: Tensor, chances: Tensor
) -> Tensor:
    """Cross-entropy whose normaliser is estimated from drawn tokens.

    Each drawn token stands for `1 / (draws * chance)` tokens; a draw that is the target itself is
    left out, as the target is in the sum once already.

    Args:
      hidden: [positions, width].
      embeddings: the rows that logits are products with, [vocabulary, width].
      targets: the tokens that come next, int64 [positions].
      drawn: tokens, with repeats, int64 [draws].
      chances: probability of each of them at one draw, [draws].

    Returns:
      the mean over positions.
    """
    of_target = (hidden * embeddings[targets]).sum(dim=-1)
    of_drawn = hidden @ embeddings[drawn].T - torch.log(chances * len(drawn))
    of_drawn = of_drawn.masked_fill(targets[:, None] == drawn, -math.inf)
    normaliser = torch.logsumexp(torch.cat([of_target[:, None], of_drawn], dim=1), dim=1)
    return (normaliser - of_target).mean()


def schedule(step: int, steps: int) -> float:
    """Factor of the learning rate: linear over the first 5 %, then a cosine down to 10 %."""
    warm_up = max(1, steps // 20)
    if step < warm_up:
        return (step + 1) / warm_up
    done = (step - warm_up) / max(1, steps - warm_up)
    return 0.1 + 0.45 * (1 + math.cos(math.pi * done))


def perplexity(model: torch.nn.Module, windows: np.ndarray, batch: int = 4) -> float:
    """Exponential of the mean cross-entropy a token, each window by itself.

    The first token of a window is context only; the others are predicted from those before them in
    the window (no overlap between windows).
    """
    total = count = 0
    with torch.inference_mode():
        for start in range(0, len(windows), batch):
            tokens = torch.from_numpy(windows[start : start + batch])
            logits = model(tokens[:, :-1]).logits
            loss = functional.cross_entropy(
                logits.flatten(0, 1).float(), tokens[:, 1:].flatten(), reduction="sum"
            )
            total += require_finite(loss, "held-out text").item()
            count += tokens[:, 1:].numel()
    return math.exp(total / count)


def perplexity_table(model: GPT2LMHeadModel, corpus: Corpus, config: TinyConfig) -> pd.DataFrame:
    """Held-out perplexity of each text, beside that of token frequencies alone (plus one each)."""
    frequencies = (corpus.counts + 1) / (corpus.counts + 1).sum()
    blocks = sum(p.numel() for p in model.transformer.h.parameters())
    rows = []
    for name, windows in corpus.held_out.items():
        told = windows[:, 1:]
        rows.append(
            {
                "text": name,
                "layers": config.layers,
                "width": config.width,
                "block_weights": blocks,
                "training_tokens": config.steps * config.batch * config.context,
                "held_out_tokens": told.size,
                "context": config.context,
                "perplexity": perplexity(model, windows),
                "perplexity_of_frequencies": math.exp(-np.log(frequencies[told]).mean()),
            }
        )
    return pd.DataFrame(rows)


def save(model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Writes an ordinary Hugging Face folder; it takes its name when it is complete."""
    with atomic_folder(folder) as temporary:
        model.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)


def _batch(windows: np.ndarray, step: int, batch: int) -> np.ndarray:
    """The windows of a step: one after the other, from the start again at the end."""
    return windows[np.arange(step * batch, (step + 1) * batch) % len(windows)]


def _optimizer(model: GPT2LMHeadModel) -> MuonAdamW:
    """Muon for the matrices of the blocks, AdamW for embeddings, norms and biases."""
    matrices, others = block_matrices(model)
    return MuonAdamW([{"params": matrices, "muon": True}, {"params": others}], betas=BETAS)
