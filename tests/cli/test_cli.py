"""The command line: JSON that programs rely on, exit statuses, and messages for people on wrong input."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from command import Answer

from zoo.version import __version__

NUMBER, TEXT, MAYBE = (int, float), str, (int, float, type(None))
RUN_SCHEMA = {
    "run_id": TEXT, "experiment": TEXT, "task": TEXT, "model": TEXT, "source": TEXT, "metrics": {"*": MAYBE},
    "intervals": {"*": list}, "baselines": {"*": {"*": MAYBE}}, "hyperparameters": dict, "n_parameters": int,
    "epochs_run": int, "best_epoch": int, "seconds": NUMBER, "artifact_uri": TEXT,
    "notes": [TEXT],
    "diagnosis": [{"topic": TEXT, "level": TEXT, "text": TEXT, "advice": TEXT, "evidence": list, "more": int}],
}  # fmt: skip
TRIAL_SCHEMA = {
    "trial_id": TEXT, "status": TEXT, "score": MAYBE, "hyperparameters": dict, "seconds": NUMBER, "run_id": TEXT,
    "estimated": bool,
}  # fmt: skip
ROW_SCHEMA = {
    "run_id": TEXT, "experiment": TEXT, "kind": TEXT, "name": TEXT, "model": TEXT, "source": TEXT, "status": TEXT,
    "objective": TEXT, "score": MAYBE, "test_name": TEXT, "test_score": MAYBE, "sorted_by": MAYBE, "started": TEXT,
    "parent": (str, type(None)),
}  # fmt: skip
SHOW_SCHEMA = {
    "model": TEXT, "summary": TEXT, "source": TEXT, "hyperparameters": {"*": dict}, "n_parameters": int,
    "layers": [{"name": TEXT, "kind": TEXT, "output": list, "parameters": int}], "rows": int, "iterations": int,
    "options": dict,
}  # fmt: skip
ENTRY_SCHEMA = {
    "name": TEXT, "kind": TEXT, "mean": MAYBE, "interval": list, "verdict": TEXT, "difference": MAYBE, "p": MAYBE,
    "seconds": MAYBE, "latency_ms": MAYBE, "n_parameters": (int, type(None)), "scores": list, "metrics": {"*": MAYBE},
    "runs": list,
}  # fmt: skip
PAIR_SCHEMA = {"better": TEXT, "other": TEXT, "difference": MAYBE, "interval": list, "p": MAYBE, "tied": bool}
BOARD_SCHEMA = {
    "source": TEXT, "task": TEXT, "score": TEXT, "direction": TEXT, "judged": TEXT, "entries": [ENTRY_SCHEMA],
    "pairs": [PAIR_SCHEMA], "notes": list,
}  # fmt: skip
SCHEMAS: dict[str, Any] = {
    "compare": {
        "run_id": TEXT,
        "experiment": TEXT,
        "boards": [BOARD_SCHEMA],
        "ranks": (dict, type(None)),
        "output": (str, type(None)),
    },
    "list": {"models": [{"model": TEXT, "summary": TEXT}]},
    "show": SHOW_SCHEMA,
    "train": RUN_SCHEMA,
    "best": {**RUN_SCHEMA, "ranked_by": TEXT, "tied": [TEXT], "ranking": [ROW_SCHEMA], "left_out": [ROW_SCHEMA]},
    "tune": {"run_id": TEXT, "best": RUN_SCHEMA, "trials": [TRIAL_SCHEMA], "selected": TEXT, "importance": dict},
    "runs": {"runs": [ROW_SCHEMA]},
    "predict": {"run_id": TEXT, "rows": int, "output": (str, type(None)), "predictions": [dict]},
}


def conforms(value: Any, schema: Any, at: str = "") -> None:
    if isinstance(schema, dict):
        assert isinstance(value, dict), at
        if "*" not in schema:
            assert list(value) == list(schema), at
        for key, item in value.items():
            conforms(item, schema.get(key, schema.get("*")), f"{at}.{key}")
    elif isinstance(schema, list):
        assert isinstance(value, list), at
        for index, item in enumerate(value):
            conforms(item, schema[0], f"{at}[{index}]")
    else:
        assert isinstance(value, schema), f"{at}: {value!r}"


@pytest.fixture
def zoo(command: Callable[..., Answer]) -> Callable[..., Answer]:
    return command


@pytest.fixture
def table(people: pd.DataFrame, workspace: Path) -> Path:
    people.to_csv("people.csv", index=False)
    return Path("people.csv")


def runs_left(status: str = "") -> list[Any]:
    from zoo.tracking.store import Store

    return Store().search(f"attributes.status = '{status}'" if status else "")


def test_from_training_to_prediction(zoo: Callable[..., Answer], table: Path) -> None:
    trained = zoo("train", "classification/mlp", table, "--target", "rich", "--epochs", 2, "--set", "units=4", "--json")
    assert trained.status == 0, trained.err
    conforms(trained.json, SCHEMAS["train"])
    assert trained.json["hyperparameters"]["units"] == 4
    run = trained.json["run_id"]
    predicted = zoo("predict", run[:8], table, "--keep", "height", "--output", "made.csv")
    assert predicted.status == 0, predicted.err
    frame = pd.read_csv("made.csv")
    assert list(frame.columns) == ["height", "prediction", "probability_no", "probability_yes"]
    shown = zoo("predict", run, table)
    assert shown.out.splitlines()[0] == "prediction,probability_no,probability_yes"
    assert len(shown.out.splitlines()) == 201
    for command in (["predict", run, table], ["runs"], ["best"], ["list"], ["show", "classification/mlp"]):
        answer = zoo(*command, "--json")
        assert answer.status == 0, answer.err
        conforms(answer.json, SCHEMAS[str(command[0])])
    assert zoo("best").out.startswith("Run ")
    assert run[:8] in zoo("runs").out


def test_a_comparison_from_words_and_from_a_file(zoo: Callable[..., Answer], table: Path) -> None:
    words = ["--models", "classification/linear", "--target", "rich", "--epochs", 2, "--seeds", 2, "--no-figures"]
    answer = zoo("compare", table, *words, "--output", "page.html")
    assert answer.status == 0, answer.err
    assert "vs. first" in answer.out
    assert answer.out.splitlines()[-1] == "page written to page.html"
    Path("job.yaml").write_text(
        "command: compare\nsource: people.csv\nmodels: [classification/linear]\ntarget: rich\nepochs: 2\nseeds: 2\n"
        "figures: false\n"
    )
    by_file = zoo("run", "job.yaml", "--json")
    assert by_file.status == 0, by_file.err
    conforms(by_file.json, SCHEMAS["compare"])
    by_words = zoo("compare", table, *words, "--json").json
    assert [e["mean"] for e in by_file.json["boards"][0]["entries"]] == [
        e["mean"] for e in by_words["boards"][0]["entries"]
    ]


def test_a_job_file_does_the_same(zoo: Callable[..., Answer], table: Path) -> None:
    Path("job.yaml").write_text(
        "command: train\nmodel: classification/linear\nsource: people.csv\ntarget: rich\nepochs: 2\n"
        "hyperparameters: {learning_rate: 0.02}\nfigures: false\n"
    )
    by_file = zoo("run", "job.yaml", "--json").json
    words = ["--target", "rich", "--epochs", 2, "--set", "learning_rate=0.02", "--no-figures", "--json"]
    by_words = zoo("train", "classification/linear", table, *words).json
    assert by_file["metrics"] == by_words["metrics"]
    assert by_file["hyperparameters"] == by_words["hyperparameters"]


def test_a_given_split_and_a_test_source(zoo: Callable[..., Answer], table: Path, people: pd.DataFrame) -> None:
    parts = ["train"] * 150 + ["valid"] * 20 + ["test"] * 30
    people.assign(part=parts).to_csv("parts.csv", index=False)
    words = ["--target", "rich", "--epochs", 1, "--baselines", "none", "--json"]
    given = zoo("train", "classification/linear", "parts.csv", "--split", "column=part", *words)
    assert given.status == 0, given.err
    other = zoo("train", "classification/linear", table, "--test", "parts.csv", "--drop", "job", *words)
    assert other.status == 0, other.err
    assert "part" not in str(other.json["hyperparameters"])


def test_lists_and_help(zoo: Callable[..., Answer]) -> None:
    assert "classification/mlp" in zoo("list", "class*").out
    assert zoo("list", "nothing*").out == ""
    assert "train" in zoo("--help").out
    text = zoo("train", "--help").out
    headings = ["Arguments:", "Training:", "Columns:", "Splits:", "Options:"]
    assert sorted(headings, key=text.index) == headings
    assert "default quick" in " ".join(text.split())
    assert "COLUMN=drop leaves the column out" in " ".join(text.split())
    assert "leaky_relu|elu|selu|gelu|silu|mish|tanh|sigmoid|linear|step" in zoo("show", "classification/mlp").out
    assert zoo("--version").out == f"zoo {__version__}\n"


WRONG: list[tuple[str, list[str], str]] = [
    ("missing file", ["train", "classification/mlp", "peple.csv", "--target", "rich"], "did you mean 'people.csv'"),
    ("no such set", ["train", "classification/mlp", "wien"], "did you mean 'wine'"),
    ("empty file", ["train", "classification/mlp", "empty.csv", "--target", "rich"], "empty"),
    ("separator", ["train", "classification/mlp", "semicolons.csv", "--target", "b"], "the target 'b' is constant"),
    ("positive number", ["train", "regression/mlp", "diabetes", "--positive", "1"], "positive"),
    ("namesake", ["show", "mlp"], "did you mean 'classification/mlp'"),
    ("header only", ["train", "classification/mlp", "header.csv", "--target", "b"], "no rows"),
    ("NUL bytes", ["train", "classification/mlp", "nul.csv", "--target", "b"], "NUL"),
    ("no target", ["train", "classification/mlp", "people.csv"], "--target COLUMN; columns: age, job"),
    ("target not there", ["train", "classification/mlp", "people.csv", "--target", "rch"], "did you mean 'rich'"),
    ("constant", ["train", "classification/mlp", "people.csv", "--target", "city of birth/état"], "constant"),
    ("text in a regression", ["train", "regression/mlp", "people.csv", "--target", "rich"], "is not a number"),
    ("target missing", ["train", "classification/mlp", "people.csv", "--target", "void"], "missing in every row"),
    ("class with one row", ["train", "classification/mlp", "people.csv", "--target", "rare"], "one row"),
    ("number of values", ["train", "classification/mlp", "people.csv", "--target", "height"], "regression"),
    ("unknown model", ["train", "clasification/mlp", "wine"], "did you mean 'classification/mlp'"),
    ("unknown task", ["train", "vision/cnn", "wine"], "unknown model 'vision/cnn'"),
    ("unknown hyperparameter", ["train", "classification/mlp", "wine", "--set", "unit=3"], "did you mean 'units'"),
    ("wrong type", ["train", "classification/mlp", "wine", "--set", "units=many"], "an integer"),
    ("negative", ["train", "classification/mlp", "wine", "--set", "units=-3"], "it must be at least 1"),
    ("unknown choice", ["train", "classification/mlp", "wine", "--set", "optimizer=adm"], "did you mean 'adam'"),
    ("step", ["train", "classification/mlp", "wine", "--set", "activation=step"], "zero gradient"),
    ("set twice", ["train", "classification/mlp", "wine", "--set", "units=3", "--set", "units=4"], "set twice"),
    ("set nothing", ["train", "classification/mlp", "wine", "--set", "units"], "NAME=VALUE"),
    ("unknown split", ["train", "classification/mlp", "wine", "--split", "stratifid"], "did you mean 'stratified'"),
    ("split column", ["train", "classification/mlp", "wine", "--split", "column=ahs"], "'ash'"),
    ("split value", ["train", "classification/mlp", "people.csv", "--target", "age", "--split", "column=job"], "row 1"),
    ("positive", ["train", "classification/mlp", "people.csv", "--target", "rich", "--positive", "oui"], "no, yes"),
    ("drop", ["train", "classification/mlp", "wine", "--drop", "ahs"], "did you mean 'ash'"),
    ("test source", ["train", "classification/mlp", "wine", "--test", "no.csv"], "no such file"),
    ("test size", ["train", "classification/mlp", "wine", "--test-size", "1.5"], "test_size"),
    ("baselines", ["train", "classification/mlp", "wine", "--baselines", "qick"], "did you mean 'quick'"),
    ("epochs", ["train", "classification/mlp", "wine", "--epochs", "0"], "epochs"),
    ("no number", ["train", "classification/mlp", "wine", "--epochs", "three"], "epochs: received 'three'"),
    ("no source", ["train", "classification/mlp"], "SOURCE is missing"),
    ("unknown option", ["train", "classification/mlp", "wine", "--epohcs", "5"], "did you mean 'epochs'"),
    ("zero trials", ["tune", "classification/mlp", "wine", "--trials", "0"], "trials"),
    ("zero workers", ["tune", "classification/mlp", "wine", "--workers", "0"], "workers"),
    ("unknown search", ["tune", "classification/mlp", "wine", "--search", "bayes"], "did you mean 'bayesian'"),
    ("no validation", ["tune", "classification/mlp", "wine", "--validation-size", "0"], "validation split"),
    ("unknown run", ["predict", "abcdef12", "people.csv"], "there is no run 'abcdef12'"),
    ("no runs", ["best"], "no runs yet"),
    ("unknown experiment", ["best", "wine"], "unknown experiment 'wine'"),
    ("resume nothing", ["train", "--resume", "abcdef12"], "there is no run"),
    ("resume with more", ["train", "classification/mlp", "wine", "--resume", "abcdef12"], "leave out model, source"),
    ("unknown command", ["trian"], "generate, play, run (did you mean 'train'?)"),
    ("no job", ["run", "no.yaml"], "cannot read"),
    ("broken YAML", ["run", "broken.yaml"], "line 3, column"),
    ("unknown key", ["run", "key.yaml"], "did you mean 'target'"),
    ("job without command", ["run", "command.yaml"], "'command'"),
    ("unknown job", ["run", "trian.yaml"], "did you mean 'train'"),
    ("wrong value", ["run", "value.yaml"], "trials"),
]  # fmt: skip


@pytest.fixture
def wrong_files(table: Path, people: pd.DataFrame) -> None:
    people.assign(void=None, rare=["a"] + ["b"] * 100 + ["c"] * 99).to_csv("people.csv", index=False)
    Path("empty.csv").write_text("")
    Path("semicolons.csv").write_text("a;b\n1;2\n")
    Path("header.csv").write_text("a,b\n")
    Path("nul.csv").write_bytes(b"a,b\n1,\x002\n")
    Path("broken.yaml").write_text("command: train\nmodel: [classification/mlp\nsource: wine\n")
    Path("key.yaml").write_text("command: train\nmodel: classification/mlp\nsource: wine\ntaget: x\n")
    Path("command.yaml").write_text("model: classification/mlp\nsource: wine\n")
    Path("trian.yaml").write_text("command: trian\nsource: wine\n")
    Path("value.yaml").write_text("command: tune\nmodel: classification/mlp\nsource: wine\ntrials: many\n")


@pytest.mark.parametrize(("what", "words", "says"), WRONG, ids=[case[0] for case in WRONG])
@pytest.mark.usefixtures("wrong_files")
def test_wrong_input(zoo: Callable[..., Answer], what: str, words: list[str], says: str) -> None:
    before = sorted(Path().rglob("*.csv"))
    answer = zoo(*words)
    assert answer.status == 2, answer.err
    assert says in answer.err
    assert "Traceback" not in answer.err
    assert answer.out == ""
    as_json = zoo(*words, "--json")
    assert as_json.status == 2
    assert list(as_json.json["error"]) == ["kind", "message", "where", "nearest"]
    assert sorted(Path().rglob("*.csv")) == before
    assert [run for run in runs_left() if run.data.tags.get("zoo.kind") != "baseline"] == []


def test_a_store_that_cannot_be_written(zoo: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch) -> None:
    Path("file").write_text("not a folder")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///file/below.db")
    answer = zoo("train", "regression/linear", "diabetes", "--epochs", 1)
    assert answer.status == 2
    assert "store" in answer.err
    assert "Traceback" not in answer.err


def test_prediction_with_wrong_rows(zoo: Callable[..., Answer], table: Path, people: pd.DataFrame) -> None:
    words = ["--target", "rich", "--epochs", 1, "--baselines", "none", "--json"]
    run = zoo("train", "classification/linear", table, *words).json["run_id"]
    people.drop(columns="age").rename(columns={"job": "Job"}).to_csv("less.csv", index=False)
    answer = zoo("predict", run, "less.csv")
    assert (answer.status, "age, job" in answer.err) == (2, True), answer.err
    people.astype({"age": object}).assign(age="old").to_csv("text.csv", index=False)
    answer = zoo("predict", run, "text.csv", "--output", "made.csv")
    assert answer.status == 2
    assert "text.csv, column age, row 1: 'old' is not a number" in answer.err
    assert not Path("made.csv").exists()
    assert zoo("predict", run, table, "--output", "nowhere/made.csv").status == 2
    assert zoo("predict", run, table, "--keep", "hight").status == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_a_failed_job(zoo: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every write of the checkpoint fails as on a full disk, by a limit on the size of files."""
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (4_000_000, resource.RLIM_INFINITY))
    import signal

    former = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        answer = zoo("train", "classification/mlp", "wine", "--set", "units=1024", "--epochs", 2, "--baselines", "none")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        signal.signal(signal.SIGXFSZ, former)
    assert answer.status == 1
    assert "Traceback" not in answer.err
    (run,) = runs_left()
    assert run.info.status == "FAILED"
    assert "File too large" in run.data.tags["zoo.reason"]
    assert not [path for path in Path("mlruns").rglob(".*.bin.*")]


