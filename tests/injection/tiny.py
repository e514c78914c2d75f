"""A small task and small models, made without any file: what the tests of injection share."""

from __future__ import annotations

import numpy as np
import torch
from tracr.rasp import rasp
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from tracrlab.compiler import compile as compile_program

#: In the order in which the compiler keeps them.
SYMBOLS = ("compute", "other", "x")
COMPUTE, OTHER, X = range(3)


def count_program(most: int = 6):
    """Counts x up to the last prompt token, where it gives the number; elsewhere "end"."""
    selected = rasp.Select(
        rasp.Map(lambda t: t == "x", rasp.tokens).named("is_x"),
        rasp.Map(lambda t: True, rasp.tokens),
        rasp.Comparison.EQ,
    )
    count = rasp.SelectorWidth(selected).named("count")
    return rasp.SequenceMap(
        lambda n, t: str(min(n, most)) if t == "compute" else "end", count, rasp.tokens
    ).named("answer")


def compiled_count(length: int = 8):
    return compile_program(count_program(), SYMBOLS, length, causal=True)


def gpt2(layers: int = 3, width: int = 64, vocabulary: int = 60, seed: int = 0):
    torch.manual_seed(seed)
    config = GPT2Config(
        n_layer=layers,
        n_embd=width,
        n_head=4,
        vocab_size=vocabulary,
        n_positions=64,
        bos_token_id=0,
        eos_token_id=0,
    )
    return GPT2LMHeadModel(config).eval()


def llama(layers: int = 3, width: int = 64, vocabulary: int = 60, seed: int = 0):
    torch.manual_seed(seed)
    config = LlamaConfig(
        num_hidden_layers=layers,
        hidden_size=width,
        intermediate_size=2 * width,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=vocabulary,
        max_position_embeddings=64,
    )
    return LlamaForCausalLM(config).eval()


def padded(rows: list[list[int]], fill: int) -> np.ndarray:
    result = np.full((len(rows), max(map(len, rows))), fill, dtype=np.int64)
    for row, given in zip(result, rows, strict=True):
        row[: len(given)] = given
    return result


#: Tokens of the small task: wording, symbols, the last prompt token, digits and the end.
WORDS, TOKEN_X, TOKEN_Y, ASK, DIGIT, END = (10, 11), 1, 2, 12, 20, 30


def counting_examples(sequences: list[list[int]]):
    """Prompts ``10 11 <x and y> 12`` with the number of x and the end, for token sequences."""
    from tracrlab.injection.prompts import Examples

    tokens, symbols, targets, supervised = [], [], [], []
    for sequence in sequences:
        answer = DIGIT + min(6, sequence.count(TOKEN_X))
        tokens.append([*WORDS, *sequence, ASK, answer])
        symbols.append(
            [OTHER, OTHER, *(X if t == TOKEN_X else OTHER for t in sequence), COMPUTE, OTHER]
        )
        blank = [0] * (len(WORDS) + len(sequence))
        targets.append([*blank, answer, END])
        supervised.append([*blank, 1, 1])
    lengths = np.array([len(row) for row in tokens])
    return Examples(
        padded(tokens, 0),
        lengths,
        padded(symbols, -1),
        padded(supervised, 0).astype(bool),
        padded(targets, 0),
    )


def counting_sequences(most: int = 6, symbols=(TOKEN_X, TOKEN_Y)) -> list[list[int]]:
    """Every sequence of 1 to `most` symbols."""
    from itertools import product

    return [list(row) for n in range(1, most + 1) for row in product(symbols, repeat=n)]


def counting_task(seed: int = 0):
    """The small task: its program, and training and held-out examples without overlap."""
    from tracrlab.injection.compiled import CompiledProgram

    sequences = counting_sequences()
    order = np.random.default_rng(seed).permutation(len(sequences))
    cut = len(sequences) * 3 // 4
    train, held_out = (
        counting_examples([sequences[i] for i in part]) for part in (order[:cut], order[cut:])
    )
    return CompiledProgram(compiled_count(length=10)), train, held_out
