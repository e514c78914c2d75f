"""The decompiler that comes with the package."""

import tomllib
from pathlib import Path

import pytest

from tracrlab import compress, distil
from tracrlab.compiler import compile_table
from tracrlab.decompiler.decompiling import SHIPPED, Decompiler, Search
from tracrlab.decompiler.model_folder import CONFIG_FILE, MODEL_FILE, load
from tracrlab.rasp import Domain, Program, evaluate
from tracrlab.rasp.library import LIBRARY
from tracrlab.rasp.sampler import SamplerSettings, sample

ROOT = Path(__file__).parents[2]
MEGABYTES = 1e6
#: As in the zoo that it was trained on, drawn from another seed.
FRESH = SamplerSettings((0, 1, 2, 3, 4), 5, min_ops=3, max_ops=3)


@pytest.fixture(scope="module")
def shipped():
    return Decompiler.load(SHIPPED)


def test_it_is_small_and_in_half_precision():
    assert (SHIPPED / MODEL_FILE).stat().st_size < 20 * MEGABYTES
    assert '"precision": "float16"' in (SHIPPED / CONFIG_FILE).read_text()


def test_it_comes_with_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (pattern,) = (
        name for name in project["tool"]["setuptools"]["package-data"]["tracrlab"] if "ship" in name
    )
    found = {path.name for path in (ROOT / "src" / "tracrlab").glob(pattern)}
    assert {MODEL_FILE, CONFIG_FILE, "README.md"} <= found


def test_its_card_names_its_training_and_its_figures():
    card, training = (SHIPPED / "README.md").read_text(), load(SHIPPED).description.training
    assert "tracrlab train-decompiler" in card
    for value in (training["samples"], training["steps"], training["parameters"]):
        assert f"{value:,}" in card


def test_fresh_programs_are_written_and_verified(shipped):
    """Eight models that no zoo holds; what is verified was run on every input."""
    models = [compile_table(sample(FRESH, 987654, index).table) for index in range(8)]
    answers = shipped.decompile(models, Search(8, 32))
    assert all(answer.program is not None for answer in answers)
    assert sum(answer.verdict == "verified" for answer in answers) >= 4


@pytest.mark.parametrize("trained", ["compressed", "natural"])
def test_a_student_is_read_too(shipped, trained):
    """Its weights are not arranged as a compiler arranges them."""
    program = LIBRARY["hist"].program
    model = compile_table(evaluate(program, Domain(("a", "b", "c"), 4)))
    student = compress(model, 0.6) if trained == "compressed" else distil(model)
    [answer] = shipped.decompile([student.model], Search(8, 64))
    if trained == "compressed":
        assert answer.verdict == "verified"
    else:  # training from scratch ends elsewhere on another processor
        assert answer.verdict in ("verified", "plausible")


@pytest.mark.parametrize("name", ["hist", "count", "sort_unique", "length"])
def test_library_programs_over_letters_come_back(shipped, name):
    """It was trained on numbers alone, over another vocabulary; execution says what is right."""
    entry = LIBRARY[name]
    model = compile_table(evaluate(entry.program, Domain(entry.vocab, entry.max_seq_len)))
    [answer] = shipped.decompile([model], Search(8, 64))
    assert answer.verdict == "verified"
    assert answer.program == entry.program
    assert Program.from_text(answer.program.text()) == answer.program
    again = compile_table(evaluate(answer.program, Domain(entry.vocab, entry.max_seq_len)))
    assert again.apply(entry.example) == pytest.approx(entry.expected)
