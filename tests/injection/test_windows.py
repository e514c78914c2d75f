"""Windows of text, with what the frozen original says on them."""

import numpy as np
import pytest
import torch

from tests.injection.tiny import gpt2
from tracrlab.errors import TracrLabError
from tracrlab.injection.batch import Batch
from tracrlab.injection.methods import InjectionStep
from tracrlab.injection.reference import Reference
from tracrlab.injection.streams import StreamModel
from tracrlab.injection.windows import TextWindows, draw_predictions, load_windows, save_windows
from tracrlab.sections.injection import InjectionConfig

TOKENS = np.random.default_rng(0).integers(0, 60, size=(6, 9))


@pytest.fixture(scope="module")
def sharp():
    """A model whose predictions are far from uniform."""
    model = gpt2().eval()
    with torch.no_grad():
        model.get_output_embeddings().weight.mul_(8)
    return model


@pytest.fixture(scope="module")
def text(sharp):
    return TextWindows(TOKENS, *draw_predictions(sharp, TOKENS, 400, seed=0))


def test_draws_are_as_frequent_as_the_model_says(sharp, text):
    with torch.no_grad():
        logits = sharp(torch.from_numpy(TOKENS)).logits
    expected = logits.softmax(-1).numpy()
    found = (text.drawn[..., None] == np.arange(expected.shape[-1])).mean(axis=2)
    assert expected.max() > 0.3
    # a share of 400 draws lies within four standard errors
    assert (np.abs(found - expected) < 4 * np.sqrt(0.25 / 400)).all()
    own = logits.gather(2, torch.from_numpy(text.drawn).long()).numpy()
    np.testing.assert_allclose(text.logits, own, atol=1e-4)


def test_draws_depend_on_the_seed_alone(sharp, text):
    again, _ = draw_predictions(sharp, TOKENS, 400, seed=0)
    other, _ = draw_predictions(sharp, TOKENS, 400, seed=1)
    assert (again == text.drawn).all()
    assert (other != text.drawn).any()


def test_the_loss_of_draws_is_near_that_of_whole_predictions(sharp, text):
    places = np.tile(np.arange(9), (6, 1))
    none = np.zeros(0, dtype=np.int64)
    batch = Batch(*(none,) * 9, None, np.arange(6), places, none)
    cpu = torch.device("cpu")
    exact = Reference(StreamModel(sharp), TextWindows(TOKENS), cpu).part(batch)
    sampled = Reference(StreamModel(sharp), text, cpu).part(batch)
    other = StreamModel(gpt2().eval())
    torch.manual_seed(0)
    with torch.no_grad():
        for own, theirs in zip(other.model.parameters(), sharp.parameters(), strict=True):
            own.copy_(theirs * (1 + 0.5 * torch.randn_like(theirs)))
        losses = [InjectionStep.text(other, part).item() for part in (exact, sampled)]
    assert losses[0] > 0.01
    assert losses[1] == pytest.approx(losses[0], rel=0.1)


@pytest.mark.parametrize("drawn", [True, False])
def test_a_file_holds_them(tmp_path, text, drawn):
    path = tmp_path / "text.safetensors"
    kept = text if drawn else TextWindows(TOKENS)
    save_windows(path, kept)
    config = InjectionConfig(text_length=9, text_draws=400 if drawn else 0)
    loaded = load_windows(path, config)
    assert loaded.arrays.keys() == kept.arrays.keys()
    assert all((loaded.arrays[name] == array).all() for name, array in kept.arrays.items())


def test_windows_of_another_configuration_are_refused(tmp_path, text):
    path = tmp_path / "text.safetensors"
    save_windows(path, text)
    with pytest.raises(TracrLabError, match=r"injection.text_draws 400 and it is 8; make them"):
        load_windows(path, InjectionConfig(text_length=9, text_draws=8))
    with pytest.raises(TracrLabError, match=r"injection.text_length 9 and it is 70; make them"):
        load_windows(path, InjectionConfig(text_draws=400))


def test_one_draw_is_no_difference():
    with pytest.raises(ValueError, match="give 2 or more, or 0"):
        InjectionConfig(text_draws=1)
