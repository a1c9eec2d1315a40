"""Steps, batches and rates, and the recorders."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.training.fit_settings import FitSettings
from zoo.training.recorder import MemoryRecorder, Recorder, Recorders


@pytest.mark.parametrize(
    "batch_size, rows, steps, batch",
    [(500, 34_000, 68, 500), (500, 34_001, 69, 500), (0, 77, 1, 77), (32, 5, 1, 5), (1, 3, 3, 1)],
)
def test_iterations_of_an_epoch(batch_size, rows, steps, batch):
    settings = FitSettings(batch_size=batch_size)
    assert (settings.steps(rows), settings.batch(rows)) == (steps, batch)


def test_settings_are_read_by_name():
    settings = FitSettings.from_hyperparameters({"units": 3, "batch_size": 8, "epochs": 9})
    assert settings == FitSettings(batch_size=8, epochs=9)
    assert FitSettings.from_hyperparameters({"epochs": 9}, epochs=2).epochs == 2


@pytest.mark.parametrize(
    "options, epoch, expected",
    [
        ({}, 0, None),
        ({"warmup": 2}, 0, [0.25, 0.5]),
        ({"warmup": 2}, 1, [0.75, 1]),
        ({"warmup": 2}, 2, [1, 1]),
        ({"warmup": 2}, 3, None),
        ({"warmup": 0.5}, 0, [1, 1]),
        ({"schedule": "linear"}, 2, [0.5, 0.375]),
        ({"schedule": "cosine"}, 0, [1, (1 + np.cos(np.pi / 8)) / 2]),
        ({"schedule": "cosine"}, 2, [0.5, (1 + np.cos(np.pi * 5 / 8)) / 2]),
        ({"schedule": "exponential"}, 0, [1, 0.01 ** (1 / 8)]),
        ({"schedule": "exponential"}, 2, [0.1, 0.01 ** (5 / 8)]),
        ({"schedule": "exponential", "warmup": 1}, 0, [0.5, 0.01 ** (1 / 8)]),
    ],
)
def test_rates_of_an_epoch(options, epoch, expected):
    rates = FitSettings(epochs=4, **options).rates(2.0, epoch, 2)
    assert rates is None if expected is None else np.allclose(rates, 2 * np.array(expected))


@settings(deadline=None)
@given(
    st.sampled_from(["linear", "cosine", "exponential"]),
    st.integers(1, 20),
    st.integers(1, 9),
    st.just(0.0) | st.floats(0.01, 3),
)
def test_rates_stay_within_the_base(schedule, epochs, steps, warmup):
    settings = FitSettings(epochs=epochs, schedule=schedule, warmup=warmup)
    rates = np.concatenate([settings.rates(0.5, epoch, steps) for epoch in range(epochs)])
    assert rates.dtype == np.float32
    assert ((rates >= 0) & (rates <= 0.5)).all()
    falling = rates[int(np.ceil(warmup * steps)) :]
    assert (np.diff(falling) <= 0).all()


def test_recorders_pass_on():
    one, two = MemoryRecorder(), MemoryRecorder(stop_after=2)
    both = Recorders([one, two, Recorder()])
    both.start(3, "begin")
    both.say("hello")
    both.epoch(1, {"loss": 0.5})
    assert not both.stop_requested
    both.epoch(2, {"loss": 0.25})
    assert both.stop_requested
    for recorder in (one, two):
        assert recorder.history == {"loss": [0.5, 0.25]}
        assert recorder.messages == ["hello"]
