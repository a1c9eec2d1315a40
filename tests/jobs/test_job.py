"""Jobs: the same from Python and YAML, checked at the door."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.errors import UsageError
from zoo.jobs.commands import COMMANDS, Command
from zoo.jobs.describe_jobs import ShowJob
from zoo.jobs.fit_options import TrainJob
from zoo.jobs.job import format_job, make_job
from zoo.jobs.job_file import read_job
from zoo.jobs.run_jobs import BestJob
from zoo.jobs.search_options import TuneJob

BASE = {"model": "classification/mlp", "source": "wine"}


@pytest.mark.parametrize(
    "values, message, nearest",
    [
        ({"epoch": 3}, "unknown key 'epoch'; known: source, target", "epochs"),
        ({"epochs": "ten"}, "epochs: received 'ten'; input should be a valid integer", None),
        ({"epochs": 0}, "epochs: received 0; input should be greater than or equal to 1", None),
        ({"test_size": 1}, "test_size: received 1; input should be a number from 0", None),
        ({"validation_size": -0.1}, "validation_size: received -0.1", None),
        ({"seed": 2**32}, "seed: received 4294967296", None),
        ({"drop": "id"}, "drop: received 'id'", None),
        ({"target": [["y"]]}, r"target.0: received \['y'\]; input should be a valid string", None),
        (
            {"split": "stratifed"},
            "unknown split 'stratifed'; known: random, stratified, order, group=COLUMN",
            "stratified",
        ),
        ({"split": "column="}, "unknown split 'column='", "column=NAME"),
        ({"baselines": "quik"}, "baselines: received 'quik'; input should be 'quick', 'all' or 'none'", "quick"),
        ({"hyperparameters": 3}, "hyperparameters: received 3", None),
    ],
)
def test_what_is_wrong_is_said(values, message, nearest):
    with pytest.raises(UsageError, match=message) as caught:
        make_job(TrainJob, BASE | values)
    assert caught.value.nearest == nearest


def test_a_missing_key_and_its_place():
    with pytest.raises(UsageError, match=r"^job\.yaml: the key 'source' is missing$"):
        make_job(TrainJob, {"model": "classification/mlp"}, where="job.yaml")


@pytest.mark.parametrize("split", ["random", "stratified", "column=part of it", None])
def test_known_splits(split):
    assert make_job(TrainJob, BASE | {"split": split}).split == split


@pytest.mark.parametrize(
    "key, received, kept",
    [
        ("target", 3, ("3",)),
        ("target", [np.int64(3), "b"], ("3", "b")),
        ("positive", 1, "1"),
        ("positive", 1.0, "1"),
        ("positive", 0.5, "0.5"),
        ("positive", np.int64(1), "1"),
        ("positive", True, "true"),
        ("positive", "yes", "yes"),
        ("drop", [0, "id"], ("0", "id")),
    ],
)
def test_names_may_be_numbers(key, received, kept):
    assert getattr(make_job(TrainJob, BASE | {key: received}), key) == kept


def test_jobs_are_not_changed():
    with pytest.raises(ValueError, match="frozen"):
        make_job(TrainJob, BASE).seed = 3


@pytest.mark.parametrize(
    "text, message",
    [
        ("command: train\nmodel: [a\n", r"job\.yaml, line 3, column 1: not valid YAML: "),
        ("command: train\n\tmodel: a\n", r"job\.yaml, line 2, column 1: not valid YAML: .*tab|\\t"),
        ("a: 1\nb: c: 2\n", r"line 2, column 5: not valid YAML: mapping values are not allowed here"),
        ("a: \x07", r"job\.yaml: not valid YAML"),
        ("- train", "a job must consist of keys and values"),
        ("", "a job must consist of keys and values"),
        ("model: a", "the key 'command' is missing; known: train, tune"),
        ("command: trian", r"unknown command 'trian'.*did you mean 'train'"),
        ("command: [train]", "unknown command"),
        ("command: train\n1: 2\nmodel: m\nsource: s", "unknown key '1'"),
        ("command: tune\nmodel: m\nsource: s\ntrials: many", r"job\.yaml: trials: received 'many'"),
    ],
)
def test_a_file_that_is_no_job(tmp_path, text, message):
    path = tmp_path / "job.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        read_job(path)


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(UsageError, match="No such file"):
        read_job(tmp_path / "job.yaml")
    with pytest.raises(UsageError, match="it is a folder"):
        read_job(tmp_path)
    (tmp_path / "job.yaml").write_bytes(b"command: \xff")
    with pytest.raises(UsageError, match="not a text file in UTF-8"):
        read_job(tmp_path / "job.yaml")


_words = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1)
_values = st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False) | _words
_jobs = st.builds(
    TuneJob,
    model=_words,
    source=_words,
    target=st.none() | _words,
    drop=st.lists(_words).map(tuple),
    split=st.sampled_from([None, "random", "stratified", "column=part"]),
    test_size=st.floats(0, 0.9),
    seed=st.integers(0, 2**32 - 1),
    hyperparameters=st.dictionaries(_words, _values),
    epochs=st.none() | st.integers(1, 99),
    search=st.sampled_from(["random", "grid"]),
)


@settings(deadline=None)
@given(_jobs)
def test_yaml_both_ways(tmp_path_factory, job):
    path = tmp_path_factory.getbasetemp() / "round.yaml"
    path.write_text(format_job(job), encoding="utf-8")
    assert read_job(path) == job


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_command_has_yaml(tmp_path: Path, command: Command) -> None:
    kind = command.job_class
    needed = {"models": "m,n", "source": "s", "run": "r", "input": "i", "name": "n"}
    needed |= {} if "models" in kind.model_fields else {"model": "m"}
    job = make_job(kind, {key: value for key, value in needed.items() if key in kind.model_fields})
    (tmp_path / "job.yaml").write_text(format_job(job))
    assert read_job(tmp_path / "job.yaml") == job


def test_defaults_are_left_out():
    assert format_job(make_job(TrainJob, BASE | {"seed": 0})) == (
        "command: train\nsource: wine\nmodel: classification/mlp\n"
    )
    assert format_job(BestJob()) == "command: best\n"


FRAME = pd.DataFrame({"a": [1, 2]})


@pytest.mark.parametrize(
    "source, words",
    [
        (FRAME, "(DataFrame in memory)"),
        ({"a": [1, 2]}, "(dict in memory)"),
        ((np.ones((2, 2)), np.ones(2)), "(tuple in memory)"),
        (Path("a.csv"), "a.csv"),
    ],
)
def test_data_in_memory_stand_as_words(tmp_path, source, words):
    job = make_job(TrainJob, BASE | {"source": source, "test": source})
    (tmp_path / "job.yaml").write_text(format_job(job))
    again = read_job(tmp_path / "job.yaml")
    assert (again.source, again.test) == (words, words)
    assert words in format_job(make_job(ShowJob, BASE | {"source": source}))


def test_numbers_of_numpy_are_numbers():
    values = {"rate": np.float64(0.5), "units": np.int64(3), "layers": 2, "dropout": True, "many": (1, 2)}
    text = format_job(make_job(TrainJob, BASE | {"hyperparameters": values}))
    assert "rate: 0.5\n  units: 3\n  layers: 2\n  dropout: true\n  many:\n  - 1\n  - 2" in text


def test_a_stored_job_has_no_password():
    job = make_job(TrainJob, {"model": "m", "source": "postgresql://me:secret@host/shop?table=orders"})
    assert "secret" not in format_job(job)
    assert "postgresql://me@host/shop?table=orders" in format_job(job)
