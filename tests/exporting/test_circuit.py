"""Circuits against the programs by hand, against the compiler's own plan, and by ablation."""

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.exporting.library_models import NAMES, example, library_model
from tracrlab.compiler import Limits
from tracrlab.compiler.compiling import lay_out
from tracrlab.errors import TracrLabError
from tracrlab.exporting.ablation import ablated, ablation_report, outside
from tracrlab.exporting.circuit import HEAD, NEURONS, all_components, circuit_of
from tracrlab.exporting.circuit_file import hook_of, write_circuit
from tracrlab.rasp import Domain, evaluate
from tracrlab.rasp.library import LIBRARY
from tracrlab.rasp.program import FIRST_OP, SELECTOR_WIDTH


def edges_of(name):
    return {
        (edge.source, edge.target, edge.input, edge.carries)
        for edge in circuit_of(library_model(name)).edges
    }


def test_edges_of_frac_prevs_by_hand():
    # is_x = Map(x == "x", tokens); prevs = Select(indices, indices, <=); Aggregate(prevs, is_x)
    assert edges_of("frac_prevs") == {
        ("tokens", "L0.MLP.is_x", "mlp", "tokens"),
        ("indices", "L1.H0", "query", "indices"),
        ("indices", "L1.H0", "key", "indices"),
        ("L0.MLP.is_x", "L1.H0", "value", "is_x"),
        ("L1.H0", "output", "unembed", "frac_prevs"),
        # The beginning-of-sequence key takes the attention that nothing else wants.
        ("one", "L1.H0", "query", "one"),
        ("bos", "L1.H0", "key", "bos"),
    }


def test_edges_of_hist_by_hand():
    # hist = SelectorWidth(Select(tokens, tokens, ==)): a head measures 1 / (width + 1), neurons
    # read the width from it.
    assert edges_of("hist") == {
        ("tokens", "L0.H0", "query", "tokens"),
        ("tokens", "L0.H0", "key", "tokens"),
        ("one", "L0.H0", "query", "one"),
        ("bos", "L0.H0", "key", "bos"),
        ("bos", "L0.H0", "value", "bos"),
        ("L0.H0", "L0.MLP.hist", "mlp", "hist"),
        ("one", "L0.MLP.hist", "mlp", "one"),
        ("bos", "L0.MLP.hist", "mlp", "bos"),
        ("L0.MLP.hist", "output", "unembed", "hist"),
    }


def test_components_of_frac_prevs_by_hand():
    circuit = circuit_of(library_model("frac_prevs"))
    head, neurons = circuit["L1.H0"], circuit["L0.MLP.is_x"]
    assert (head.computes, head.selector, head.heads) == ("frac_prevs", "prevs", (0,))
    labels = circuit.labels
    assert [labels[direction] for direction in head.writes] == ["frac_prevs"]
    assert [labels[direction] for direction in head.reads["value"]] == ["is_x"]
    assert [labels[direction] for direction in neurons.reads["mlp"]] == ["tokens:x"]
    assert neurons.neurons == (0,)


@pytest.mark.parametrize("name", NAMES)
def test_the_edges_between_s_ops_are_the_programs_data_flow(name):
    model = library_model(name)
    program = model.program
    label = program.label
    wanted = set()
    for number, op in enumerate(program.ops):
        if op.is_selector:
            continue
        refs = list(op.operands)
        if program.ops[refs[0] - FIRST_OP].is_selector and refs[0] >= FIRST_OP:
            refs[:1] = program.ops[refs[0] - FIRST_OP].operands
        wanted |= {(label(ref), program.names[number]) for ref in refs}
    circuit = circuit_of(model)
    found = {
        (edge.carries, circuit[edge.target].computes)
        for edge in circuit.edges
        if edge.carries not in ("one", "bos") and edge.target != "output"
    }
    internal = {  # a width's head to its neurons
        (name, name)
        for name, op in zip(program.names, program.ops, strict=True)
        if op.kind == SELECTOR_WIDTH
    }
    assert found == wanted | internal


