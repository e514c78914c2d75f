"""What several tests of the compiler share: exactness of every variable, not only of the output."""

from __future__ import annotations

import numpy as np

from tracrlab.compiler import Limits, compile_table, verify
from tracrlab.compiler.compiling import lay_out
from tracrlab.compiler.forward import Trace, forward
from tracrlab.compiler.verification import model_inputs
from tracrlab.rasp.program import FIRST_OP, NUMERICAL

#: Inputs whose residual streams are looked at, spread over the domain.
LOOKED_AT = 300


def assert_exact(table):
    """A compiled program is right everywhere: output, every variable, and the BOS position."""
    model = compile_table(table)
    verification = verify(model, table, None)
    assert verification.mismatches == 0, f"{table.program.text()}\n{verification.example}"
    assert verification.max_error < 1e-3, table.program.text()
    layout = lay_out(table, Limits())
    rows = np.arange(0, len(table.domain.codes), -(-len(table.domain.codes) // LOOKED_AT))
    trace = Trace()
    forward(model.architecture, model.weights, *model_inputs(model, table.domain, rows), trace)
    assert_variables(trace.residuals[-1][:, 1:], layout, table, rows)
    assert_clean_bos(trace.residuals, layout)
    return model


def assert_variables(residual, layout, table, rows):
    """Each op's directions hold its value: one-hot, zero for None, or the number."""
    mask = table.domain.mask[rows]
    for ref in range(FIRST_OP, len(table.tables)):
        op, entry = table.program.ops[ref - FIRST_OP], table.tables[ref]
        if op.is_selector:
            continue
        found = residual[..., layout.directions[ref]][mask]
        codes = entry.codes[rows][mask]
        if op.encoding == NUMERICAL:
            wanted = np.array(entry.values, dtype=np.float64)[codes][:, None]
        else:
            place = {value: i for i, value in enumerate(layout.sets[ref].values)}
            columns = np.array([*(place[value] for value in entry.values), len(place)])
            wanted = np.eye(len(place) + 1)[columns[codes]][:, :-1]
        tolerance = 1e-3 * np.maximum(1, np.abs(wanted))
        assert (np.abs(found - wanted) <= tolerance).all(), table.program.label(ref)


def assert_clean_bos(residuals, layout):
    """At BOS nothing but its own direction and the constant is ever written.

    A selector width's attention to BOS is there between a layer's attention and its MLP. What
    softmax leaves of keys that are not selected, exp(-50), is not told from zero.
    """
    own = np.zeros(layout.architecture.d_model)
    own[[layout.bos, layout.one]] = 1
    widths = list(layout.widths.values())
    for half_layer, residual in enumerate(residuals):
        stray = np.abs(residual[:, 0] - own)
        if half_layer % 2:
            stray[:, widths] = 0
        assert stray.max() < 1e-18, half_layer
