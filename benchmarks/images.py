"""Image models beside the network of Keras' mnist example and a support vector machine on gradients.

Each is trained by its defaults on the training rows of a set, of which zoo's models set aside a fifth as validation
split; the rivals train on all of them. Keras' network is trained by ``keras.Model.fit`` for as many epochs as
``image/cnn``, and then until it has had as much CPU time. The test rows are scored once.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
from _hog import compute_hog
from _processes import Child, child_payload, import_tensorflow, tell_parent
from _results import Results, mean_and_deviation, read_arguments, say

MODELS = {"cnn": "image/cnn", "resnet9": "image/resnet9"}
KERAS, HOG, SVM = "Keras example", "SVM on HOG", "SVM on pixels"
EQUAL_EPOCHS, BATCH = 4, 128
FEW = 20  # pictures of each class
FOLDS = 5
SEEDS = {"mnist": 3, "cifar10_12k": 3, "few of cifar10_12k": 5, "digits": FOLDS}
MOST_EPOCHS = 60  # of Keras' network on few pictures
METHODS = {
    "mnist": ("cnn, 4 epochs", f"{KERAS}, 4 epochs", f"{KERAS}, equal time", "cnn", "resnet9"),
    "cifar10_12k": ("cnn, 4 epochs", f"{KERAS}, 4 epochs", f"{KERAS}, equal time", "cnn", "resnet9"),
    "few of cifar10_12k": ("cnn", "resnet9", HOG, f"{KERAS}, {MOST_EPOCHS} epochs"),
    "digits": ("cnn", "resnet9", SVM),
}


def main() -> None:
    """Measure and report; in a child, train one model."""
    payload = child_payload()
    if payload is not None:
        return _measure(payload)
    options = read_arguments(__doc__ or "", tuple(SEEDS))
    if options.data is None:
        say("images: without --data FOLDER, with mnist/data.npz and cifar10_12k/data.npz, only digits is measured")
    names = [name for name in SEEDS if name == "digits" or options.data is not None]
    results = Results(__file__, options, {"folds": FOLDS, "few": FEW})
    for name in names if options.only is None else [options.only]:
        for seed in range(1 if options.quick else SEEDS[name]):
            for method in METHODS[name]:
                _measure_once(results, name, method, seed, options)
    return report(results)


def _measure_once(results: Results, name: str, method: str, seed: int, options: Any) -> None:
    key = f"{name}, {method}, seed {seed}"
    if key in results:
        return
    say(f"images: {key}")
    folder = str(options.data.resolve()) if options.data is not None else None
    payload = {"set": name, "method": method, "seed": seed, "data": folder, "quick": options.quick}
    if method.endswith("equal time"):  # the time of the model that it stands beside
        payload["seconds"] = results.rows[f"{name}, cnn, 4 epochs, seed {seed}"]["cpu_s"]
    for answer in Child(__file__, payload).answers():
        results.add(key, answer)


def read_set(name: str, folder: str | None, seed: int) -> tuple[np.ndarray, ...]:
    """Return training images (N, H, W, C), their classes (N,), test images and their classes.

    Args:
        name: Key of ``SEEDS``.
        folder: Folder of ``--data``.
        seed: Fold of digits, or which pictures are drawn where there are to be few.
    """
    if name == "digits":
        from sklearn.datasets import load_digits
        from sklearn.model_selection import StratifiedKFold

        x, y = load_digits(return_X_y=True)
        folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(x, y)
        train, test = list(folds)[seed]
        x = x.reshape(-1, 8, 8, 1).astype(np.uint8)
        return x[train], y[train], x[test], y[test]
    with np.load(Path(folder or "") / name.split()[-1] / "data.npz") as arrays:
        x, y, x_test, y_test = (arrays[key] for key in ("x_train", "y_train", "x_test", "y_test"))
    x, x_test = (each if each.ndim == 4 else each[..., None] for each in (x, x_test))
    y, y_test = y.ravel(), y_test.ravel()
    if name.startswith("few"):
        random = np.random.default_rng(seed)
        rows = np.concatenate([random.choice(np.flatnonzero(y == each), FEW, replace=False) for each in np.unique(y)])
        x, y = x[rows], y[rows]
    return x, y, x_test, y_test


def _measure(payload: dict[str, Any]) -> None:
    method, seed, quick = payload["method"], payload["seed"], payload["quick"]
    sets = read_set(payload["set"], payload["data"], seed)
    model = MODELS.get(method.split(",")[0])
    if model is None and not method.startswith(KERAS):
        return tell_parent(_fit_svm(method, *sets))
    import_tensorflow()
    epochs = 1 if quick else EQUAL_EPOCHS if "4 epochs" in method else None
    if model is not None:
        return tell_parent(_fit_model(model, sets, seed, epochs))
    most = epochs or (10_000 if "seconds" in payload else MOST_EPOCHS)
    return tell_parent(_fit_example(sets, seed, most, payload.get("seconds", float("inf"))))


def _fit_model(model: str, sets: tuple[np.ndarray, ...], seed: int, epochs: int | None) -> dict[str, Any]:
    import tempfile

    from zoo.fitting.fit import Plan, evaluate, fit
    from zoo.fitting.model_builder import create_model_builder
    from zoo.jobs.fit_options import TrainJob
    from zoo.jobs.job import make_job

    builder = create_model_builder(model)
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        path = Path(folder) / "images.npz"
        np.savez(path, **dict(zip(("x_train", "y_train", "x_test", "y_test"), sets, strict=True)))
        job = make_job(TrainJob, {"model": model, "source": str(path), "seed": seed})
        dataset = builder.task.read(job)
    began = time.process_time()
    fitted = fit(builder, dataset, {}, Plan(seed=seed, epochs=epochs))
    seconds = time.process_time() - began
    scores = evaluate(fitted, ["test"])["test"].scores
    return {
        "accuracy": float(scores["accuracy"]),
        "log_loss": float(scores["log_loss"]),
        "cpu_s": seconds,
        "epochs": fitted.result.epochs_run,
        "parameters": fitted.built_model.n_parameters,
    }


def _fit_example(sets: tuple[np.ndarray, ...], seed: int, epochs: int, seconds: float) -> dict[str, Any]:
    """Train the network of Keras' example mnist_convnet, at least one epoch, until the CPU seconds are used up."""
    import keras
    from keras import layers
    from sklearn.metrics import log_loss

    x, y, x_test, y_test = sets
    keras.utils.set_random_seed(seed)
    network = keras.Sequential(
        [
            keras.Input(x.shape[1:]),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(len(np.unique(y)), activation="softmax"),
        ]
    )
    network.compile("adam", "sparse_categorical_crossentropy")
    began, run = time.process_time(), 0

    class StopInTime(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            nonlocal run
            run = epoch + 1
            self.model.stop_training = time.process_time() - began >= seconds

    scaled = x.astype(np.float32) / 255
    network.fit(scaled, y, batch_size=BATCH, epochs=epochs, verbose=0, callbacks=[StopInTime()])
    used = time.process_time() - began
    probabilities = network.predict(x_test.astype(np.float32) / 255, verbose=0).astype(np.float64)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    return {
        "accuracy": float((probabilities.argmax(axis=1) == y_test).mean()),
        "log_loss": float(log_loss(y_test, probabilities, labels=np.arange(probabilities.shape[1]))),
        "cpu_s": used,
        "epochs": run,
        "parameters": network.count_params(),
    }


def _fit_svm(method: str, x: np.ndarray, y: np.ndarray, x_test: np.ndarray, y_test: np.ndarray) -> dict[str, Any]:
    """Fit a support vector machine whose C and gamma are chosen by cross-validation on the training rows."""
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    began = time.process_time()
    features = [compute_hog(each) if method == HOG else each.reshape(len(each), -1) for each in (x, x_test)]
    machine = SVC() if method == HOG else make_pipeline(StandardScaler(), SVC())
    prefix = "" if method == HOG else "svc__"
    grid = {f"{prefix}C": [0.3, 1, 3, 10, 30], f"{prefix}gamma": ["scale", 0.003, 0.01, 0.03]}
    search = GridSearchCV(machine, grid, cv=5).fit(features[0], y)
    accuracy = float((search.predict(features[1]) == y_test).mean())
    return {"accuracy": accuracy, "cpu_s": time.process_time() - began}


def report(results: Results) -> None:
    """Print means over seeds of all that is measured."""
    lines = []
    for name, methods in METHODS.items():
        for method in methods:
            prefix = f"{name}, {method}, seed "
            accuracies = results.column("accuracy", prefix)
            if not accuracies:
                continue
            losses, parameters = results.column("log_loss", prefix), results.column("parameters", prefix)
            epochs = results.column("epochs", prefix)
            lines.append(
                (
                    name,
                    MODELS.get(method.split(",")[0], method) + (", 4 epochs" if method == "cnn, 4 epochs" else ""),
                    mean_and_deviation(accuracies),
                    mean_and_deviation(losses) if losses else "",
                    f"{int(parameters[0]):,}" if parameters else "",
                    f"{statistics.mean(epochs):.0f}" if epochs else "",
                    f"{statistics.mean(results.column('cpu_s', prefix)):.0f}",
                    str(len(accuracies)),
                )
            )
    header = ("data", "method", "test accuracy", "test log_loss", "parameters", "epochs", "CPU seconds", "runs")
    notes = [
        "Mean and standard deviation over runs: seeds of the weights and of the validation split; of digits, folds; "
        f"of few, draws of {FEW} training pictures of each class, scored on all test pictures. CPU seconds are those "
        "of training, with validation after each epoch, and of the choice of C and gamma for support vector machines. "
        "Label smoothing, which image/resnet9 uses, and image/cnn where images are few, raises log_loss. Accuracies "
        "and times of one machine under other load: compare rows, not with other tables."
    ]
    results.report("Images: defaults beside Keras' example network and support vector machines", header, lines, notes)


if __name__ == "__main__":
    main()