def test_nothing_heavy_for_a_list(workspace: Path) -> None:
    script = (
        "import sys\n"
        "sys.argv = ['zoo', 'list']\n"
        "import zoo.cli\n"
        "try: zoo.cli.main()\n"
        "except SystemExit: pass\n"
        "heavy = {'tensorflow', 'keras', 'keras_tuner', 'mlflow', 'pandas', 'sklearn'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)


@pytest.mark.parametrize(
    "words", [["train", "image/cnn", "tfds:Mnist"], ["train", "classification/mpl", "wine"], ["data", "none.csv"]]
)
def test_what_is_not_there_is_said_before_anything_heavy_loads(workspace: Path, words: list[str]) -> None:
    script = (
        "import sys\n"
        f"sys.argv = {['zoo', *words]!r}\n"
        "import zoo.cli\n"
        "try: zoo.cli.main()\n"
        "except SystemExit as ended: assert ended.code == 2, ended\n"
        "heavy = {'tensorflow', 'keras', 'tensorflow_datasets', 'mlflow'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)


def test_one_json_object_and_nothing_else_in_a_real_process(workspace: Path) -> None:
    command = [sys.executable, "-m", "zoo", "train", "regression/linear", "diabetes", "--epochs", "1", "--json"]
    ended = subprocess.run(
        command, check=True, capture_output=True, text=True, env={**os.environ, "PYTHONWARNINGS": ""}
    )
    conforms(json.loads(ended.stdout), SCHEMAS["train"])
    assert ended.stdout.count("\n") == 1
    assert "\x1b" not in ended.stderr


def test_of_several_jobs_one_fails_without_the_others(workspace: Path, command: Callable[..., Answer]) -> None:
    job = "command: train\nmodel: regression/linear\nsource: diabetes\nepochs: 2\nbaselines: none\nfigures: false\n"
    Path("good.yaml").write_text(job)
    Path("bad.yaml").write_text(job.replace("diabetes", "none.csv"))
    answer = command("run", "good.yaml", "bad.yaml", "--jobs", "2", "--json")
    assert answer.status == 1
    good, bad = json.loads(answer.out)["jobs"]
    assert (good["status"], bad["status"]) == ("done", "failed")
    assert good["result"]["metrics"]["test_rmse"] > 0
    assert "no such file" in bad["result"]["error"]["message"]
    Path("worse.yaml").write_text("command: trian")
    refused = command("run", "good.yaml", "worse.yaml")
    assert refused.status == 2
    assert "unknown command 'trian'" in refused.err
    assert len(json.loads(command("runs", "--json").out)["runs"]) == 1  # nothing was begun
