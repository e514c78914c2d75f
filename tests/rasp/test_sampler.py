"""The sampler: determinism, lengths, what it refuses, and canonical functions."""

from collections import Counter

import numpy as np
import pytest

from tracrlab.errors import TracrLabError
from tracrlab.rasp import Domain, Program, evaluate
from tracrlab.rasp.presets import (
    ARRAY_FUNCTIONS,
    PRESETS,
    constants,
    map_menu,
    pair_menu,
    predicate_menu,
)
from tracrlab.rasp.primitives import MAP, SELECT, SEQUENCE_MAP, Primitive, constant_count
from tracrlab.rasp.program import CATEGORICAL, NUMERICAL
from tracrlab.rasp.sampler import MAX_NUMBER, SamplerSettings, sample
from tracrlab.rasp.tables import SelectorTable

SETTINGS = SamplerSettings((0, 1, 2, 3, 4), 5, min_ops=3, max_ops=8)


def test_a_program_is_a_function_of_seed_and_index():
    alone = sample(SETTINGS, 7, 5).program
    for index in (3, 4):
        sample(SETTINGS, 7, index)  # whatever was sampled before
    assert sample(SETTINGS, 7, 5).program == alone
    assert sample(SETTINGS, 8, 5).program != alone


def test_a_seed_gives_the_same_programs_for_ever():
    """A change here changes every zoo: raise the schema version with it."""
    assert sample(SETTINGS, 0, 1).program.text() == (
        "v1 = Map(x == 4, indices)\n"
        "v2 = Map(not x, v1) : numerical\n"
        "v3 = Map(x, v2)\n"
        "v4 = SequenceMap(x == y, indices, v3)"
    )


@pytest.mark.parametrize("preset", PRESETS)
def test_lengths_are_met_exactly_and_in_turn(preset):
    settings = SamplerSettings((0, 1, 2), 4, min_ops=3, max_ops=6, preset=preset)
    lengths = [len(sample(settings, 0, index).program) for index in range(8)]
    assert lengths == [3, 4, 5, 6, 3, 4, 5, 6]


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("causal", [False, True])
def test_sampled_tables_are_those_of_the_program_and_keep_the_rules(preset, causal):
    settings = SamplerSettings((0, 1, 2, 3), 4, causal, 3, 9, preset, max_none=0.4, max_values=12)
    for index in range(40):
        sampled = sample(settings, 1, index)
        table = evaluate(sampled.program, settings.domain)
        assert table.behaviour == sampled.table.behaviour
        seen = set()
        pairs = zip(table.tables, sampled.table.tables, strict=True)
        for number, (fresh, kept) in enumerate(pairs):
            if isinstance(fresh, SelectorTable):
                assert np.array_equal(fresh.matrix, kept.matrix)
                assert fresh.matrix.any()
                continue
            assert fresh.values == kept.values
            assert np.array_equal(fresh.columns, kept.columns)
            if fresh.mapping is not None:
                assert np.array_equal(fresh.mapping, kept.mapping)
            encoding = sampled.program.encoding(number)
            assert (encoding, fresh.fingerprint) not in seen, "an op is there twice"
            seen.add((encoding, fresh.fingerprint))
            if number >= 2:
                assert len(fresh.values) > 1, "an op is constant"
                assert fresh.nones <= 0.4 * settings.domain.mask.sum()
                assert max(map(abs, fresh.values)) <= MAX_NUMBER
                if encoding == CATEGORICAL:
                    assert len(fresh.values) <= 12
                    assert not fresh.averages
                if encoding == NUMERICAL:
                    assert fresh.nones == 0


def test_thesis_preset_draws_from_table_4_1_only():
    settings = SamplerSettings((0, 1, 2, 3, 4), 5, min_ops=4, max_ops=8, preset="thesis")
    kinds = Counter()
    for index in range(60):
        for op in sample(settings, 0, index).program.ops:
            kinds[op.kind] += 1
            if op.kind == MAP:
                assert op.function.template in PRESETS["thesis"].maps
            if op.kind == SEQUENCE_MAP:
                assert op.function.template in PRESETS["thesis"].sequence_maps
    assert set(kinds) == {MAP, SEQUENCE_MAP, SELECT, "Aggregate", "SelectorWidth"}


