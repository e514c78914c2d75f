"""Tracr's own weights, bit for bit, without the seconds that Haiku takes to initialise them.

Tracr's first five steps run as they are; only the last, which writes the Craft model into Haiku
parameters that were initialised at random, is done directly in numpy.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np

from tracrlab.compiler.architecture import Architecture, Layer, Limits
from tracrlab.compiler.model import BOS, PAD, CompiledModel
from tracrlab.errors import TracrLabError
from tracrlab.rasp.program import CATEGORICAL, NUMERICAL, Program
from tracrlab.rasp.values import Value


def compile_reference(
    program, vocab: Collection[Value], max_seq_len: int, *, causal: bool, limits: Limits
) -> CompiledModel:
    """Compiles with Tracr; arguments as `compiling.compile`.

    Raises:
      TracrLabError: where Tracr refuses the program or crashes on it, with Tracr's reason.
    """
    from tracr.rasp import rasp

    sop = program.to_tracr() if isinstance(program, Program) else program
    try:
        craft_model, tokens, residual, output = _craft(sop, vocab, max_seq_len)
        architecture, half_layers = _architecture(
            craft_model, tokens, residual, output, max_seq_len, causal
        )
        architecture.check(limits)
        weights = _weights(architecture, half_layers, tokens, residual, output)
    except TracrLabError:
        raise
    except Exception as error:
        detail = " ".join(str(error).split()) or type(error).__name__
        raise TracrLabError(f"Tracr cannot compile this program: {detail[:300]}") from None
    categorical = rasp.is_categorical(sop)
    return CompiledModel(
        architecture=architecture,
        weights=weights,
        labels=tuple(str(direction) for direction in residual.basis),
        output_encoding=CATEGORICAL if categorical else NUMERICAL,
        output_values=tuple(d.value for d in output.basis) if categorical else (),
        program=program if isinstance(program, Program) else None,
    )


def _craft(sop, vocab: Collection[Value], max_seq_len: int) -> tuple:
    """Tracr's steps 1 to 5, and the spaces of the tokens, the residual stream and the output."""
    from tracr.compiler import (
        basis_inference,
        craft_graph_to_model,
        expr_to_craft_graph,
        nodes,
        rasp_to_graph,
        validating,
    )
    from tracr.craft import bases
    from tracr.rasp import rasp

    unsupported = validating.static_validate(sop)
    if unsupported:
        raise TracrLabError(
            f"Tracr cannot compile {unsupported[0].expr.name}: {unsupported[0].reason}"
        )
    extracted = rasp_to_graph.extract_rasp_graph(sop)
    basis_inference.infer_bases(extracted.graph, extracted.sink, set(vocab), max_seq_len)
    expr_to_craft_graph.add_craft_components_to_rasp_graph(
        extracted.graph, bos_dir=bases.BasisDirection(rasp.tokens.label, BOS)
    )
    craft_model = craft_graph_to_model.craft_graph_to_model(extracted.graph, extracted.sources)
    if rasp.tokens.label not in extracted.graph.nodes:
        raise TracrLabError("Tracr cannot compile a program that does not use tokens.")
    tokens = bases.VectorSpaceWithBasis.from_values(rasp.tokens.label, {*vocab, BOS, PAD})
    indices = bases.VectorSpaceWithBasis.from_values(rasp.indices.label, range(max_seq_len))
    output = bases.VectorSpaceWithBasis(extracted.sink[nodes.OUTPUT_BASIS])
    residual = bases.join_vector_spaces(craft_model.residual_space, tokens, indices, output)
    return craft_model, tokens, residual, output


def _half_layers(craft_model) -> Iterator[tuple[int, object]]:
    """Craft's blocks with their half-layer: attention in even ones, MLPs in odd ones."""
    from tracr.craft import transformers

    number = -1
    for block in craft_model.blocks:
        parity = int(isinstance(block, transformers.MLP))
        number += 1
        number += (number - parity) % 2
        yield number, block


def _architecture(
    craft_model, tokens, residual, output, max_seq_len: int, causal: bool
) -> tuple[Architecture, list[tuple[int, object]]]:
    """Tracr's sizes: every layer has the heads, keys and neurons of the largest."""
    half_layers = list(_half_layers(craft_model))
    heads = [list(block.as_multi().heads()) for number, block in half_layers if number % 2 == 0]
    mlps = [block for number, block in half_layers if number % 2]
    layer = Layer(
        heads=max((len(group) for group in heads), default=1),
        key_size=max((max(head.w_qk.matrix.shape) for group in heads for head in group), default=1),
        value_size=max(
            (max(head.w_qk.matrix.shape) for group in heads for head in group), default=1
        ),
        mlp_hidden=max((mlp.fst.output_space.num_dims for mlp in mlps), default=1),
    )
    for head in (head for group in heads for head in group):
        if head.w_ov.matrix.shape[1] > layer.key_size:
            raise TracrLabError(
                f"Tracr crashes on this program: a value has {head.w_ov.matrix.shape[1]} dimensions"
                f" and its key size is {layer.key_size}."
            )
    architecture = Architecture(
        input_symbols=tuple(direction.value for direction in tokens.basis),
        max_seq_len=max_seq_len,
        d_model=residual.num_dims,
        output_size=output.num_dims,
        layers=(layer,) * (half_layers[-1][0] // 2 + 1),
        causal=causal,
    )
    return architecture, half_layers


def _weights(architecture: Architecture, half_layers, tokens, residual, output) -> dict:
    weights = architecture.zeros()
    row = residual.index_by_direction

    def rows(space) -> list[int]:
        return [row[direction] for direction in space.basis]

    weights["token_embed"][range(tokens.num_dims), rows(tokens)] = 1
    one = [index for direction, index in row.items() if str(direction) == "one"]
    weights["token_embed"][:, one] = 1
    positions = range(architecture.max_seq_len)
    by_label = {str(direction): index for direction, index in row.items()}
    weights["pos_embed"][
        [p + 1 for p in positions], [by_label[f"indices:{p}"] for p in positions]
    ] = 1
    weights["unembed"][rows(output), range(output.num_dims)] = 1
    for number, block in half_layers:
        prefix = f"layer_{number // 2}/"
        if number % 2:
            hidden = block.fst.output_space.num_dims
            weights[prefix + "mlp/linear_1"][rows(block.fst.input_space), :hidden] = (
                block.fst.matrix
            )
            weights[prefix + "mlp/linear_2"][:hidden, rows(block.snd.output_space)] = (
                block.snd.matrix
            )
            continue
        for head_number, head in enumerate(block.as_multi().heads()):
            start = head_number * architecture.layers[0].key_size
            keys = np.arange(start, start + head.w_qk.matrix.shape[1])
            values = np.arange(start, start + head.w_ov.matrix.shape[1])
            attention = prefix + "attn/"
            weights[attention + "query"][np.ix_(rows(head.w_qk.left_space), keys)] = (
                head.w_qk.matrix
            )
            weights[attention + "key"][rows(head.w_qk.right_space), keys] = 1
            weights[attention + "value"][np.ix_(rows(head.w_ov.input_space), values)] = (
                head.w_ov.matrix
            )
            weights[attention + "linear"][values, rows(head.w_ov.output_space)] = 1
    return weights
