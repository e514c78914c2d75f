"""A model as Tracr's ``AssembledTransformerModel``: Haiku parameters and a forward function."""

from __future__ import annotations

import numpy as np

from tracrlab.compiler.architecture import Layer
from tracrlab.compiler.model import BOS, PAD, CompiledModel
from tracrlab.rasp.program import CATEGORICAL


def haiku_parameters(model: CompiledModel) -> tuple[dict[str, dict[str, np.ndarray]], Layer]:
    """Parameters under Haiku's names, every layer padded to the sizes of the largest.

    Returns:
      the parameters (biases are zero) and the sizes that all layers have.
    """
    architecture = model.architecture
    size = Layer(
        heads=max(1, *(layer.heads for layer in architecture.layers)),
        key_size=max(1, *(max(layer.key_size, layer.value_size) for layer in architecture.layers)),
        mlp_hidden=max(1, *(layer.mlp_hidden for layer in architecture.layers)),
    )
    width = size.heads * size.key_size
    d_model = architecture.d_model
    parameters = {
        "token_embed": {"embeddings": model.weights["token_embed"]},
        "pos_embed": {"embeddings": model.weights["pos_embed"]},
    }
    for number, layer in enumerate(architecture.layers):
        prefix = f"layer_{number}/attn/"
        for name in ("query", "key", "value", "linear"):
            part = layer.value_size if name in ("value", "linear") else layer.key_size
            padded = np.zeros((d_model, size.heads, size.key_size), np.float32)
            if layer.heads:
                weight = model.weights[prefix + name]
                weight = weight.T if name == "linear" else weight
                padded[:, : layer.heads, :part] = weight.reshape(d_model, layer.heads, part)
                if name == "query" and layer.key_size != size.key_size:
                    # The logits are divided by the root of the padded key size.
                    padded *= np.float32(np.sqrt(size.key_size / layer.key_size))
            matrix = padded.reshape(d_model, width)
            matrix = np.ascontiguousarray(matrix.T) if name == "linear" else matrix
            parameters[f"transformer/{prefix}{name}"] = _with_bias(matrix)
        hidden = layer.mlp_hidden
        linear_1 = np.zeros((d_model, size.mlp_hidden), np.float32)
        linear_2 = np.zeros((size.mlp_hidden, d_model), np.float32)
        if hidden:
            linear_1[:, :hidden] = model.weights[f"layer_{number}/mlp/linear_1"]
            linear_2[:hidden] = model.weights[f"layer_{number}/mlp/linear_2"]
        parameters[f"transformer/layer_{number}/mlp/linear_1"] = _with_bias(linear_1)
        parameters[f"transformer/layer_{number}/mlp/linear_2"] = _with_bias(linear_2)
    return parameters, size


def _with_bias(matrix: np.ndarray) -> dict[str, np.ndarray]:
    return {"w": matrix, "b": np.zeros(matrix.shape[1], np.float32)}


def to_haiku(model: CompiledModel):
    """The model as Tracr assembles it, ready for Tracr's own tools."""
    import haiku as hk
    import jax
    import jax.numpy as jnp
    from tracr.compiler.assemble import AssembledTransformerModel
    from tracr.craft import bases
    from tracr.transformer import encoder
    from tracr.transformer import model as tracr_model

    parameters, size = haiku_parameters(model)
    architecture = model.architecture
    categorical = model.output_encoding == CATEGORICAL
    config = tracr_model.TransformerConfig(
        num_heads=size.heads,
        num_layers=len(architecture.layers),
        key_size=size.key_size,
        mlp_hidden_size=size.mlp_hidden,
        dropout_rate=0.0,
        activation_function=jax.nn.relu,
        layer_norm=False,
        causal=architecture.causal,
    )
    unembed_matrix = model.weights["unembed"]

    def unembed(residual, use_unembed_argmax):
        output = residual @ unembed_matrix
        if use_unembed_argmax:
            return jnp.argmax(output, axis=-1)
        return output.squeeze(-1) if output.shape[-1] == 1 else output

    def get_compiled_model():
        def embed(name):
            return hk.Embed(embedding_matrix=jnp.asarray(model.weights[name]), name=name)

        return tracr_model.CompiledTransformerModel(
            transformer=tracr_model.Transformer(config),
            token_embed=embed("token_embed"),
            position_embed=embed("pos_embed"),
            unembed=hk.to_module(unembed)(),
            use_unembed_argmax=categorical,
        )

    @hk.without_apply_rng
    @hk.transform
    def forward(tokens):
        return get_compiled_model()(tokens, use_dropout=False)

    def encoder_of(values, **settings):
        basis = [bases.BasisDirection("value", value) for value in values]
        return encoder.CategoricalEncoder(basis=basis, **settings)

    return AssembledTransformerModel(
        forward=forward.apply,
        get_compiled_model=get_compiled_model,
        params=jax.tree_util.tree_map(jnp.array, parameters),
        model_config=config,
        residual_labels=list(model.labels),
        input_encoder=encoder_of(
            architecture.input_symbols,
            enforce_bos=True,
            bos_token=BOS,
            pad_token=PAD if PAD in architecture.input_symbols else None,
            max_seq_len=architecture.max_seq_len + 1,
        ),
        output_encoder=encoder_of(model.output_values)
        if categorical
        else encoder.NumericalEncoder(),
    )