def test_rejections_are_counted_by_reason():
    rejections = sum((sample(SETTINGS, 0, index).rejections for index in range(40)), Counter())
    assert {"constant", "duplicate", "averages categories", "too long"} <= set(rejections)
    assert all(count > 0 for count in rejections.values())


def test_letters_are_a_vocabulary_too():
    settings = SamplerSettings(("a", "b", "c"), 4, min_ops=3, max_ops=5)
    for index in range(20):
        program = sample(settings, 0, index).program
        assert Program.from_tokens(program.tokens()) == program


def test_sums_of_numbers_have_ordered_operands_and_sums_of_letters_keep_theirs():
    for index in range(300):
        for op in sample(SETTINGS, 3, index).program.ops:
            if op.kind == SEQUENCE_MAP and op.function.template == "x + y":
                assert op.operands[0] <= op.operands[1]


def test_unknown_preset():
    with pytest.raises(TracrLabError, match="'mine' is not a sampler preset; they are default"):
        sample(SamplerSettings((0, 1), 3, preset="mine"), 0, 0)


def test_menu_gives_one_function_for_each_result():
    menu = map_menu(("x < c", "x <= c"), (0, 1, 2), False)
    # x < 0 is constant, x <= 0 and x < 1 are one function, x <= 2 is constant again.
    assert [[f and f.text for f in row] for row in menu.drawn] == [
        [None, "x < 1", "x < 2"],
        ["x < 1", "x < 2", None],
    ]


def test_menu_of_pairs_looks_only_at_pairs_that_are_reached():
    menu = pair_menu(("x + y", "x * y", "max(x, y)"), ((0, 1), (1, 0), (0, 0)))
    assert [row[0] and row[0].text for row in menu.drawn] == ["x + y", None, "x + y"]


def test_predicate_menu_keeps_the_selector_of_everything():
    menu = predicate_menu(("key == query", "key != query", "True"), (0, 1), (0, 1))
    assert [row[0].text for row in menu.drawn] == ["key == query", "key != query", "True"]


def test_constants_are_halves_near_the_values():
    assert constants((0, 1, 2)) == (0, 1, 2)
    assert constants((0, 1 / 3, 0.5, 1)) == (0, 0.5, 1)
    assert constants((0.2, 1 / 3, 1.8)) == (0.5, 1, 1.5)
    assert constants(tuple(range(40)))[::15] == (0, 39)
    assert len(constants(tuple(range(40)))) == 16
    assert constants(("a", "b")) == ("a", "b")
    assert constants((0, 3), noise=True) == (-1, -0.5, 0.5, 1, 2, 2.5, 3.5, 4)


def _drawn_on_arrays():
    drawn = {
        (op, template)
        for preset in PRESETS.values()
        for op, templates in (
            (MAP, preset.maps),
            (SEQUENCE_MAP, preset.sequence_maps),
            (SELECT, preset.predicates),
        )
        for template in templates
    }
    return sorted((op, template) for op, template in drawn if template in ARRAY_FUNCTIONS)


@pytest.mark.parametrize(("op", "template"), _drawn_on_arrays())
def test_templates_on_arrays_agree_with_the_functions_themselves(op, template):
    values = (-2, -0.5, 0, 0.5, 1, 3)
    for c in values:
        arguments = (c,) if constant_count(template) else ()
        function = Primitive(op, template, arguments)
        columns = [(x,) for x in values] if op == MAP else [(x, y) for x in values for y in values]
        arrays = [np.array(column, dtype=float) for column in zip(*columns, strict=True)]
        wanted = [float(function(*row)) for row in columns]
        assert ARRAY_FUNCTIONS[template](*arrays, *arguments).astype(float).tolist() == wanted


def test_domain_of_the_settings():
    assert SETTINGS.domain == Domain((0, 1, 2, 3, 4), 5)
