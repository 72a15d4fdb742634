"""What is left of a measurement on disk: all of it, equal, and readable by anyone."""

import json

import numpy as np
import pytest
import torch
from comparing import assert_all_close
from inspection.watching import CELLS, B, H, I, T, layer_of, watched
from nn.layer_runs import normal

import headgate as hg
from headgate.graph import equations
from headgate.inspection import Record
from headgate.inspection.schema import ARRAYS

PARTS = ["l0", "l0_reverse", "l1", "l1_reverse"]


def assert_equal(actual, expected):
    """To the bit, NaN included, and of the same dtypes."""
    assert (actual.name, actual.facts) == (expected.name, expected.facts)
    assert list(actual.arrays) == list(expected.arrays)
    for name, value in expected.arrays.items():
        np.testing.assert_array_equal(actual.arrays[name], value, err_msg=name, strict=True)


def seen_of(cell="lstm", **options):
    layer = layer_of(CELLS[cell], **options)
    return watched(layer, normal(T, B, I, dtype=layer.weight_ih_l0.dtype), lengths=[3, 5, 0, 2])[0]


def test_what_a_record_holds():
    trace = seen_of()["l1_reverse"]
    record = trace.record()
    assert record.name == "l1_reverse"
    facts = {
        "cell": "LSTM",
        "equations": equations(CELLS["lstm"]),
        "memory": "c",
        "gates": ["i", "f", "g", "o"],
        "gate_kinds": {"i": "gate", "f": "gate", "g": "candidate", "o": "gate"},
        "keeps": "f",
        "paths": ["highway", "i", "f", "g", "o", "readout"],
        "hidden_size": H,
        "steps": T,
        "rows": B,
        "reverse": True,
        "dtype": "float64",
    }
    assert set(record.facts["missing"]) == {"ablation", "kill"}
    assert all(why.startswith("measured by examine, which runs") for why in record.facts["missing"].values())
    assert {name: record.facts[name] for name in facts} == facts
    assert set(record.arrays) <= set(ARRAYS) and record.arrays["lengths"].tolist() == [3, 5, 0, 2]
    expected = np.log10(trace.lag_profile()[1])
    np.testing.assert_allclose(trace.record(sources=1).arrays["lag_profile"][1], expected, rtol=1e-10)
    np.testing.assert_array_equal(record.arrays["highway_share"], trace.highway_share())
    assert_all_close({"timescales": record.arrays["timescales"]}, {"timescales": trace.timescales()}, 1e-12)


def test_a_reversed_runs_arrays_stand_in_time():
    trace = seen_of()["l1_reverse"]
    arrays, active = trace.record().arrays, torch.arange(T)[:, None] < torch.tensor([3, 5, 0, 2])
    means = [(value * active[..., None]).sum((1, 2)) / (active.sum(1) * H) for value in trace.gates.values()]
    np.testing.assert_allclose(arrays["gate_mean"], torch.stack(means), rtol=1e-12)
    norms = trace.gradients().norm[0][::-1]
    np.testing.assert_allclose(arrays["gradient_norm"], [np.nanmedian(row) for row in norms], rtol=1e-12)
    assert arrays["bins"].tolist() == list(range(T))


