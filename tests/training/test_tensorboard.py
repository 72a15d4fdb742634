"""What a monitor sees arrives in TensorBoard: scalars, gates on the logit axis, and the film as an image."""

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn
from torch.utils.tensorboard import SummaryWriter

from headgate.inspection.film import Film
from headgate.inspection.gates import LOGIT_EDGES
from headgate.inspection.monitor import Look, Monitor
from headgate.training.tensorboard import (
    GREY,
    HEIGHT,
    LEGEND,
    LOSS_HEIGHT,
    RED,
    VIRIDIS,
    WHITE,
    WIDTH,
    colours,
    film_image,
    write_film,
    write_look,
)

T, B, I, H = 120, 3, 2, 4  # noqa: E741 - the field's letter


@pytest.fixture(scope="module")
def looks():
    """A layer looked at twice."""
    torch.manual_seed(0)
    layer = nn.GRU(I, H)
    monitor, found = Monitor(layer, every=1, budget=None), []
    for step in range(2):
        with monitor.step(step) as look:
            loss = layer(torch.randn(T, B, I))[0][-1].square().sum()
            loss.backward()
            look.report(loss, norm=2.0, clip=1.0)
        found.append(look)
    return monitor, found


def events(folder):
    read = EventAccumulator(str(folder), size_guidance={"histograms": 0, "images": 0, "scalars": 0})
    return read.Reload()


def test_scalars_histograms_and_the_film_can_be_read_back(looks, tmp_path):
    monitor, found = looks
    with SummaryWriter(tmp_path) as writer:
        for look in found:
            write_look(writer, look)
        write_film(writer, monitor.film, step=1, warned={"l0": [1]})
    read = events(tmp_path)
    for tag, value in found[1].scalars.items():
        assert [event.step for event in read.Scalars(tag)] == [0, 1]
        assert read.Scalars(tag)[1].value == pytest.approx(value)
    tags = {tag.removeprefix("rnn/l0/") for tag in read.Tags()["scalars"]}
    expected = {"horizon_stored", "horizon_trainable", "tau_p50", "tau_p90", "tau_max", "rnn/clip_rate", "rnn/warnings"}
    expected |= {f"{name}_lag{lag}" for name in ("ratio", "highway_share") for lag in (1, 10, 100)}
    assert tags == expected | {f"sat_{gate}_{end}" for gate in "rz" for end in ("lo", "hi")}
    gate = found[1].glances["l0"].gates["z"]
    histogram = read.Histograms("rnn/l0/logit_z")[1].histogram_value
    assert histogram.num == T * B * H == sum(histogram.bucket)
    assert histogram.sum == pytest.approx(gate.total)
    assert dict(zip(histogram.bucket_limit, histogram.bucket, strict=True)) == {
        limit: count for limit, count in zip(LOGIT_EDGES[1:], gate.histogram, strict=True)
    }
    (image,) = read.Images("rnn/l0/film")
    assert (image.width, image.height) == (WIDTH + LEGEND, LOSS_HEIGHT + HEIGHT)


def test_nothing_is_written_between_looks_and_histograms_only_if_asked(looks, tmp_path):
    with SummaryWriter(tmp_path) as writer:
        write_look(writer, Look())
        write_look(writer, looks[1][0], histograms=False)
    tags = events(tmp_path).Tags()
    assert tags["histograms"] == [] and {event.step for event in events(tmp_path).Scalars(tags["scalars"][0])} == {0}


def test_a_film_without_looks_is_no_image(tmp_path):
    with SummaryWriter(tmp_path) as writer:
        write_film(writer, Film(), step=0)
    assert events(tmp_path).Tags()["images"] == []


# --- the image --------------------------------------------------------------------------------------------------


def made_up(loss=(0.2, 0.2, 0.1), **changes):
    """Three looks, at which every lag is at 1, 1e-4 and 1e-8."""
    film = np.repeat([[0.0], [-4.0], [-8.0]], 11, axis=1)
    arrays = {"film_steps": np.array([0, 100, 200]), "film": film, "lags": np.arange(11)}
    return arrays | {"film_loss": np.array(loss, dtype=float)} | changes


def test_a_look_is_shown_until_the_next_in_its_colour():
    image = film_image(made_up())
    assert image.shape == (LOSS_HEIGHT + HEIGHT, WIDTH + LEGEND, 3) and image.dtype == np.uint8
    below = image[LOSS_HEIGHT:, :WIDTH]
    assert (below == below[:1]).all(), "every lag is the same here"
    row = below[0]
    assert (row[: WIDTH // 2 - 1] == VIRIDIS[-1]).all() and (row[-1] == VIRIDIS[0]).all()
    assert (row[WIDTH // 2 + 1 : -1] == VIRIDIS[5]).all()
    assert (image[LOSS_HEIGHT, -1] == VIRIDIS[-1]).all() and (image[-1, -1] == VIRIDIS[0]).all()


def test_the_long_lags_are_above():
    film = np.tile(-0.8 * np.arange(11.0), (3, 1))
    column = film_image(made_up(film=film))[LOSS_HEIGHT:, 0]
    assert (column[0] == VIRIDIS[0]).all() and (column[-1] == colours(np.array(-0.8))).all()


def test_what_was_not_seen_is_grey_and_what_exploded_is_white():
    film = np.zeros((3, 11))
    film[1], film[2] = 2.0, np.nan
    row = film_image(made_up(film=film))[LOSS_HEIGHT, :WIDTH]
    assert (row[WIDTH * 3 // 4] == WHITE).all() and (row[-1] == GREY).all() and (row[0] == VIRIDIS[-1]).all()


def test_the_image_can_be_wrong():
    """A film a decade lower has other colours."""
    assert not np.array_equal(film_image(made_up()), film_image(made_up(film=made_up()["film"] - 1.0)))


def test_pins_stand_at_their_steps_and_the_loss_falls():
    strip = film_image(made_up(), pins=[100])[:LOSS_HEIGHT, :WIDTH]
    red = np.flatnonzero((strip == RED).all(-1).all(0))
    assert abs(red.mean() - WIDTH / 2) < 2
    dark = (strip.sum(-1) < 150).argmax(0)
    assert dark[0] < dark[-1], "the loss is drawn downwards"


def test_a_loss_that_falls_by_decades_is_drawn_on_a_log_axis_and_one_below_zero_is_not():
    def heights(loss):
        strip = film_image(made_up(loss))[:LOSS_HEIGHT, :WIDTH]
        return (strip.sum(-1) < 150).argmax(0)[[0, WIDTH * 3 // 4, WIDTH - 1]]

    top, middle, bottom = heights((1.0, 1e-2, 1e-4))
    assert abs(middle - (top + bottom) / 2) <= 1
    top, middle, bottom = heights((1.0, 0.0, -1.0))
    assert abs(middle - (top + bottom) / 2) <= 1


@pytest.mark.parametrize("loss", [(np.nan,) * 3, (0.1, np.nan, 0.2), (0.1,) * 3], ids=["unknown", "holes", "flat"])
def test_a_loss_that_is_not_known(loss):
    strip = film_image(made_up(loss))[:LOSS_HEIGHT, :WIDTH]
    drawn = (strip.sum(-1) < 150).any(0)
    assert drawn[0] == np.isfinite(loss[0]) and drawn[WIDTH // 2 + 5] == np.isfinite(loss[1])


def test_one_look_at_sequences_of_one_step():
    image = film_image({"film_steps": [7], "film": np.zeros((1, 1)), "lags": [0], "film_loss": [1.0]})
    assert (image[LOSS_HEIGHT:, :WIDTH] == GREY).all(), "there is no lag to show"
