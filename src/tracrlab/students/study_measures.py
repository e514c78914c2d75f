"""What the superposition study measures on trained matrices, and the files it leaves.

A run is one matrix W: trained at some width and seed, or from principal components at some width.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from tracrlab.compiler.architecture import Architecture
from tracrlab.compiler.model import PRESENT
from tracrlab.errors import TracrLabError
from tracrlab.files import atomic_path
from tracrlab.rasp.program import CATEGORICAL
from tracrlab.sealing import BLANK_SEAL, check_seal, seal
from tracrlab.students.study import Losses, Study, both_losses
from tracrlab.students.transformer import embed, run

GRADIENT, PCA = "gradient", "pca"
#: A layer output shorter than this is none: its direction means nothing.
_NOTHING = 1e-6


@dataclass(frozen=True)
class Measures:
    """What a matrix does, on every studied input.

    Attributes:
      loss: output loss plus squared differences of the layer outputs.
      output_loss: the output loss, counted from the compiled model's own.
      accuracy: share of positions (BOS left out) with the compiled model's output; a number counts
        as the nearest that the program gives, a symbol as the largest output. Where the program is
        None somewhere on the studied inputs, no output of one half or more stands for None.
      inputs_right: share of inputs with every position right.
      cosine: mean cosine similarity of each half-layer's output to the compiled model's, over the
        positions where that writes anything; nan where it never does [2 * layers].
      mean_output: mean output of each half-layer [2 * layers, D].
      mean_error: mean squared difference to the compiled model's [2 * layers, D].
    """

    loss: float
    output_loss: float
    accuracy: float
    inputs_right: float
    cosine: np.ndarray
    mean_output: np.ndarray
    mean_error: np.ndarray


def measure(study: Study, matrices: np.ndarray) -> list[Measures]:
    """Measures matrices W [runs, D, width] of a study's model, one after the other."""
    codes, lengths = map(jnp.asarray, study.inputs)
    values = jnp.zeros(0)
    if study.model.output_encoding != CATEGORICAL:
        values = jnp.asarray(study.table.output.values, jnp.float32)
    measured = _measure(
        study.weights,
        jnp.asarray(matrices),
        codes,
        lengths,
        values,
        causal=study.bucket.causal,
        output_loss=study.output_loss,
        threshold=PRESENT if study.has_none else None,
    )
    columns = [np.asarray(column) for column in measured]
    return [
        Measures(*map(float, entries[:4]), *entries[4:]) for entries in zip(*columns, strict=True)
    ]


@partial(jax.jit, static_argnames=("causal", "output_loss", "threshold"))
def _measure(weights, matrices, codes, lengths, values, *, causal, output_loss, threshold):
    embedded = embed(weights, codes)
    teacher = run(weights, embedded, lengths, causal=causal)
    visible = jnp.arange(codes.shape[1]) < lengths[:, None]
    answers = visible.at[:, 0].set(False)
    wanted = _decoded(teacher.logits, values, threshold)
    norms, mask = jnp.linalg.norm(teacher.blocks, axis=-1), weights["output_mask"]
    written = visible & (norms > _NOTHING)

    def of_run(matrix):
        student = run(weights, embedded, lengths, causal=causal, compression=matrix)
        total, output = both_losses(teacher, student, visible, mask, output_loss)
        right = (_decoded(student.logits, values, threshold) == wanted) | ~answers
        accuracy = (right & answers).sum() / answers.sum()
        lengths_of = jnp.linalg.norm(student.blocks, axis=-1)
        product = (teacher.blocks * student.blocks).sum(axis=-1)
        cosine = product / jnp.maximum(norms * lengths_of, _NOTHING**2)
        mean_cosine = (cosine * written).sum(axis=(1, 2)) / written.sum(axis=(1, 2))

        def mean(values):
            return (values * visible[..., None]).sum(axis=(1, 2)) / visible.sum()

        return (
            total,
            output,
            accuracy,
            right.all(axis=1).mean(),
            mean_cosine,
            mean(student.blocks),
            mean((student.blocks - teacher.blocks) ** 2),
        )

    return jax.lax.map(of_run, matrices)


def _decoded(logits: jax.Array, values: jax.Array, threshold: float | None) -> jax.Array:
    """Numbers of the values that outputs stand for, [inputs, positions]; numerical with `values`.

    A not-a-number output is none of them.
    """
    if values.size:
        nearest = jnp.abs(logits[..., :1] - values).argmin(axis=-1)
        return jnp.where(jnp.isfinite(logits[..., 0]), nearest, -1)
    best = logits.argmax(axis=-1)
    if threshold is not None:
        best = jnp.where(logits.max(axis=-1) >= threshold, best, logits.shape[-1])
    return jnp.where(jnp.isfinite(logits).all(axis=-1), best, -1)


def principal_components(study: Study) -> np.ndarray:
    """Directions in which the compiled model's streams are largest, most first, [D, D] columns.

    Eigenvectors of the second moments of the stream at the input and after every half-layer, over
    all positions, BOS among them. Nothing is centred: W has no offset, so the mean must pass too.
    """
    codes, lengths = study.inputs
    embedded = embed(study.weights, codes)
    blocks = run(study.weights, embedded, lengths, causal=study.bucket.causal).blocks
    streams = np.asarray(jnp.concatenate([embedded[None], embedded + jnp.cumsum(blocks, axis=0)]))
    visible = np.arange(codes.shape[1]) < lengths[:, None]
    vectors = streams[:, visible].reshape(-1, embedded.shape[-1]).astype(np.float64)
    _, directions = np.linalg.eigh(vectors.T @ vectors)
    return directions[:, ::-1].astype(np.float32)


