"""The fit loop: the same as Keras' own, exact after a break, with the best weights at the end."""

import keras
import numpy as np
import pytest

from zoo.errors import JobError, UsageError
from zoo.training.epochs import CompiledEpochs, CompiledScores, benefits_from_xla, can_compile
from zoo.training.fit_loop import fit
from zoo.training.fit_settings import FitSettings
from zoo.training.preprocessed_arrays import Arrays
from zoo.training.recorder import MemoryRecorder
from zoo.training.training_state import FitPlan, Monitor

rng = np.random.default_rng(0)
ROWS, FEATURES = 22, 3
X = rng.normal(size=(ROWS, FEATURES)).astype(np.float32)
Y = (X[:, 0] + 0.5 * rng.normal(size=ROWS) > 0).astype(np.int32)
WEIGHT = rng.random(ROWS).astype(np.float32)
TRAIN, VALIDATION = Arrays({"features": X[:15]}, Y[:15]), Arrays({"features": X[15:]}, Y[15:])


def network(seed=0, *, dropout=0.0, rate=0.05, optimizer="sgd", kind=keras.Model, metrics=(), **options):
    keras.utils.set_random_seed(seed)
    inputs = {"features": keras.Input((FEATURES,), name="features")}
    x = keras.layers.Dense(4, activation="tanh")(inputs["features"])
    x = keras.layers.Dropout(dropout)(x) if dropout else x
    model = kind(inputs, keras.layers.Dense(1, activation="sigmoid")(x))
    optimizer = keras.optimizers.get({"class_name": optimizer, "config": {"learning_rate": rate}})
    model.compile(optimizer, "binary_crossentropy", weighted_metrics=list(metrics), **options)
    return model


def weights(model):
    return [weight.numpy() for weight in model.weights]


def same(one, two):
    return all(np.array_equal(a, b) for a, b in zip(weights(one), weights(two), strict=True))


def plan(epochs=4, *, patience=99, batch_size=4, min_delta=0.0, **options):
    options.setdefault("recorder", MemoryRecorder())
    return FitPlan(FitSettings(batch_size, epochs, patience, min_delta), **options)


def scripted(values, direction="min"):
    """A monitor whose scores are given beforehand."""
    left = iter(values)
    return Monitor("val_scripted", direction, lambda output: next(left))


class Remember(keras.callbacks.Callback):
    """Keeps the weights after each epoch, and does something at the end of some."""

    def __init__(self, at=None, act=None):
        super().__init__()
        self.at, self.act = at, act
        self.seen, self.logs, self.models = [], [], []

    def on_epoch_end(self, epoch, logs=None):
        self.logs.append(dict(logs or {}))
        self.models.append(self.model)
        self.seen.append(weights(self.model))
        if epoch + 1 == self.at:
            self.act(self)


def stop(callback):
    callback.model.stop_training = True


def interrupt(callback):
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    "batch_size, weight, xla",
    [
        (5, None, False),
        (5, WEIGHT, False),
        pytest.param(5, None, True, marks=pytest.mark.slow),
        (5, WEIGHT, True),
        (11, None, False),
        (22, None, False),
    ],
)
def test_an_epoch_equals_that_of_keras(batch_size, weight, xla):
    ours, theirs = (network(optimizer="adam", metrics=["accuracy"]) for _ in range(2))
    epochs = CompiledEpochs(ours, Arrays({"features": X}, Y, weight), batch_size, xla=xla)
    history = theirs.fit(
        {"features": X}, Y, sample_weight=weight, batch_size=batch_size, epochs=3, shuffle=False, verbose=0
    ).history
    for epoch in range(3):
        logs = epochs.run(np.arange(ROWS), None)
        assert logs == pytest.approx({name: values[epoch] for name, values in history.items()}, abs=1e-5)
    for one, two in zip(weights(ours), weights(theirs), strict=True):
        assert np.allclose(one, two, atol=1e-5)


def test_rates_reach_the_optimizer_step_by_step():
    ours, theirs = network(), network()
    rates = np.array([0.5, 0.0, 0.1], np.float32)
    CompiledEpochs(ours, Arrays({"features": X}, Y), 10, xla=False).run(np.arange(ROWS), rates)
    for rate, rows in zip(rates, (slice(0, 10), slice(10, 20), slice(20, 22)), strict=True):
        theirs.optimizer.learning_rate = rate
        theirs.train_on_batch({"features": X[rows]}, Y[rows])
    for one, two in zip(weights(ours), weights(theirs), strict=True):
        assert np.allclose(one, two, atol=1e-6)


def test_scores_are_those_of_keras():
    model = network()
    loss, output = CompiledScores(model, Arrays({"features": X}, Y, WEIGHT)).loss_and_prediction()
    assert loss == pytest.approx(model.evaluate({"features": X}, Y, sample_weight=WEIGHT, verbose=0), abs=1e-5)
    assert np.allclose(output, model.predict({"features": X}, verbose=0), atol=1e-6)


