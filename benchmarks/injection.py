"""Cost of a training step of each method, against a plain loop of three full passes.

`python -m benchmarks.injection --steps 10` prints a Markdown table. Processor time, one thread; the
settings are those of a configuration file, config/config.yaml by default; the model has the sizes
of `tiny` and no training, which costs the same.
"""

from __future__ import annotations

import argparse
import copy

import numpy as np
import torch

from benchmarks.measure import cpu_seconds, machine

METHODS = ("finetune_kl", "tracr_injection", "interchange")


def material(task: str, path: str):
    """An untrained model of `tiny`'s size, a task's data, random windows, and settings."""
    from transformers import GPT2Config, GPT2LMHeadModel

    from tracrlab.config import load_config
    from tracrlab.injection.base_models import gpt2_tokenizer
    from tracrlab.injection.data import load_data
    from tracrlab.injection.training import TrainingData
    from tracrlab.injection.windows import TextWindows, draw_predictions
    from tracrlab.tasks.registry import load_task

    config = load_config(path)
    few = config.injection.model_copy(update={"train_examples": 2000, "test_examples": 100})
    config = config.model_copy(update={"injection": few})
    settings = few.of_task(task)
    tokenizer, sizes = gpt2_tokenizer(), settings.tiny
    torch.manual_seed(0)
    model = GPT2LMHeadModel(
        GPT2Config(
            n_layer=sizes.layers, n_embd=sizes.width, n_head=sizes.heads, n_positions=sizes.context
        )
    )
    data = load_data(load_task(task), tokenizer, sizes.context, config, train=True)
    tokens = np.random.default_rng(0).integers(0, 50_000, size=(200, settings.text_length))
    drawn = draw_predictions(model, tokens, settings.text_draws, 0) if settings.text_draws else ()
    text = TextWindows(tokens, *drawn)
    return model, data, TrainingData(data.train, data.held_out, text, data.excluded()), settings


def our_step(model, data, training, settings, method: str, steps: int) -> tuple[float, float]:
    """Core-seconds of a step without what is done once, and the share of batches and targets."""
    from tracrlab.injection.training import train

    def run(count: int):
        own = settings.model_copy(update={"steps": count, "measure_steps": 10_000})
        return cpu_seconds(
            lambda: train(copy.deepcopy(model), data.program, training, own, method, seed=0)
        )

    few, _ = run(2)
    many, result = run(2 + steps)
    timing = result.timing
    return (many - few) / steps, timing["target_seconds"] / timing["step_seconds"]


def plain_step(model, data, training, settings, steps: int) -> float:
    """Core-seconds of a step that computes everything.

    Three passes with all logits, and targets by the compiled model's own forward pass, one example
    after the other.
    """
    from tracrlab.injection.alignment import LinearMap

    program = data.program
    model, frozen = copy.deepcopy(model).eval(), copy.deepcopy(model).eval()
    width = program.model.architecture.d_model
    linear_map = LinearMap(model.config.n_embd, width, generator=torch.Generator())
    parameters = [*model.parameters(), *linear_map.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=1e-4)
    layers = list(range(program.layers + 1))

    def step(number: int) -> None:
        rows = np.arange(number * settings.batch, (number + 1) * settings.batch)
        part = training.train.take(rows % len(training.train))
        out = model(torch.from_numpy(part.tokens), output_hidden_states=True)
        labels = torch.from_numpy(np.where(part.supervised, part.targets, -100))
        loss = torch.nn.functional.cross_entropy(out.logits.flatten(0, 1), labels.flatten())
        for row in range(len(part)):
            word = [program.symbols[code] for code in part.symbols[row] if code >= 0]
            streams = torch.from_numpy(program.model.residuals(word)[::2, 1:])
            for layer in layers:
                mapped = linear_map(out.hidden_states[layer][row, : len(word)])
                cosine = torch.cosine_similarity(mapped, streams[layer], dim=-1)
                loss = loss + (1 - cosine).mean() / len(layers) / len(part)
        windows = torch.from_numpy(training.text.tokens[: settings.text_batch])
        with torch.no_grad():
            reference = frozen(windows).logits
        loss = loss + torch.nn.functional.kl_div(
            model(windows).logits.log_softmax(-1),
            reference.log_softmax(-1),
            log_target=True,
            reduction="batchmean",
        )
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    step(0)
    seconds, _ = cpu_seconds(lambda: [step(number) for number in range(1, steps + 1)])
    return seconds / steps


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--tasks", nargs="+", default=["count", "addition", "shuffle_dyck"])
    parser.add_argument("--config", default="config/config.yaml")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{options.steps} steps, core-seconds a step, on {machine()}\n")
    print(
        "| task | finetune_kl | tracr_injection | interchange | tracr_injection over finetune_kl "
        "| its batches and targets | a plain loop | over it |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for task in options.tasks:
        parts = material(task, options.config)
        ours = {method: our_step(*parts, method, options.steps) for method in METHODS}
        plain = plain_step(*parts, max(2, options.steps // 3))
        seconds, share = ours["tracr_injection"]
        costs = " | ".join(f"{ours[method][0]:.3f}" for method in METHODS)
        print(
            f"| {task} | {costs} | {seconds / ours['finetune_kl'][0]:.2f} | {share:.1%} "
            f"| {plain:.3f} | {plain / seconds:.1f} times as fast |",
            flush=True,
        )


if __name__ == "__main__":
    main()
