"""A shard of sampled programs: what the sampler gave, less what would compile too large."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tracrlab.compiler.architecture import Limits, ModelTooLargeError
from tracrlab.compiler.compiling import lay_out
from tracrlab.config import Config
from tracrlab.progress import progress
from tracrlab.rasp.library import held_out_programs
from tracrlab.rasp.sampler import SamplerSettings, sample
from tracrlab.rasp.truth_table import UndefinedProgramError, evaluate
from tracrlab.zoo.schema import FileInfo
from tracrlab.zoo.writing import row_writer


def sampler_settings(config: Config) -> SamplerSettings:
    """The sampler's part of the configuration."""
    zoo = config.zoo
    return SamplerSettings(
        vocab=zoo.vocabulary,
        max_seq_len=zoo.max_seq_len,
        causal=zoo.causal,
        min_ops=zoo.ops[0],
        max_ops=zoo.ops[1],
        preset=zoo.preset,
        max_none=zoo.max_none,
        max_values=zoo.max_values,
    )


def limits(config: Config) -> Limits:
    """The size limits of the configuration."""
    return Limits(**config.zoo.limits.model_dump())


def held_out_behaviours(settings: SamplerSettings) -> frozenset[str]:
    """Behaviour hashes of the library's programs on the sampler's domain."""
    domain = settings.domain
    behaviours = set()
    for program in held_out_programs(domain.vocab, domain.max_seq_len):
        try:
            behaviours.add(evaluate(program, domain).behaviour)
        except UndefinedProgramError:
            continue  # not a program of this domain: nothing that is sampled can equal it
    return frozenset(behaviours)


def sample_shard(config: Config, shard: int, out: str | Path) -> None:
    """Samples the programs of one shard and writes those that may enter the zoo.

    Args:
      config: the configuration.
      shard: number of the shard; it covers ``shard_size`` indices.
      out: the Parquet file to write.
    """
    settings, size = sampler_settings(config), config.zoo.shard_size
    domain, bounds = settings.domain, limits(config)
    held_out = held_out_behaviours(settings)
    refused: Counter[str] = Counter()  # programs
    rejected: Counter[str] = Counter()  # ops, on the way to a program
    ops = 0
    info = FileInfo.of("programs", domain, config.seed, {})
    with row_writer(out, info) as writer:
        for index in progress(range(shard * size, (shard + 1) * size), size, "sampling"):
            sampled = sample(settings, config.seed, index)
            rejected += sampled.rejections
            ops += len(sampled.program)
            behaviour = sampled.table.behaviour
            if behaviour in held_out:
                refused["held out"] += 1
                continue
            try:
                lay_out(sampled.table, bounds)
            except ModelTooLargeError:
                refused["too large"] += 1
                continue
            writer.write(
                {
                    "index": index,
                    "n_ops": len(sampled.program),
                    "behaviour": behaviour,
                    "tokens": sampled.program.tokens(),
                }
            )
        info.counts.update(
            sampled=size, ops=ops, rejected_ops=dict(rejected), refused_programs=dict(refused)
        )