def test_many_rows_are_scored_in_chunks():
    x = rng.normal(size=(20_000, FEATURES)).astype(np.float32)
    model = network()
    assert np.allclose(
        CompiledScores(model, Arrays({"features": x}, None)).predict(), model({"features": x}).numpy(), atol=1e-6
    )


@pytest.mark.parametrize("stop_after", [1, 3])
def test_after_a_break_the_weights_are_the_same(tmp_path, stop_after):
    options = {"epochs": 5, "seed": 3}
    hyperparameters = {"dropout": 0.3, "optimizer": "adam"}
    straight = network(**hyperparameters)
    expected = fit(straight, TRAIN, VALIDATION, plan(**options))
    path = tmp_path / "deep" / "checkpoint.npz"
    first = fit(
        network(**hyperparameters),
        TRAIN,
        VALIDATION,
        plan(**options, checkpoint=path, recorder=MemoryRecorder(stop_after)),
    )
    assert (first.stopped, first.epochs_run) == ("requested", stop_after)
    resumed = network(seed=9, **hyperparameters)
    result = fit(resumed, TRAIN, VALIDATION, plan(**options, checkpoint=path))
    assert same(resumed, straight)
    assert (result.history, result.best_epoch, result.epochs_run) == (expected.history, expected.best_epoch, 5)
    assert result.seconds >= first.seconds
    again = network(seed=8, **hyperparameters)
    assert fit(again, TRAIN, VALIDATION, plan(**options, checkpoint=path)).epochs_run == 5
    assert same(again, straight)


def test_a_break_where_patience_ran_out_is_no_second_chance(tmp_path):
    path = tmp_path / "checkpoint.npz"
    options = {"patience": 2, "checkpoint": path}
    first = fit(network(), TRAIN, VALIDATION, plan(monitor=scripted([1, 2, 3]), recorder=MemoryRecorder(3), **options))
    assert (first.stopped, first.epochs_run) == ("patience", 3)
    second = fit(network(), TRAIN, VALIDATION, plan(monitor=scripted([0]), **options))
    assert (second.stopped, second.epochs_run, second.best_epoch) == ("patience", 3, 1)


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    path = tmp_path / "checkpoint.npz"
    fit(network(), TRAIN, VALIDATION, plan(1, checkpoint=path))
    with pytest.raises(UsageError, match="the checkpoint does not match the network"):
        fit(network(dropout=0.5), TRAIN, VALIDATION, plan(2, checkpoint=path))
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint.npz"]


@pytest.mark.parametrize(
    "values, direction, min_delta, best, run, stopped",
    [
        ([5, 3, 4, 2], "min", 0, 4, 4, "epochs"),
        ([5, 3, 4, 4], "min", 0, 2, 4, "patience"),
        ([1, 2, 3, 1], "max", 0, 3, 4, "epochs"),
        ([1.0, 0.95, 0.85, 0.8], "min", 0.1, 3, 4, "epochs"),
        ([1.0, 0.95, 0.94, 0.85], "min", 0.2, 1, 3, "patience"),
        ([2, float("nan"), 1, 3], "min", 0, 3, 4, "epochs"),
        ([2, 2, 2], "min", 0, 1, 3, "patience"),
    ],
)
def test_best_weights_come_back(values, direction, min_delta, best, run, stopped):
    model, remember = network(), Remember()
    epochs = 4 if stopped == "epochs" else 9
    result = fit(
        model,
        TRAIN,
        VALIDATION,
        plan(epochs, patience=2, min_delta=min_delta, monitor=scripted(values, direction), callbacks=[remember]),
    )
    assert (result.best_epoch, result.epochs_run, result.stopped) == (best, run, stopped)
    assert all(np.array_equal(a, b) for a, b in zip(weights(model), remember.seen[best - 1], strict=True))
    assert np.array_equal(result.history["val_scripted"], values[:run], equal_nan=True)


def test_without_validation_all_epochs_are_trained():
    model, remember = network(), Remember()
    result = fit(model, TRAIN, None, plan(3, patience=1, callbacks=[remember]))
    assert (result.best_epoch, result.epochs_run, result.stopped) == (3, 3, "epochs")
    assert set(result.history) == {"loss", "learning_rate"}
    assert all(np.array_equal(a, b) for a, b in zip(weights(model), remember.seen[-1], strict=True))


def test_the_seed_decides_the_order_and_full_batches_have_none():
    results = [network() for _ in range(3)]
    for model, seed in zip(results, (0, 0, 1), strict=True):
        fit(model, TRAIN, VALIDATION, plan(2, seed=seed))
    assert same(results[0], results[1])
    assert not same(results[0], results[2])


@pytest.mark.parametrize("validation", [VALIDATION, None])
def test_a_loss_that_is_no_number_fails(validation):
    broken = Arrays({"features": np.full_like(X, np.nan)}, Y)
    with pytest.raises(JobError, match="training diverged"):
        fit(network(), broken, validation, plan())


