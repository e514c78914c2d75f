"""The Python interface: objects in, objects out, the same as the commands give."""

import subprocess
import sys
import typing
from dataclasses import replace

import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

import tracrlab
from tests.decompiler.models import TOKENS
from tracrlab import TracrLabError, api
from tracrlab.cli import app
from tracrlab.decompiler.building import build
from tracrlab.decompiler.model_folder import save

CALLS = ("sample", "compile", "compress", "distil", "decompile", "decode")
HIST = "v1 = Select(tokens, tokens, key == query)\nhist = SelectorWidth(v1)"


@pytest.fixture(scope="module")
def hist():
    program = tracrlab.Program.from_text(HIST)
    return tracrlab.compile(program, vocab="abc", max_seq_len=4)


def test_every_call_is_public_typed_and_has_an_example():
    for name in CALLS:
        call = getattr(tracrlab, name)
        assert name in tracrlab.__all__
        assert name in dir(tracrlab)
        assert call.__doc__.strip()
        assert "return" in call.__annotations__
        if name != "compile":
            assert "Example::" in call.__doc__ or "`compress`" in call.__doc__


def test_importing_it_loads_nothing_heavy():
    code = (
        "import sys, tracrlab, tracrlab.api; "
        "print([m for m in ('numpy', 'pandas', 'jax', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_sample_gives_the_programs_of_the_command():
    programs = tracrlab.sample(2, vocab=range(3), max_seq_len=4, ops=(4, 6), seed=7, start=5)
    config = '{"seed": 7, "zoo": {"vocab": 3, "max_seq_len": 4, "ops": [4, 6]}}'
    shown = CliRunner().invoke(app, ["sample", "--count", "2", "--start", "5", "--config", config])
    for program in programs:
        assert program.text() in shown.stdout
    assert [len(program) for program in programs] == [6, 4]


def test_sampled_programs_compile_and_run():
    (program,) = tracrlab.sample(vocab="abc", max_seq_len=4)
    model = tracrlab.compile(program, vocab="abc", max_seq_len=4)
    assert len(model.apply("abca")) == 4


def test_sample_refuses_what_no_zoo_can_have():
    with pytest.raises(TracrLabError, match="ops"):
        tracrlab.sample(ops=(5, 3))


def test_compress_gives_a_narrower_model_that_runs(hist):
    student = tracrlab.compress(hist, 0.8, steps=300)
    assert student.model.architecture.d_model < hist.architecture.d_model
    assert student.exact == (student.accuracy == 1)
    if student.exact:
        assert student.model.apply("abca") == [2, 1, 1, 2]


def test_compress_refines_what_a_linear_map_does_not_make_exact(hist):
    alone = tracrlab.compress(hist, 0.4, steps=50)
    refined = tracrlab.compress(hist, 0.4, steps=50, refine=True)
    assert not alone.exact
    assert refined.exact
    assert refined.refined
    assert refined.model.architecture.d_model == alone.model.architecture.d_model
    assert refined.model.apply("abca") == [2, 1, 1, 2]


def test_distil_gives_a_model_whatever_it_learned(hist):
    student = tracrlab.distil(hist, steps=20)
    assert 0 <= student.accuracy <= 1
    assert len(student.model.apply("ab")) == 2


def test_a_model_without_its_program_has_no_student(hist):
    with pytest.raises(TracrLabError, match="does not say which program"):
        tracrlab.compress(replace(hist, program=None))
    with pytest.raises(TracrLabError, match="above 0"):
        tracrlab.compress(hist, steps=0)


def test_decompile_takes_a_model_or_its_file(hist, tmp_path):
    torch.manual_seed(0)
    save(tmp_path / "decompiler", build(TOKENS), TOKENS)
    hist.save(tmp_path / "hist.safetensors")
    answers = [
        tracrlab.decompile(model, tmp_path / "decompiler", beams=2, most_beams=2)
        for model in (hist, tmp_path / "hist.safetensors")
    ]
    assert answers[0].verdict in ("verified", "plausible", "none")
    assert answers[0].program == answers[1].program


def test_decompile_names_what_is_no_decompiler(hist, tmp_path):
    with pytest.raises(TracrLabError, match="is no decompiler"):
        tracrlab.decompile(hist, tmp_path)


def test_decode_says_what_is_no_injected_model(tmp_path):
    with pytest.raises(TracrLabError):
        tracrlab.decode(tmp_path, "What is this?")


def test_return_types_are_real_names():
    """Annotations are strings; each must name something that can be imported."""
    from tracrlab.compiler import CompiledModel
    from tracrlab.rasp import Program
    from tracrlab.rasp.values import Value
    from tracrlab.students.student import Student

    names = {
        "Answer": object,
        "CompiledModel": CompiledModel,
        "Program": Program,
        "Student": Student,
        "Value": Value,
        "pd": pd,
    }
    for name in ("sample", "compress", "distil", "decompile", "decode"):
        hints = typing.get_type_hints(getattr(api, name), globalns=vars(api) | names)
        assert "return" in hints