@pytest.mark.parametrize("name", NAMES)
def test_parts_write_the_directions_that_the_compiler_planned(name):
    entry, model = LIBRARY[name], library_model(name)
    domain = Domain(entry.vocab, entry.max_seq_len, entry.causal, entry.inputs)
    layout = lay_out(evaluate(model.program, domain), Limits())
    parts = {
        (part.kind, part.computes): part
        for part in circuit_of(model).components
        if part.kind in (HEAD, NEURONS)
    }
    for number, op in enumerate(layout.program.ops):
        if op.is_selector:
            continue
        name, half_layer = layout.program.names[number], layout.half_layers[number]
        planned = set(layout.directions[number + FIRST_OP].tolist())
        if op.kind == SELECTOR_WIDTH:
            width = layout.widths[number + FIRST_OP]
            assert parts[HEAD, name].writes == (width,)
            assert parts[HEAD, name].half_layer == half_layer
            planned, half_layer = planned | {width}, half_layer + 1
        part = parts[NEURONS if half_layer % 2 else HEAD, name]
        assert (set(part.writes), part.half_layer) == (planned, half_layer)


@pytest.mark.parametrize("name", NAMES)
def test_only_what_is_in_the_circuit_matters_and_all_of_it_does(name):
    model = library_model(name)
    circuit = circuit_of(model)
    report = ablation_report(model, circuit)
    assert report.outside == 0
    for part in circuit.components:
        if part.kind in (HEAD, NEURONS) or part.id in ("tokens", "indices"):
            assert report.components[part.id] > 0, part.id


@pytest.mark.parametrize("name", ["most_frequent", "shuffle_dyck1"])
def test_the_circuit_of_an_s_op_keeps_its_directions_when_the_rest_is_zero(name):
    model = library_model(name)
    whole = circuit_of(model)
    directions = np.array(whole.s_ops)
    for s_op in dict.fromkeys(part.computes for part in whole.components if part.half_layer >= 0):
        part = whole.of(s_op)
        smaller = ablated(model, outside(model, part))
        mine = directions == s_op
        np.testing.assert_allclose(
            smaller.residuals(example(name))[-1][:, mine],
            model.residuals(example(name))[-1][:, mine],
            atol=1e-5,
        )
        assert {c.id for c in part.components} <= {c.id for c in whole.components}


def test_a_missing_part_is_seen():
    model = library_model("most_frequent")
    circuit = circuit_of(model)
    head = next(part.id for part in circuit.components if part.kind == HEAD)
    kept = tuple(part for part in circuit.components if part.id != head)
    broken = replace(circuit, components=kept)
    assert ablation_report(model, broken).outside > 0


def test_ablation_is_that_of_the_activations():
    model = library_model("hist")
    circuit = all_components(model)
    dead = ablated(model, [circuit["L0.H0"]])
    trace = model.residuals(example("hist"))
    np.testing.assert_array_equal(dead.residuals(example("hist"))[1], trace[0])
    assert dead.weights["unembed"] is model.weights["unembed"]


def test_positions_are_no_part_of_a_histogram():
    assert "indices" not in {part.id for part in circuit_of(library_model("hist")).components}


def test_the_file_says_what_docs_exports_says(tmp_path):
    write_circuit(library_model("frac_prevs"), tmp_path / "circuit.json")
    content = json.loads((tmp_path / "circuit.json").read_text())
    assert content["format"] == "tracrlab_circuit"
    (prevs,) = [s_op for s_op in content["s_ops"] if s_op["name"] == "prevs"]
    assert (prevs["op"], prevs["components"], prevs["directions"]) == ("Select", ["L1.H0"], [])
    (head,) = [part for part in content["components"] if part["id"] == "L1.H0"]
    assert head["transformer_lens"] == "blocks.1.attn.hook_z"
    assert head["changes_when_zero"] > 0
    assert content["ablation"] == {"inputs": 256, "changes_when_outside_is_zero": 0.0}
    ids = {part["id"] for part in content["components"]}
    assert {edge["source"] for edge in content["edges"]} <= ids
    assert {edge["target"] for edge in content["edges"]} <= ids


def test_hooks_of_all_kinds():
    circuit = circuit_of(library_model("frac_prevs"))
    assert [
        hook_of(circuit[name], 2) for name in ("tokens", "indices", "L0.MLP.is_x", "output")
    ] == [
        "hook_embed",
        "hook_pos_embed",
        "blocks.0.mlp.hook_post",
        "blocks.1.hook_resid_post",
    ]


def test_an_unknown_s_op_and_a_model_without_names_are_refused():
    model = library_model("hist")
    with pytest.raises(TracrLabError, match="computes 'nothing'; it has tokens"):
        circuit_of(model).of("nothing")
    nameless = replace(model, labels=())
    with pytest.raises(TracrLabError, match="without names"):
        circuit_of(nameless)
