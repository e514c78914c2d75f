"""What one run of training is: a method's configuration on one zoo, with a variant's changes."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from tracrlab.decompiler.augmentation import (
    FOR_CIRCUITS,
    FOR_COMPILED,
    FOR_DENSE,
    Augmentation,
)
from tracrlab.decompiler.circuit_model import CIRCUIT_SIZES
from tracrlab.decompiler.line_model import LINE_MODEL_SIZES
from tracrlab.decompiler.model import MODEL_SIZES
from tracrlab.errors import TracrLabError
from tracrlab.sections.decompiler import DecompilerConfig, MethodTraining, Variant

LINES, TOKENS, CIRCUITS, AUTOENCODER = "lines", "tokens", "circuits", "autoencoder"
STANDARD = "standard"
#: Not a zoo of its own: the standard one, its models changed by `stand_ins.stand_in`.
STAND_INS = "stand_ins"

_AUGMENTATIONS = {"none": None, "permute": FOR_COMPILED, "rotate": FOR_DENSE, "skew": FOR_CIRCUITS}


@dataclass(frozen=True)
class Run:
    """One run of training.

    Attributes:
      zoo: standard, compressed or natural, or stand_ins.
      name: what it is called: a method's name, or a variant's.
      method: lines, tokens, circuits or autoencoder.
      sizes: arguments of the meta-model's settings.
      training: the method's keys.
      steps, learning_rate: on this zoo.
      augmentation: what is drawn afresh each epoch; None for nothing.
      weight_noise: over the root mean square of a model's weights.
      start: "standard" or "stand_ins" if the run goes on from the model of these, else "random".
    """

    zoo: str
    name: str
    method: str
    sizes: dict[str, Any]
    training: MethodTraining
    steps: int
    learning_rate: float
    augmentation: Augmentation | None
    weight_noise: float
    start: str

    @property
    def goes_on(self) -> bool:
        """Whether it starts from the weights of another run of its method."""
        return self.start != "random"

    def identity(self) -> dict[str, Any]:
        """All that the result depends on, as JSON."""
        values = asdict(replace(self, training=None))
        return values | {"training": self.training.model_dump(mode="json")}


def resolve(config: DecompilerConfig, zoo: str, name: str) -> Run:
    """The run called `name` on a zoo.

    Raises:
      TracrLabError: if there is no method or variant of that name, or not on that zoo.
    """
    variant = config.variants.get(name)
    if variant is None and name not in (LINES, TOKENS, CIRCUITS, AUTOENCODER):
        known = ", ".join([LINES, TOKENS, CIRCUITS, AUTOENCODER, *config.variants])
        raise TracrLabError(
            f"{name!r} is no method of the decompiler and no variant; there are {known}."
        )
    if zoo not in (STANDARD, "compressed", "natural", STAND_INS):
        raise TracrLabError(
            f"the zoo is standard, compressed or natural, or stand_ins, not {zoo!r}."
        )
    if zoo == STAND_INS and name != CIRCUITS:
        raise TracrLabError(f"only circuits are trained on stand_ins, not {name}.")
    if variant is not None and zoo not in variant.zoos:
        raise TracrLabError(
            f"decompiler.variants.{name} is trained on {', '.join(variant.zoos)}, not on {zoo}."
        )
    variant = variant or Variant()
    method = config.method_of(name)
    training: MethodTraining = getattr(config, method)
    steps, rate, dropout = training.steps, training.learning_rate, training.dropout
    if zoo == STAND_INS:
        steps, rate = (
            training.fine_tuning.stand_ins.steps,
            training.fine_tuning.stand_ins.learning_rate,
        )
    elif zoo != STANDARD and method != AUTOENCODER:
        tuning = training.fine_tuning
        steps, rate = tuning.steps, tuning.learning_rate
        dropout = dropout if tuning.dropout is None else tuning.dropout
    dropout = dropout if variant.dropout is None else variant.dropout
    augmentation = variant.augmentation or (
        training.augmentation if method == CIRCUITS else getattr(config.augmentation, zoo)
    )
    noise = training.weight_noise if variant.weight_noise is None else variant.weight_noise
    return Run(
        zoo=zoo,
        name=name,
        method=method,
        sizes=_sizes(config, method, training.size, dropout),
        training=training,
        steps=variant.steps or steps,
        learning_rate=rate,
        augmentation=None if method == AUTOENCODER else _AUGMENTATIONS[augmentation],
        weight_noise=noise,
        start=config.start_of(zoo, name),
    )


def _sizes(config: DecompilerConfig, method: str, size: str, dropout: float) -> dict[str, Any]:
    """Arguments of the meta-model's settings, its limits as wide as the rows that are read."""
    if method == LINES:
        settings = LINE_MODEL_SIZES[size]
        return asdict(replace(settings, max_blocks=config.rows.max_blocks, dropout=dropout))
    most = config.rows.ops[1]
    sizes = replace(
        CIRCUIT_SIZES[size] if method == CIRCUITS else MODEL_SIZES[size],
        dropout=dropout,
        max_layers=max(16, most),
        max_heads=max(16, most),
        # An op has its token, two operands and its constants, some of them spelled in bytes.
        max_program=max(96, 16 * most),
    )
    extra = {"bottleneck": config.autoencoder.bottleneck} if method == AUTOENCODER else {}
    return asdict(sizes) | extra
