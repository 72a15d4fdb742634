"""A trained model on disk: it comes back as it was, and what is no such folder is refused."""

from __future__ import annotations

import tomllib
from dataclasses import fields, replace

import pytest
import torch
from training.small import own_cell

from headgate import cells, tasks
from headgate.training.model_folder import SETTINGS, ModelFolder
from headgate.training.network import Network, seeded_network

H = 4


def sizes(task: str, cell) -> tuple:
    about = tasks.get(task)
    return cell, about.input_size, H, about.output_size, about.reads


def stored(task: str = "adding", cell: str = "lstm", seed: int = 3) -> tuple[ModelFolder, Network]:
    network = seeded_network(seed, *sizes(task, cells.load(cell) if ":" in cell else cells.get(cell)))
    weights = {name: value.detach() for name, value in network.state_dict().items()}
    return ModelFolder(task, cell, H, seed, 70, weights), network


def answers(network: Network, task: str = "adding"):
    return network(tasks.get(task).held_out().input[:, :3])


@pytest.mark.parametrize("cell", cells.names())
def test_every_cell_comes_back_and_answers_the_same(cell, tmp_path):
    model, network = stored(cell=cell)
    assert model.save(tmp_path / "deep" / "model") == tmp_path / "deep" / "model"
    loaded = ModelFolder.load(tmp_path / "deep" / "model")
    assert replace(loaded, weights={}) == replace(model, weights={})
    assert loaded.weights.keys() == model.weights.keys()
    assert all(torch.equal(value, model.weights[name]) for name, value in loaded.weights.items())
    again = loaded.network()
    assert not again.training and torch.equal(answers(again), answers(network))


def test_mutant_a_weight_that_is_not_the_same_is_noticed(tmp_path):
    model, network = stored()
    weights = {name: value.clone() for name, value in model.weights.items()}
    weights["rnn.bias_hh_l0"][0] += 1e-3
    replace(model, weights=weights).save(tmp_path)
    assert not torch.equal(answers(ModelFolder.load(tmp_path).network()), answers(network))


def test_a_cell_of_ones_own_comes_back_from_its_file(tmp_path):
    model, network = stored(cell=own_cell(tmp_path))
    loaded = ModelFolder.load(model.save(tmp_path / "model"))
    assert torch.equal(answers(loaded.network()), answers(network))
    (tmp_path / "own.py").write_text("1 / 0\n")
    with pytest.raises(ValueError, match=r"own\.py:Own cannot be used: ZeroDivisionError: division by zero"):
        loaded.network()
    (tmp_path / "own.py").unlink()
    with pytest.raises(ValueError, match=r"own\.py:Own' is not a file and a name"):
        loaded.network()


def test_building_it_draws_nothing_and_weights_that_share_memory_are_kept(tmp_path):
    model, network = stored()
    before = torch.get_rng_state()
    weights = {name: value.t().contiguous().t() if value.dim() == 2 else value for name, value in model.weights.items()}
    weights["rnn.bias_hh_l0"] = weights["rnn.bias_ih_l0"]
    shared = ModelFolder.load(replace(model, weights=weights).save(tmp_path)).network()
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(shared.rnn.weight_ih_l0, network.rnn.weight_ih_l0)
    assert torch.equal(shared.rnn.bias_hh_l0, network.rnn.bias_ih_l0)


def test_saved_again_it_is_replaced(tmp_path):
    stored(seed=1)[0].save(tmp_path)
    second, _ = stored(task="digits", cell="gru", seed=2)
    second.save(tmp_path)
    assert ModelFolder.load(tmp_path).task == "digits" and ModelFolder.load(tmp_path).seed == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.toml", "model.safetensors"]


def test_settings_are_the_fields():
    assert list(SETTINGS) == [field.name for field in fields(ModelFolder) if field.name != "weights"]
    assert all(field.type == SETTINGS[field.name].__name__ for field in fields(ModelFolder) if field.name in SETTINGS)


WRONG = {
    "schema": ("schema = 1", "schema = 9", "was not written by this version of headgate"),
    "no schema": ("schema = 1\n", "", "was not written by this version of headgate"),
    "not toml": ("task =", "task", "is damaged"),
    "a setting more": ("steps = 70", "steps = 70\ndepth = 1", "has a setting 'depth', which is not known"),
    "a setting less": ("steps = 70\n", "", "steps is None, which it cannot be"),
    "words": ("hidden_size = 4", 'hidden_size = "4"', "hidden_size is '4', which it cannot be"),
    "a half": ("hidden_size = 4", "hidden_size = 4.5", "hidden_size is 4.5, which it cannot be"),
    "none": ("hidden_size = 4", "hidden_size = 0", "hidden_size is 0, which it cannot be"),
    "true": ("seed = 3", "seed = true", "seed is True, which it cannot be"),
    "a number": ('task = "adding"', "task = 7", "task is 7, which it cannot be"),
}


@pytest.mark.parametrize(("old", "new", "words"), WRONG.values(), ids=WRONG)
def test_settings_that_are_none(tmp_path, old, new, words):
    stored()[0].save(tmp_path)
    config = tmp_path / "config.toml"
    text = config.read_text()
    assert old in text and tomllib.loads(text)["schema"] == 1
    config.write_text(text.replace(old, new))
    with pytest.raises(ValueError) as caught:
        ModelFolder.load(tmp_path)
    assert words in str(caught.value) and str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("content", (b"", b"\x00" * 7, b"\xff" * 64, b"not safetensors at all, by any means"))
def test_weights_that_are_none(tmp_path, content):
    stored()[0].save(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(ValueError, match="is damaged"):
        ModelFolder.load(tmp_path)


@pytest.mark.parametrize("name", ("config.toml", "model.safetensors"))
def test_half_a_folder(tmp_path, name):
    stored()[0].save(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(ValueError, match=f"holds no {name}; give a folder of a trained model"):
        ModelFolder.load(tmp_path)


def test_weights_of_another_network():
    model, _ = stored()
    for changes in ({"hidden_size": 5}, {"cell": "gru"}, {"task": "digits"}):
        with pytest.raises(ValueError, match="weights do not fit its settings: ") as caught:
            replace(model, **changes).network()
        assert "\n" not in str(caught.value) and not str(caught.value).endswith(": ")
    lacking = {name: value for name, value in model.weights.items() if name != "head.bias"}
    with pytest.raises(ValueError, match=r"head\.bias"):
        replace(model, weights=lacking).network()
    with pytest.raises(KeyError, match="no task named"):
        replace(model, task="addition").network()