def test_an_array_that_nobody_described_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no array 'more' is described"):
        Record("l0", {}, {"more": np.zeros(3)}).save(tmp_path)
    with pytest.raises(ValueError, match="has 2 along 'H', but timescales has 3"):
        Record("l0", {}, {"timescales": np.zeros(3), "resets": np.zeros(2)}).save(tmp_path)
    with pytest.raises(ValueError, match=r"timescales has 2 axes, but is described as \[H\]"):
        Record("l0", {}, {"timescales": np.zeros((3, 1))}).save(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("cell", CELLS)
def test_facts_are_json_of_every_cell(cell):
    """As json.dumps writes it, without NaN or infinity, which are no JSON."""
    for name in (seen := seen_of(cell)):
        facts = seen[name].record().facts
        assert json.loads(json.dumps(facts, allow_nan=False)) == facts


def test_a_cell_without_gates_or_highway():
    record = seen_of("rnn")["l0"].record()
    assert not {"timescales", "survival", "gate_values", "provenance"} & set(record.arrays)
    missing = record.facts["missing"]
    assert record.facts["gates"] == [] and set(missing) == {"timescales", "provenance", "ablation", "kill"}
    assert missing["ablation"] == "RNN has no gates"


@pytest.mark.parametrize("cell", ["lstm", "rnn", "greff_fgrp"])
def test_saved_and_loaded(cell, tmp_path):
    record = seen_of(cell)["l0"].record()
    where = tmp_path / "runs" / "one"
    assert record.save(str(where)) == where
    assert sorted(path.name for path in where.iterdir()) == ["arrays.npz", "record.json"]
    assert_equal(Record.load(where), record)


def test_saved_again_in_the_same_place(tmp_path):
    seen = seen_of()
    seen["l0"].record().save(tmp_path)
    seen["l1"].record().save(tmp_path)
    assert_equal(Record.load(tmp_path), seen["l1"].record())


@pytest.mark.parametrize("nested", [True, False], ids=["nested", "bare"])
def test_a_whole_model_saved(nested, tmp_path):
    layer = layer_of(CELLS["gru"])
    model = torch.nn.ModuleDict({"encoder": torch.nn.ModuleDict({"gru": layer})}) if nested else layer
    with hg.watch(model) as seen:
        layer(normal(T, B, I))[0].square().sum().backward()
    prefix = "encoder.gru." if nested else ""
    assert seen.save(tmp_path / "record") == tmp_path / "record"
    assert sorted(path.name for path in (tmp_path / "record").iterdir()) == [prefix + part for part in PARTS]
    for name in seen:
        assert_equal(Record.load(tmp_path / "record" / name), seen[name].record())


def test_a_direction_that_the_loss_does_not_read_is_saved_with_the_reason(tmp_path):
    layer = layer_of(CELLS["lstm"], num_layers=1)
    with hg.watch(layer) as seen:
        layer(normal(T, B, I))[0][..., :H].sum().backward()
    seen.save(tmp_path)
    read, unread = (Record.load(tmp_path / name) for name in PARTS[:2])
    assert "1e-3" in read.facts["horizons"]["trainable"] and "gradients" not in read.facts["missing"]
    assert unread.facts["missing"]["gradients"].startswith("l0_reverse: the loss depends on nothing")
    assert {"gate_values", "timescales"} <= set(unread.arrays)
    assert "lag_profile" not in unread.arrays and "1e-3" not in unread.facts["horizons"]["trainable"]


def test_a_run_without_gradients_is_saved_with_the_reason(tmp_path):
    layer = layer_of(CELLS["lstm"], num_layers=1, bidirectional=False)
    with hg.watch(layer) as seen, torch.no_grad():
        layer(normal(T, B, I))
    seen.save(tmp_path)
    assert "it ran without gradients" in Record.load(tmp_path / "l0").facts["missing"]["gradients"]


def test_a_float32_layer_has_the_same_dtypes():
    record, expected = (seen_of(dtype=dtype)["l0"].record() for dtype in (torch.float32, torch.float64))
    assert {n: v.dtype for n, v in record.arrays.items()} == {n: v.dtype for n, v in expected.arrays.items()}
    assert record.arrays["gate_values"].dtype == np.float32 and record.arrays["lag_profile"].dtype == np.float64


@pytest.mark.parametrize("there", [True, False], ids=["empty folder", "no folder"])
def test_a_folder_that_holds_no_record(there, tmp_path):
    where = tmp_path if there else tmp_path / "nowhere"
    with pytest.raises(ValueError) as error:
        Record.load(where)
    assert str(error.value) == f"Record.load: {where} holds no record.json; give a folder that `save` wrote."


@pytest.mark.parametrize("schema", [0, 1, "2", None])
def test_a_record_of_another_schema(schema, tmp_path):
    seen_of()["l0"].record().save(tmp_path)
    path = tmp_path / "record.json"
    content = json.loads(path.read_text())
    content["schema"] = schema
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError) as error:
        Record.load(tmp_path)
    expected = f"Record.load: {path} has schema {schema!r}, but this headgate reads 2; measure again."
    assert str(error.value) == expected


def test_arrays_are_read_without_pickle(tmp_path):
    """A record may come from anyone; code in it must not run."""
    seen_of()["l0"].record().save(tmp_path)
    np.savez(tmp_path / "arrays.npz", lengths=np.array([print], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle=False"):
        Record.load(tmp_path)