def half_layers(architecture: Architecture) -> list[str]:
    """Names of all half-layers: attn_1, mlp_1, attn_2 ..."""
    return [
        f"{kind}_{number + 1}"
        for number in range(len(architecture.layers))
        for kind in ("attn", "mlp")
    ]


@dataclass(frozen=True)
class Results:
    """What a study of one program found.

    Attributes:
      runs: one row a run: program, d_model, d, method (gradient or pca), seed (missing for pca),
        steps, batch, inputs (how many there are), and `Measures`; cosine is the mean over
        half-layers that write, and cosine_attn_1 ... are those of each.
      matrices: W [D, d] by `run_key`.
      outputs: mean half-layer outputs [2 * layers, D]: "compiled", and for every run
        "<key>/compressed" and "<key>/error", the mean squared difference.
    """

    runs: pd.DataFrame
    matrices: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]


def run_key(method: str, d: int, seed: int | None = None) -> str:
    """The name of a run in the files: gradient/d8/seed0 or pca/d8."""
    return f"{method}/d{d}" + ("" if seed is None else f"/seed{seed}")


def results(name: str, study: Study) -> Results:
    """Measures every trained matrix of a study, and PCA's at the same widths."""
    settings, d_model = study.settings, study.model.architecture.d_model
    components, largest = principal_components(study), max(settings.widths)
    keys: list[tuple[str, int, int | None]] = []
    padded = []
    for number, width in enumerate(settings.widths):
        for seed in range(settings.seeds):
            keys.append((GRADIENT, width, seed))
            padded.append(study.matrices[seed, number])
        keys.append((PCA, width, None))
        padded.append(components[:, :largest] * (np.arange(largest) < width))
    layers = half_layers(study.model.architecture)
    rows, matrices = [], {}
    identity = np.eye(d_model, largest, dtype=np.float32)
    compiled, *measures = measure(study, np.stack([identity, *padded]))
    outputs = {"compiled": compiled.mean_output}
    for (method, width, seed), matrix, found in zip(keys, padded, measures, strict=True):
        written = found.cosine[~np.isnan(found.cosine)]
        rows.append(
            {
                "program": name,
                "d_model": d_model,
                "d": width,
                "method": method,
                "seed": seed,
                "steps": settings.steps if method == GRADIENT else 0,
                "batch": settings.batch,
                "inputs": len(study.inputs[0]),
                "loss": found.loss,
                "output_loss": found.output_loss,
                "accuracy": found.accuracy,
                "inputs_right": found.inputs_right,
                "cosine": float(written.mean()) if written.size else np.nan,
            }
            | {f"cosine_{layer}": value for layer, value in zip(layers, found.cosine, strict=True)}
        )
        key = run_key(method, width, seed)
        matrices[key] = np.ascontiguousarray(matrix[:, :width])
        outputs[f"{key}/compressed"] = found.mean_output
        outputs[f"{key}/error"] = found.mean_error
    runs = pd.DataFrame(rows).astype({"seed": "Int64"})
    return Results(runs, matrices, outputs)


def curve_rows(widths: Sequence[int], points: Iterator[Losses]) -> Iterator[pd.DataFrame]:
    """Training losses as tables of d, seed, step, loss, output_loss: one a point of the curves.

    Losses are means over the steps since the point before.
    """
    for point in points:
        seeds, count = point.total.shape
        yield pd.DataFrame(
            {
                "d": np.tile(widths, seeds),
                "seed": np.repeat(np.arange(seeds), count),
                "step": point.step,
                "loss": point.total.reshape(-1),
                "output_loss": point.output.reshape(-1),
            }
        )


def save_arrays(path: str | Path, arrays: dict[str, np.ndarray]) -> None:
    """Writes named arrays as safetensors, atomically."""
    from safetensors.numpy import save_file

    with atomic_path(path) as temporary:
        contiguous = {name: np.ascontiguousarray(value) for name, value in arrays.items()}
        save_file(contiguous, temporary, metadata={"tracrlab": BLANK_SEAL})
        seal(temporary)


def load_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """Reads what `save_arrays` wrote.

    Raises:
      TracrLabError: if the file is missing or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        check_seal(path)
        return load_file(path)
    except FileNotFoundError:
        raise TracrLabError(f"there is no file {path}; run `tracrlab study train` first.") from None
    except (OSError, ValueError, SafetensorError) as error:
        raise TracrLabError(f"{path} is damaged ({error}); train the study again.") from None


def best_seed(runs: pd.DataFrame, d: int) -> int:
    """The seed of the trained run of lowest loss at a width.

    Raises:
      TracrLabError: if no run of that width has a finite loss.
    """
    trained = runs[(runs["method"] == GRADIENT) & (runs["d"] == d) & np.isfinite(runs["loss"])]
    if trained.empty:
        raise TracrLabError(f"no run of width {d} ended with a finite loss.")
    return int(trained.loc[trained["loss"].idxmin(), "seed"])


def study_model(name: str):
    """The compiled model of a library program, and its truth table."""
    from tracrlab.compiler.compiling import compile_table
    from tracrlab.programs import domain_of, find_program
    from tracrlab.rasp.truth_table import evaluate

    found = find_program(name)
    table = evaluate(found.program, domain_of(found, None, None))
    return compile_table(table), table