def test_divergence_later_on_keeps_the_best():
    model = network()

    def spoil(callback):
        callback.model.layers[-1].bias.assign([np.nan])

    remember = Remember(2, spoil)
    result = fit(model, TRAIN, VALIDATION, plan(9, monitor=scripted([2, 1, 0]), callbacks=[remember]))
    assert (result.stopped, result.best_epoch, result.epochs_run) == ("diverged", 2, 3)
    assert np.isfinite(np.concatenate([value.ravel() for value in weights(model)])).all()


class OwnStep(keras.Model):
    def train_step(self, data):
        return super().train_step(data)


class EachBatch(Remember):
    def on_train_batch_end(self, batch, logs=None):
        pass


def full_model_of(model):
    inputs = {"features": keras.Input((FEATURES,), name="features")}
    return keras.Model(inputs, model(inputs))


WAYS = {
    "compiled": (keras.Model, Remember, None),
    "own train_step": (OwnStep, Remember, "training through keras.Model.fit: the model overrides train_step"),
    "batches": (
        keras.Model,
        EachBatch,
        "training through keras.Model.fit: the callback EachBatch has methods for batches",
    ),
}


@pytest.mark.parametrize("kind, callback, message", WAYS.values(), ids=WAYS)
def test_callbacks_see_the_whole_model_and_stop_it(kind, callback, message):
    model = network(kind=kind)
    full_model, remember = full_model_of(model), callback(2, stop)
    full_model.stop_training = True  # left over from an earlier training
    plan_ = plan(5, callbacks=[remember], full_model=full_model)
    result = fit(model, TRAIN, VALIDATION, plan_)
    assert (result.stopped, result.epochs_run) == ("requested", 2)
    assert remember.models == [full_model, full_model]
    assert set(remember.logs[0]) >= {"loss", "val_loss", "learning_rate"}
    assert [text.startswith(message or "nothing") for text in plan_.recorder.messages] == [True] * bool(message)


@pytest.mark.parametrize("kind, callback, message", WAYS.values(), ids=WAYS)
def test_an_interrupt_ends_with_the_best_weights(kind, callback, message):
    model, remember = network(kind=kind), callback(3, interrupt)
    result = fit(model, TRAIN, VALIDATION, plan(9, monitor=scripted([2, 1, 3]), callbacks=[remember]))
    assert (result.stopped, result.best_epoch) == ("interrupted", 2)
    assert all(np.array_equal(a, b) for a, b in zip(weights(model), remember.seen[1], strict=True))


@pytest.mark.parametrize("kind, callback, message", WAYS.values(), ids=WAYS)
def test_every_way_follows_schedule_and_patience(kind, callback, message):
    model, remember = network(kind=kind), callback()
    settings = FitSettings(batch_size=4, epochs=4, patience=2, schedule="cosine")
    plan_ = FitPlan(settings, monitor=scripted([1, 2, 3]), recorder=MemoryRecorder(), callbacks=[remember])
    result = fit(model, TRAIN, VALIDATION, plan_)
    assert (result.stopped, result.epochs_run, result.best_epoch) == ("patience", 3, 1)
    done = (np.arange(3) * 4 + 3) / 16
    assert np.allclose(result.history["learning_rate"], 0.05 * (1 + np.cos(np.pi * done)) / 2)
    assert plan_.recorder.history == result.history
    assert all(np.array_equal(a, b) for a, b in zip(weights(model), remember.seen[0], strict=True))


@pytest.mark.parametrize("callback", [Remember, EachBatch])
def test_an_interrupt_before_the_first_epoch_goes_on(callback):
    class AtOnce(callback):
        def on_epoch_begin(self, epoch, logs=None):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(network(), TRAIN, VALIDATION, plan(callbacks=[AtOnce()]))


def test_kerass_own_callbacks_work():
    model = network(rate=0.01)
    callbacks = [
        keras.callbacks.EarlyStopping(monitor="val_loss", patience=1, min_delta=9.0),
        keras.callbacks.ReduceLROnPlateau(monitor="loss", factor=0.5, patience=1, min_delta=9.0),
    ]
    result = fit(model, TRAIN, VALIDATION, plan(9, callbacks=callbacks[1:]))
    assert result.history["learning_rate"][-1] < 0.001
    assert fit(network(), TRAIN, VALIDATION, plan(9, callbacks=callbacks[:1])).epochs_run == 2


def test_what_can_be_compiled():
    assert can_compile(network()) is None
    assert "run eagerly" in can_compile(network(run_eagerly=True))
    assert "train_step" in can_compile(network(kind=OwnStep))


def test_xla_is_taken_where_it_pays():
    assert benefits_from_xla(network(), 4000)
    assert not benefits_from_xla(network(), 3999)
    images = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(2, 3)])
    assert not benefits_from_xla(images, 10**6)
    series = keras.Sequential([keras.Input((8, 1)), keras.layers.LSTM(2)])
    assert benefits_from_xla(series, 300)
    assert not benefits_from_xla(series, 299)
