"""``reference=True`` gives Tracr's own weights, bit for bit."""

import numpy as np
import pytest
from tracr.compiler import compiling, lib
from tracr.rasp import rasp

from tests.compiler import reference_sweep
from tests.compiler.reference_sweep import REFUSED, SAME, compare, difference
from tracrlab import TracrLabError, compile
from tracrlab.rasp import paper_programs as papers
from tracrlab.rasp.library import LIBRARY

CASES = [
    ("frac_prevs", lib.make_frac_prevs(rasp.tokens == "x"), {"a", "x"}, 4, False),
    ("sort_unique", lib.make_sort_unique(rasp.tokens, rasp.tokens), {1, 2, 3}, 3, False),
    ("pair_balance", papers.pair_balance("(", ")").to_tracr(), {"(", ")"}, 5, True),
    ("shuffle_dyck2", LIBRARY["shuffle_dyck2"].program.to_tracr(), set("(){}"), 4, False),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_weights_and_labels_are_tracrs(case):
    assert compare(case) == SAME


def test_what_tracr_refuses_is_refused():
    select = rasp.Select(rasp.tokens, rasp.tokens, rasp.Comparison.EQ)
    mean = rasp.numerical(rasp.Aggregate(select, rasp.tokens, default=0)).named("mean")

    assert compare(("mean", mean, {0, 1}, 3, False)) == REFUSED
    with pytest.raises(TracrLabError, match="Tracr cannot compile mean: An aggregate's output"):
        compile(mean, {0, 1}, 3, reference=True)


def test_a_program_without_tokens():
    program = rasp.Map(lambda x: x + 1, rasp.indices)

    with pytest.raises(TracrLabError, match="a program that does not use tokens"):
        compile(program, {0, 1}, 3, reference=True)
    assert compile(program, {0, 1}, 3).apply([1, 1, 0]) == [1, 2, 3]


def test_both_models_say_the_same():
    sop = lib.make_reverse(rasp.tokens)
    tracr = compiling.compile_rasp_to_model(sop, {"a", "b"}, 4)
    ours = compile(sop, "ab", 4, reference=True)

    for word in (list("abab"), list("bbba")):
        assert ours.apply(word) == tracr.apply(["compiler_bos", *word]).decoded[1:]


def test_a_changed_weight_is_seen():
    """The comparison itself is tested: one bit is enough."""
    sop = lib.make_hist()
    tracr = compiling.compile_rasp_to_model(sop, {"a", "b"}, 2)
    ours = compile(sop, "ab", 2, reference=True)
    weight = ours.weights["layer_0/mlp/linear_2"]

    assert difference(ours, tracr) == SAME
    weight[0, 0] = np.nextafter(weight[0, 0], np.float32(9))
    assert difference(ours, tracr) == "layer_0/mlp/linear_2 differs"


@pytest.mark.slow
def test_a_sweep_finds_no_difference(capsys):
    assert reference_sweep.main(["--sampled", "6", "--every", "8"]) == 0
    assert "same" in capsys.readouterr().out
