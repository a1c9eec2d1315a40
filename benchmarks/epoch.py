"""How long an epoch takes: zoo's compiled epochs against `keras.Model.fit` and the matrix products alone.

Tables: two networks on adult's shape (32,561 rows, batches of 256), 108-128-128-1 on 108 prepared columns and
the catalogue's `classification/mlp`. Sequences: `sequence/gru` on 2,048 sequences of 40 steps, read from both ends
as is its default or from one, and on 4,096 texts whose lengths are spread as in sms_spam, which `fit` pads to the
longest. Images: `image/cnn` on 4,096 of 28 x 28, once as it is and once with augmentation, while `fit` has none.
Each in a fresh process with TensorFlow's default threads and in another with one thread; the sides take turns, and
each has the same arrays and begins with the same weights.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from _networks import CASES, Case, case_of
from _processes import Child, child_payload, import_tensorflow, tell_parent
from _results import Results, alternated, judged, read_arguments, say, spread

from zoo.training.epochs import CompiledEpochs, benefits_from_xla

# Of the time of fit, at most, with default threads and with one.
AIMS_FIT = {
    "108-128-128-1": (0.3, 0.4),
    "classification/mlp": (0.3, 0.4),
    "sequence/gru, equal lengths": (0.5, 0.5),
    "sequence/gru, equal lengths, one way": (0.5, 0.5),
    "sequence/gru, texts": (0.2, 0.2),
    "image/cnn": (0.8, 0.8),
    "image/cnn, augmentation": (1.0, 1.0),
}
THREADS = ("default", "one")
AIM_PRODUCTS, AIM_WEIGHTS = 2.0, 1e-5
DEFAULT_EPOCHS = {"sequence": 100, "image": 40}
TABLE_EPOCHS = 200
ROUNDS, QUICK_ROUNDS = 9, 2
EPOCHS_A_ROUND = 3  # of tables; an epoch of the others is long enough by itself
QUICK_SHARE = 0.12  # no multiple of the batch: the short last batch is part of the matter
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
    share, rounds = (QUICK_SHARE, QUICK_ROUNDS) if options.quick else (1.0, ROUNDS)
    data = "adult, sms_spam and mnist" if options.data is not None else "drawn, of their shapes"
    results = Results(__file__, options, {"share": share, "rounds": rounds, "data": data})
    splits = ["facts", *(f"round {number}" for number in range(rounds))]
    for threads in THREADS:
        for network in CASES:
            prefix = f"{network}, {threads}, "
            missing = [split for split in splits if prefix + split not in results]
            if not missing:
                continue
            say(f"epoch: {network}, threads: {threads}")
            folder = str(options.data.resolve()) if options.data is not None else None
            child = Child(
                __file__, {"network": network, "threads": threads, "share": share, "data": folder, "parts": missing}
            )
            for answer in child.answers():
                results.add(prefix + answer.pop("part"), answer)
    return _report(results)


# --- in a child ---


def _measure(payload: dict[str, Any]) -> None:
    import_tensorflow()
    import tensorflow as tf

    if payload["threads"] == "one":
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    name = payload["network"]
    case = case_of(name, Path(payload["data"]) if payload["data"] else None, payload["share"])
    facts = _facts(case, _epochs(name)) if "facts" in payload["parts"] else {}
    sides = _sides(case, _epochs(name))
    first = {f"first_{side}": run(1) for side, run in sides.items()}  # traces and compiles
    if facts:
        tell_parent({"part": "facts", **first, **facts})
    for split in payload["parts"]:
        if split != "facts":
            taken = {}
            for side in alternated(list(sides), int(split.split()[1])):
                gc.collect()  # nobody pays for what another side left
                taken[side] = sides[side](EPOCHS_A_ROUND if _epochs(name) == TABLE_EPOCHS else 1)
            tell_parent({"part": split, **{side: taken[side] for side in sides}})


def _epochs(name: str) -> int:
    """How many epochs a training has, by which zoo chooses XLA and how many widths it pads to."""
    return DEFAULT_EPOCHS.get(name.split("/")[0], TABLE_EPOCHS)


def _sides(case: Case, epochs: int) -> dict[str, Callable[[int], float]]:
    """Return for each side a function that runs so many epochs and gives the mean seconds of one."""
    sides: dict[str, Callable[[int], float]] = {}
    for side in case.sides:
        if side == "fit_s":
            sides[side] = _fit_side(case, case.make(**case.theirs))
        elif side == "fit_steps_s":
            several = case.make(**case.theirs)
            several.compile(type(several.optimizer)(1e-3), several.loss, steps_per_execution=STEPS_A_CALL)
            sides[side] = _fit_side(case, several)
        elif side.startswith("products"):
            sides[side] = _products_side(case, xla="xla" in side)
        else:
            sides[side] = _zoo_side(case, epochs, xla="xla" in side)
    return sides


def _fit_side(case: Case, network: Any) -> Callable[[int], float]:
    import keras

    class TimeBudgetClock(keras.callbacks.Callback):
        """Times the epochs alone: what a call of ``fit`` costs once is left out, in its favour."""

        taken = 0.0

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.began = time.perf_counter()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.taken += time.perf_counter() - self.began

    x, y = case.data.padded(), case.data.y

    def run(epochs: int) -> float:
        clock = TimeBudgetClock()
        network.fit(x, y, batch_size=case.batch, epochs=epochs, shuffle=True, callbacks=[clock], verbose=0)
        return clock.taken / epochs

    return run


def _zoo_side(case: Case, planned: int, *, xla: bool) -> Callable[[int], float]:
    compiled = CompiledEpochs(case.make(**case.ours), case.data, case.batch, epochs=planned, xla=xla)
    random = np.random.default_rng(0)

    def run(epochs: int) -> float:
        began = time.perf_counter()
        for _ in range(epochs):
            compiled.run(random.permutation(len(case.data)), None)
        return (time.perf_counter() - began) / epochs

    return run


def _products_side(case: Case, *, xla: bool) -> Callable[[int], float]:
    """The products of an epoch, forward and backward, and nothing else: no network of these sizes can be faster."""
    import tensorflow as tf

    sizes = _matrix_sizes(case.make())
    steps = -(-len(case.data) // case.batch)
    random = np.random.default_rng(0)
    x = tf.constant(random.normal(size=(steps, case.batch, sizes[0][0])).astype(np.float32))
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


def _facts(case: Case, epochs: int) -> dict[str, Any]:
    """Return sizes, what a default training chooses, and how far the weights are from ``fit``'s after an epoch."""
    network = case.make(**case.ours)
    facts = {
        "rows": len(case.data),
        "sizes": _matrix_sizes(network),
        "parameters": int(sum(np.prod(weight.shape) for weight in network.trainable_weights)),
        "default_xla": benefits_from_xla(network, -(-len(case.data) // case.batch) * epochs),
    }
    for side in ("plain_s", "xla_s"):
        if side in case.sides and case.still is not None:
            facts[f"weights_{side}"] = _weight_difference(case, xla=side == "xla_s")
    return facts


def _weight_difference(case: Case, *, xla: bool) -> float:
    assert case.still is not None
    ours, theirs = case.make(**case.still), case.make(**case.still)
    CompiledEpochs(ours, case.data, case.batch, xla=xla).run(np.arange(len(case.data)), None)
    theirs.fit(case.data.padded(), case.data.y, batch_size=case.batch, epochs=1, shuffle=False, verbose=0)
    pairs = zip(ours.get_weights(), theirs.get_weights(), strict=True)
    return float(max(np.abs(one - other).max() for one, other in pairs))


def _matrix_sizes(network: Any) -> list[tuple[int, int]]:
    return [tuple(layer.kernel.shape) for layer in network.layers if type(layer).__name__ == "Dense"]


# --- in the parent ---


def _report(results: Results) -> None:
    lines, sizes, compiles = [], [], []
    for index, threads in enumerate(THREADS):
        for network in CASES:
            prefix = f"{network}, {threads}, "
            facts = results.rows[prefix + "facts"]
            compiles += [facts["first_xla_s"]] if "first_xla_s" in facts else []
            name = f"{network}, {threads} thread{'s' if threads == 'default' else ''}"
            lines += _lines(results, prefix, facts, name, AIMS_FIT[network][index])
            if not index:
                sizes.append(f"{network}: {facts['rows']:,} rows, {facts['parameters']:,} parameters")
    notes = [
        f"Median (least to greatest) of {results.settings['rounds']} rounds of {EPOCHS_A_ROUND} epochs each, one epoch "
        f"for sequences and images; data: {results.settings['data']}. {'; '.join(sizes)}.",
        "*By default* stands beside what a training chooses; the aims are for that one. The floor is the faster of "
        "the two ways to run the matrix products. "
        f"The first epoch with XLA, compilation included, took {spread(compiles, '.1f', ' s')}. Weights are compared "
        "with those of fit after one epoch in the same order of rows, without dropout and augmentation; texts have "
        "an order of their own.",
    ]
    header = ("network, threads", "side", "an epoch", "times fit", "times floor", "weights", "aims", "met")
    results.report("An epoch", header, lines, notes)


def _lines(results: Results, prefix: str, facts: dict[str, Any], name: str, aim_fit: float) -> list[tuple[str, ...]]:
    seconds = {side: results.column(side, prefix) for side in SIDES if results.column(side, prefix)}
    products = [side for side in ("products_s", "products_xla_s") if side in seconds]
    floor = min(products, key=lambda side: statistics.median(seconds[side]), default=None)
    chosen = "xla_s" if facts["default_xla"] else "plain_s"
    lines: list[tuple[str, ...]] = []
    for side, values in seconds.items():
        against_fit = _ratios(values, seconds["fit_s"])
        against_floor = _ratios(values, seconds[floor]) if floor is not None and side != floor else []
        weights = facts.get(f"weights_{side}")
        words, aims, met = SIDES[side], "", ""
        if side == chosen:
            words += ", by default"
            aimed = [("fit", against_fit, aim_fit)]
            aimed += [("floor", against_floor, AIM_PRODUCTS)] if against_floor else []
            aimed += [("weights", [weights], AIM_WEIGHTS)] if weights is not None else []
            aims = ", ".join(f"{what} {most:g}" for what, _, most in aimed)
            met = ", ".join(judged(values, most) for _, values, most in aimed)
        lines.append(
            (
                name,
                words,
                spread(values, ".3f", " s"),
                spread(against_fit) if side != "fit_s" else "",
                spread(against_floor) if against_floor else "",
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
