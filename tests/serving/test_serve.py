"""A served model answers raw rows in JSON and CSV as it predicts in process, and says what is wrong with others."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from command import Answer

import zoo
from zoo.portable.digests import compute_digest
from zoo.serving import serve

Ask = Any


@pytest.fixture
def people() -> pd.DataFrame:
    generator = np.random.default_rng(0)
    frame = pd.DataFrame({"height": generator.normal(170, 10, 200), "code": generator.choice(["01", "02", "x"], 200)})
    frame["rich"] = np.where(frame["height"] + generator.normal(0, 5, 200) > 170, "yes", "no")
    return frame


@pytest.fixture
def served(workspace: Path, people: pd.DataFrame) -> Iterator[tuple[str, int, subprocess.Popen[str]]]:
    run = zoo.train(
        "classification/linear",
        people,
        target="rich",
        epochs=2,
        calibration_size=0.2,
        baselines="none",
        quiet=True,
        figures=False,
    )
    with serving(run.run_id[:10]) as (port, server):
        yield run.run_id, port, server


@contextmanager
def serving(run: str) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "zoo", "serve", run, "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        lines = [server.stdout.readline()]
        while lines[-1] and not lines[-1].startswith("Ctrl-C"):
            lines.append(server.stdout.readline())
        assert f"http://127.0.0.1:{port}/invocations" in lines[0]
        assert any("dataframe_records" in line for line in lines)
        try:
            yield port, server
        finally:
            server.terminate()  # which ends its own server too


def ask(port: int, body: Any, kind: str = "application/json", query: str = "") -> tuple[int, Any]:
    with closing(HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.request("POST", f"/invocations{query}", body, {"Content-Type": kind})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


def test_it_answers_as_the_model_does_and_names_what_is_wrong(
    served: tuple[str, int, subprocess.Popen[str]], people: pd.DataFrame
) -> None:
    run_id, port, server = served
    rows = people.drop(columns="rich").head(5)
    expected = zoo.load(run_id).predict(rows).to_dict("records")
    records = {"dataframe_records": json.loads(rows.to_json(orient="records"))}
    for status, answer in (
        ask(port, json.dumps(records)),
        ask(port, rows.to_csv(index=False), "text/csv"),
        ask(port, rows.iloc[:, ::-1].assign(more=1).to_csv(index=False), "text/csv; charset=utf-8"),
    ):
        assert status == 200
        assert [row["prediction"] for row in answer["predictions"]] == [row["prediction"] for row in expected]
        assert [row["probability_yes"] for row in answer["predictions"]] == pytest.approx(
            [row["probability_yes"] for row in expected], abs=1e-6
        )
    status, answer = ask(port, rows.to_csv(index=False), "text/csv", "?intervals=90")
    assert status == 200
    assert "set_90" in answer["predictions"][0]
    status, answer = ask(port, json.dumps({**records, "params": {"intervals": 90}}))
    assert status == 200
    assert "set_90" in answer["predictions"][0]
    wrong = rows.assign(height="tall")
    for status, answer in (
        ask(port, wrong.to_csv(index=False), "text/csv"),
        ask(port, json.dumps({"dataframe_records": wrong.to_dict("records")})),
        ask(port, rows[["code"]].to_csv(index=False), "text/csv"),
        ask(port, json.dumps({"dataframe_records": [{"code": "x"}]})),
    ):
        assert status == 400
        assert "height" in answer["message"]
        assert "stack_trace" not in answer
    for body, query in ((rows.head(0).to_csv(index=False), ""), (rows.to_csv(index=False), "?intervals=x")):
        status, answer = ask(port, body, "text/csv", query)
        assert status == 400, answer
    for body, says in (
        (b"[" * 200_000, "too many levels"),
        (b'{"dataframe_records": [{"height": ' + b"9" * 5_000 + b"}]}", "an integer of 5,000 digits"),
        (b'{"dataframe_records": [{"height": ' + b"9" * 310 + b"}]}", "an integer of 310 digits"),
        (b"", "is not JSON"),
        (b"\xff", "is not JSON"),
        (b'{"dataframe_records": [{"height": [[1]], "code": {"a": 1}}]}', "height"),
        (b'{"dataframe_records": [{"heigth": 170}]}', "heigth"),
        (b'{"dataframe_records": [{"heigth": 170}]}', "no column that the model needs; it needs height, code"),
    ):
        status, answer = ask(port, body)
        assert status == 400, body[:50]
        assert says in answer["message"]
        assert "stack_trace" not in answer
    status, answer = ask(port, "{}", "")
    assert status == 415
    assert "Content-Type is missing" in answer["message"]
    for body in (b" " * (65 * 2**20), iter([b" " * 2**20] * 70)):  # with its length, and in chunks without it
        status, answer = ask(port, body)
        assert status == 413
        assert "larger than 64 MB" in answer["message"]
    with closing(HTTPConnection("127.0.0.1", port, timeout=60)) as unfinished:
        unfinished.putrequest("POST", "/invocations")
        unfinished.putheader("Content-Length", "1000")
        unfinished.endheaders()
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=60) == 0
    with pytest.raises(ConnectionRefusedError):
        ask(port, "{}")


@pytest.mark.slow
def test_pictures_and_sequences_are_lists_of_lists_and_never_paths(workspace: Path) -> None:
    generator = np.random.default_rng(0)
    images = (255 * generator.random((60, 8, 8, 1))).astype(np.uint8)
    np.savez("images.npz", x=images, y=generator.integers(0, 2, 60))
    run = zoo.train("image/cnn", "images.npz", epochs=1, baselines="none", quiet=True)
    expected = zoo.load(run.run_id).predict({"image": list(images[:2])})
    with serving(run.run_id) as (port, _):
        status, answer = ask(port, json.dumps({"dataframe_records": [{"image": p.tolist()} for p in images[:2]]}))
        assert status == 200
        pd.testing.assert_frame_equal(pd.DataFrame(answer["predictions"]), expected, check_dtype=False, atol=1e-6)
        for body, kind in (
            (json.dumps({"dataframe_records": [{"image": str(Path("images.npz").resolve())}]}), "application/json"),
            (f"image\n{Path('images.npz').resolve()}\n", "text/csv"),
            (json.dumps({"dataframe_records": [{"image": [1, 2]}]}), "application/json"),
        ):
            status, answer = ask(port, body, kind)
            assert status == 400
            assert "No such file" not in answer["message"]
            assert "image" in answer["message"]
    run = zoo.train("sequence/rnn", "japanese_vowels", epochs=1, baselines="none", quiet=True)
    sequences = [generator.normal(size=(steps, 12)) for steps in (7, 12)]
    expected = zoo.load(run.run_id).predict({"sequence": sequences})
    with serving(run.run_id) as (port, _):
        status, answer = ask(port, json.dumps({"dataframe_records": [{"sequence": s.tolist()} for s in sequences]}))
        assert status == 200
        pd.testing.assert_frame_equal(pd.DataFrame(answer["predictions"]), expected, check_dtype=False, atol=1e-5)
        status, answer = ask(port, json.dumps({"dataframe_records": [{"sequence": [[1, 2], [3, 4]]}]}))
        assert status == 400
        assert "expected 12" in answer["message"]


@pytest.mark.parametrize(
    ("column", "example", "shown", "others"),
    [
        ("image", np.zeros((28, 28, 3), int), np.zeros((2, 2, 3)), "PIL.Image.open"),
        ("sequence", np.full((40, 2), 1 / 3), np.full((2, 2), 0.3333), "beginning of an example"),
        ("observation", np.full(4, 1 / 3), np.full(4, 0.3333), "predictions: "),
        ("age", np.array(1 / 3), np.array(1 / 3), "text/csv"),
    ],
)
def test_the_printed_example_is_short(
    tmp_path: Path, column: str, example: np.ndarray, shown: np.ndarray, others: str
) -> None:
    rows = {"dataframe_split": {"columns": [column], "data": [[example.tolist()]]}}
    (tmp_path / serve.EXAMPLE_FILE).write_text(json.dumps(rows))
    text = serve._how_to_ask("http://127.0.0.1:5000/invocations", tmp_path)
    payload = next(line for line in text.splitlines() if "-d '" in line).split("-d '")[1][:-1]
    (row,) = json.loads(payload)["dataframe_records"]
    np.testing.assert_array_equal(row[column], shown)
    assert others in text
    assert ("text/csv" in text) == (example.ndim == 0)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nowhere"], "there is no run 'nowhere'"),
        (["x", "--port", "0"], "port: received 0"),
        (["x", "--host", "nowhere.invalid"], "there is no run 'x'"),
        (["x", "--max-body-mb", "0"], "max_body_mb: received 0"),
        (["x", "--wheel", "zoo.whl"], "--isolated"),
        (["x", "--isolated", "--wheel", "zoo.whl"], "cannot read the wheel: No such file"),
    ],
)
def test_wrong_use_is_named(workspace: Path, command: Any, words: list[str], says: str) -> None:
    answer: Answer = command("serve", *words)
    assert answer.status == 2
    assert says in answer.err


def _model_folder() -> Path:
    (file,) = Path("mlruns/artifacts/models").rglob("MLmodel")
    return file.parent


@pytest.mark.parametrize(
    "name",
    [
        "requirements.txt",
        "MLmodel",
        *(pytest.param(n, marks=pytest.mark.slow) for n in ("python_env.yaml", "conda.yaml")),
    ],
)
def test_an_isolated_environment_is_not_installed_from_changed_files(workspace: Path, command: Any, name: str) -> None:
    run = zoo.train("classification/linear", "wine", epochs=1, baselines="none", quiet=True, figures=False)
    folder = _model_folder()
    file = folder / name
    text = file.read_text()
    file.chmod(0o644)
    if name == "MLmodel":
        (folder / "other.yaml").write_text("dependencies: [a-package-that-does-not-exist]")
        file.write_text(text.replace("virtualenv: python_env.yaml", "virtualenv: other.yaml"))
    else:
        file.write_text(text.replace("keras==", "a-package-that-does-not-exist\nkeras==") + "\n")
    answer: Answer = command("serve", run.run_id, "--isolated")
    assert answer.status == 2
    assert name in answer.err
    assert "was changed since the model was saved" in answer.err
    file.unlink()
    assert command("serve", run.run_id, "--isolated").status == 2


def test_a_model_without_digests_of_its_environment_is_not_installed_unless_asked(
    workspace: Path, command: Any
) -> None:
    run = zoo.train("classification/linear", "wine", epochs=1, baselines="none", quiet=True, figures=False)
    file = _model_folder() / "data/zoo/zoo.json"
    facts = json.loads(file.read_text())
    del facts["environment"]
    file.chmod(0o644)
    file.write_text(json.dumps({**facts, "digest": compute_digest(facts)}))
    zoo.load(run.run_id)  # which needs no environment
    answer: Answer = command("serve", run.run_id, "--isolated")
    assert answer.status == 2
    assert "--unchecked" in answer.err
    assert "--isolated" in command("serve", run.run_id, "--unchecked").err


def test_a_port_that_is_taken(workspace: Path, command: Any) -> None:
    run = zoo.train("classification/linear", "wine", epochs=1, baselines="none", quiet=True, figures=False)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        answer: Answer = command("serve", run.run_id, "--port", taken.getsockname()[1])
    assert answer.status == 2
    assert "is in use on 127.0.0.1" in answer.err


@pytest.mark.parametrize(("host", "says"), [("nowhere.invalid", "is not an address"), ("192.0.2.1", "0.0.0.0")])
def test_an_address_of_another_machine(workspace: Path, command: Any, host: str, says: str) -> None:
    answer: Answer = command("ui", "--host", host)
    assert answer.status == 2
    assert f"host: '{host}'" in answer.err
    assert says in answer.err


def test_pages_for_other_machines_come_with_a_warning_and_without_messages_of_mlflow(workspace: Path) -> None:
    zoo.train("classification/linear", "wine", epochs=1, baselines="none", quiet=True, figures=False)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "zoo", "ui", "--host", "0.0.0.0", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stderr is not None
        assert f"http://127.0.0.1:{port}/" in server.stdout.readline()
        with closing(HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
            connection.request("GET", "/")
            assert connection.getresponse().status == 200
        server.terminate()
        assert server.wait(timeout=60) == 0
        warning = server.stderr.read()
    assert warning.startswith("warning: there is no password")
    assert len(warning.splitlines()) == 1


@pytest.mark.slow
def test_pages_end_with_a_command_that_is_killed(workspace: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with subprocess.Popen([sys.executable, "-m", "zoo", "ui", "--port", str(port)], stdout=subprocess.PIPE) as pages:
        assert pages.stdout is not None
        assert pages.stdout.readline().startswith(b"runs: ")
        pages.kill()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return
        time.sleep(0.1)
    pytest.fail("the server still answers")
