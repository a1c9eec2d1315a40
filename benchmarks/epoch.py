"""How long an epoch takes: zoo's compiled epochs against `keras.Model.fit` and the matrix products alone.

Two networks on adult's shape (32,561 rows, batches of 256): 108-128-128-1 on 108 prepared columns, and
the catalogue's `classification/mlp` with its defaults behind its own preparation. Each in a fresh process
with TensorFlow's default threads and in another with one thread; the sides take turns, and each has the
same arrays and begins with the same weights.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from _adult import ROWS, TARGET, adult_frame, prepared_columns
from _processes import Child, child_payload, import_tensorflow, tell_parent
from _results import Results, alternated, judged, read_arguments, say, spread

AIM_FIT = {"default": 0.3, "one": 0.4}
AIM_PRODUCTS, AIM_WEIGHTS = 2.0, 1e-5
NETWORKS = {"plain": "108-128-128-1", "catalogue": "classification/mlp"}
BATCH, DEFAULT_EPOCHS = 256, 200
ROUNDS, QUICK_ROUNDS = 9, 2
EPOCHS_A_ROUND = 3
QUICK_ROWS = 4000  # no multiple of the batch: the short last batch is part of the matter
STEPS_A_CALL = 32
SIDES = {
    "fit_s": "keras.Model.fit",
    "fit_steps_s": f"fit, {STEPS_A_CALL} steps a call",
    "plain_s": "zoo without XLA",
    "xla_s": "zoo with XLA",
    "products_s": "matrix products alone",
    "products_xla_s": "matrix products alone, XLA",
}


def main() -> None:
    """Measure and report; in a child, measure one network with one setting of threads."""
    payload = child_payload()
    if payload is not None:
        return _measure(payload)
    options = read_arguments(__doc__ or "")
    rows, rounds = (QUICK_ROWS, QUICK_ROUNDS) if options.quick else (ROWS, ROUNDS)
    data = "adult" if options.data is not None else "synthetic, of adult's shape"
    results = Results(__file__, options, {"rows": rows, "rounds": rounds, "data": data, "batch": BATCH})
    parts = ["facts", *(f"round {number}" for number in range(rounds))]
    for threads in AIM_FIT:
        for network in NETWORKS:
            prefix = f"{network}, {threads}, "
            missing = [part for part in parts if prefix + part not in results]
            if not missing:
                continue
            say(f"epoch: {NETWORKS[network]}, threads: {threads}")
            folder = str(options.data.resolve()) if options.data is not None else None
            child = Child(
                __file__, {"network": network, "threads": threads, "rows": rows, "data": folder, "parts": missing}
            )
            for answer in child.answers():
                results.add(prefix + answer.pop("part"), answer)
    return _report(results)


# --- in a child ---


@dataclass(frozen=True)
class _Case:
    """A network with its rows.

    Args:
        make: Returns the compiled network, with the given dropout, always with the same weights.
        x: Prepared inputs, as the network takes them.
        y: Target (N, 1).
    """

    make: Callable[[float], Any]
    x: Any
    y: np.ndarray


def _measure(payload: dict[str, Any]) -> None:
    import_tensorflow()
    import tensorflow as tf

    if payload["threads"] == "one":
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    data = Path(payload["data"]) if payload["data"] else None
    frame = adult_frame(data, payload["rows"])
    case = _plain_case(frame) if payload["network"] == "plain" else _catalogue_case(frame)
    facts = _facts(case) if "facts" in payload["parts"] else {}
    sides = _sides(case)
    first = {f"first_{name}": side(1) for name, side in sides.items()}  # traces and compiles
    if facts:
        tell_parent({"part": "facts", **first, **facts})
    for part in payload["parts"]:
        if part != "facts":
            taken = {}
            for name in alternated(list(sides), int(part.split()[1])):
                gc.collect()  # nobody pays for what another side left
                taken[name] = sides[name](EPOCHS_A_ROUND)
            tell_parent({"part": part, **{name: taken[name] for name in SIDES}})


def _plain_case(frame: Any) -> _Case:
    import keras

    x, y = prepared_columns(frame)

    def make(dropout: float) -> Any:
        keras.utils.set_random_seed(0)
        hidden = [keras.layers.Dense(128, activation="relu") for _ in range(2)]
        network = keras.Sequential([keras.Input(x.shape[1:]), *hidden, keras.layers.Dense(1, activation="sigmoid")])
        network.compile(keras.optimizers.Adam(1e-3), keras.losses.BinaryCrossentropy())
        return network

    return _Case(make, x, y)


def _catalogue_case(frame: Any) -> _Case:
    from zoo.job import DataJob, make_job
    from zoo.running.candidate import candidate_of
    from zoo.training.arrays import prepare

    candidate = candidate_of(NETWORKS["catalogue"])
    job = {"source": frame, "target": TARGET, "test_size": 0, "validation_size": 0}
    dataset = candidate.task.read(make_job(DataJob, job))

    def make(dropout: float) -> Any:
        return candidate.built({"dropout": dropout}, dataset.spec, seed=0)[0].network

    pieces, hp = candidate.built({}, dataset.spec, seed=0)
    assert pieces.preparation is not None
    assert len(frame) < ROWS or hp.values["batch_size"] == BATCH
    arrays = prepare(pieces.preparation.model(), dataset.parts["train"])
    assert arrays.y is not None
    return _Case(make, arrays.x, arrays.y.reshape(-1, 1).astype(np.float32))


def _sides(case: _Case) -> dict[str, Callable[[int], float]]:
    """Return for each side a function that runs so many epochs and gives the mean seconds of one."""
    dropout = 0.2  # the catalogue's default; the plain network has none
    several = case.make(dropout)
    several.compile(type(several.optimizer)(1e-3), several.loss, steps_per_execution=STEPS_A_CALL)
    return {
        "fit_s": _fit_side(case, case.make(dropout)),
        "fit_steps_s": _fit_side(case, several),
        "plain_s": _zoo_side(case, case.make(dropout), xla=False),
        "xla_s": _zoo_side(case, case.make(dropout), xla=True),
        "products_s": _products_side(case, xla=False),
        "products_xla_s": _products_side(case, xla=True),
    }


def _fit_side(case: _Case, network: Any) -> Callable[[int], float]:
    import keras

    class Clock(keras.callbacks.Callback):
        """Times the epochs alone: what a call of ``fit`` costs once is left out, in its favour."""

        taken = 0.0

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.began = time.perf_counter()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.taken += time.perf_counter() - self.began

    def run(epochs: int) -> float:
        clock = Clock()
        network.fit(case.x, case.y, batch_size=BATCH, epochs=epochs, shuffle=True, callbacks=[clock], verbose=0)
        return clock.taken / epochs

    return run


def _zoo_side(case: _Case, network: Any, *, xla: bool) -> Callable[[int], float]:
    from zoo.training.arrays import Arrays
    from zoo.training.epochs import CompiledEpochs

    compiled = CompiledEpochs(network, Arrays(case.x, case.y), BATCH, xla=xla)
    random = np.random.default_rng(0)

    def run(epochs: int) -> float:
        began = time.perf_counter()
        for _ in range(epochs):
            compiled.run(random.permutation(len(case.y)), None)
        return (time.perf_counter() - began) / epochs

    return run


def _products_side(case: _Case, *, xla: bool) -> Callable[[int], float]:
    """The products of an epoch, forward and backward, and nothing else: no network of these sizes can be faster."""
    import tensorflow as tf

    sizes = _matrix_sizes(case.make(0.0))
    steps = -(-len(case.y) // BATCH)
    random = np.random.default_rng(0)
    x = tf.constant(random.normal(size=(steps, BATCH, sizes[0][0])).astype(np.float32))
    weights = [tf.constant((random.normal(size=size) / size[0] ** 0.5).astype(np.float32)) for size in sizes]

    def products(step: Any, *_: Any) -> Any:
        inputs = [x[step]]
        for weight in weights:
            inputs.append(tf.matmul(inputs[-1], weight))
        error, gradients = inputs[-1], []
        for index in reversed(range(len(weights))):
            gradients.append(tf.matmul(inputs[index], error, transpose_a=True))
            if index:  # the first layer's inputs need no gradient
                error = tf.matmul(error, weights[index], transpose_b=True)
        return [step + 1, *gradients[::-1]]

    @tf.function(jit_compile=xla)
    def all_steps() -> Any:
        start = [tf.constant(0), *(tf.zeros_like(weight) for weight in weights)]
        return tf.while_loop(lambda step, *_: step < steps, products, start, parallel_iterations=1)[1:]

    def run(epochs: int) -> float:
        began = time.perf_counter()
        for _ in range(epochs):
            np.asarray(all_steps()[0])
        return (time.perf_counter() - began) / epochs

    return run


def _facts(case: _Case) -> dict[str, Any]:
    """Return sizes, what a default training chooses, and how far the weights are from ``fit``'s after an epoch."""
    from zoo.training.epochs import worth_xla

    network = case.make(0.0)
    steps = -(-len(case.y) // BATCH)
    return {
        "sizes": _matrix_sizes(network),
        "parameters": int(sum(np.prod(weight.shape) for weight in network.trainable_weights)),
        "default_xla": worth_xla(network, steps * DEFAULT_EPOCHS),
        "weights": _weight_difference(case, xla=False),
        "weights_xla": _weight_difference(case, xla=True),
    }


def _weight_difference(case: _Case, *, xla: bool) -> float:
    from zoo.training.arrays import Arrays
    from zoo.training.epochs import CompiledEpochs

    ours, theirs = case.make(0.0), case.make(0.0)
    CompiledEpochs(ours, Arrays(case.x, case.y), BATCH, xla=xla).run(np.arange(len(case.y)), None)
    theirs.fit(case.x, case.y, batch_size=BATCH, epochs=1, shuffle=False, verbose=0)
    pairs = zip(ours.get_weights(), theirs.get_weights(), strict=True)
    return float(max(np.abs(one - other).max() for one, other in pairs))


def _matrix_sizes(network: Any) -> list[tuple[int, int]]:
    return [tuple(layer.kernel.shape) for layer in network.layers if type(layer).__name__ == "Dense"]


# --- in the parent ---


def _report(results: Results) -> None:
    lines, sizes, compiles = [], {}, []
    for threads in AIM_FIT:
        for network, name in NETWORKS.items():
            prefix = f"{network}, {threads}, "
            facts = results.rows[prefix + "facts"]
            sizes[name] = "-".join(str(size) for size in [facts["sizes"][0][0], *(out for _, out in facts["sizes"])])
            compiles += [facts["first_xla_s"]]
            lines += _lines(results, prefix, facts, f"{name}, {threads} thread{'s' if threads == 'default' else ''}")
    notes = [
        f"Median (least to greatest) of {results.settings['rounds']} rounds of {EPOCHS_A_ROUND} epochs each; "
        f"{results.settings['rows']:,} rows in batches of {BATCH}, data: {results.settings['data']}; matrices "
        f"{', '.join(f'{name}: {text}' for name, text in sizes.items())}.",
        f"*By default* stands beside what a training of {DEFAULT_EPOCHS} epochs chooses; the aims are for that one. "
        "The floor is the faster of the two ways to run the matrix products. "
        f"The first epoch with XLA, compilation included, took {spread(compiles, '.1f', ' s')}. Weights are compared "
        "with those of fit after one epoch in the same order of rows, without dropout.",
    ]
    header = ("network, threads", "side", "an epoch", "times fit", "times floor", "weights", "aims", "met")
    results.report("An epoch", header, lines, notes)


def _lines(results: Results, prefix: str, facts: dict[str, Any], name: str) -> list[tuple[str, ...]]:
    threads = prefix.split(", ")[1]
    seconds = {side: results.column(side, prefix) for side in SIDES}
    floor = min(("products_s", "products_xla_s"), key=lambda side: statistics.median(seconds[side]))
    chosen = "xla_s" if facts["default_xla"] else "plain_s"
    lines: list[tuple[str, ...]] = []
    for side, words in SIDES.items():
        against_fit = _ratios(seconds[side], seconds["fit_s"])
        against_floor = _ratios(seconds[side], seconds[floor])
        weights = {"plain_s": facts["weights"], "xla_s": facts["weights_xla"]}.get(side)
        aims = met = ""
        if side == chosen:
            words += ", by default"
            aims = f"fit {AIM_FIT[threads]}, floor {AIM_PRODUCTS:g}, weights {AIM_WEIGHTS:g}"
            values = (against_fit, AIM_FIT[threads]), (against_floor, AIM_PRODUCTS), ([weights], AIM_WEIGHTS)
            met = ", ".join(judged(value, most) for value, most in values)
        lines.append(
            (
                name,
                words,
                spread(seconds[side], ".3f", " s"),
                spread(against_fit) if side != "fit_s" else "",
                spread(against_floor) if side != floor else "",
                f"{weights:.1e}" if weights is not None else "",
                aims,
                met,
            )
        )
    return lines


def _ratios(values: list[float], others: list[float]) -> list[float]:
    return [value / other for value, other in zip(values, others, strict=True)]


if __name__ == "__main__":
    main()
