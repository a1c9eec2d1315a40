"""Language models as a user meets them: train, predict, generate, export, and wrong input."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from command import Answer

import zoo
from zoo.data.sources.bundled import load_bundled
from zoo.tracking.store import Store

SMALL = ("--set", "units=16", "--epochs", 4, "--set", "learning_rate=0.01")


@pytest.fixture
def words(workspace: Path) -> Path:
    path = workspace / "names.txt"
    path.write_text("\n".join(load_bundled("color_names")[0]["text"][:300]) + "\n", encoding="utf-8")
    return path


def test_from_a_text_file_to_generated_texts(words: Path, command: Callable[..., Answer]) -> None:
    # Without n-grams, which take seconds for each command to trace; texts of words are generated with them below.
    alone = ("--set", "ngrams=false", "--baselines", "all")
    run = command("train", "language/gru", "names.txt", *SMALL, *alone, "--json").json
    metrics, baselines = run["metrics"], run["baselines"]
    assert list(baselines) == ["unigram", "bigram", "ngram"]
    assert metrics["test_bits_per_character"] == metrics["test_bits_per_token"]
    assert metrics["test_bits_per_character"] < baselines["unigram"]["test_bits_per_character"] < 5
    assert baselines["ngram"]["val_bits_per_character"] <= baselines["bigram"]["val_bits_per_character"]
    _predictions_add_up_to_the_score(run, command)
    _generation(run["run_id"], command)


@pytest.mark.slow
def test_an_export_and_python_agree_with_the_command(words: Path, command: Callable[..., Answer]) -> None:
    run_id = command("train", "language/gru", "names.txt", *SMALL, "--baselines", "none", "--json").json["run_id"]
    exported = command("export", run_id, "--format", "onnx", "--output", "exported", "--json").json
    assert exported["exports"][0]["difference"] < 1e-4
    written = command("generate", run_id, "--prompt", "dark", "-n", 3, "--seed", 1, "--json").json["texts"]
    result = zoo.run_job("generate", run=run_id, prompt="dark", n=3, seed=1)
    assert [text for text, _ in result.texts] == [text["text"] for text in written]


def _predictions_add_up_to_the_score(run: dict, command: Callable[..., Answer]) -> None:
    store = Store()
    split = json.loads(store.read_text(run["run_id"], "split.json"))
    texts = Path("names.txt").read_text(encoding="utf-8").splitlines()
    test = [texts[row] for row in split["test"]]
    Path("new.txt").write_text("\n".join([*test, "dark red", "dark ŗed"]) + "\n", encoding="utf-8")
    *predictions, known, unknown = command("predict", run["run_id"], "new.txt", "--json").json["predictions"]
    characters, bits = sum(len(text) + 1 for text in test), sum(each["score"] for each in predictions)
    assert bits / characters == pytest.approx(run["metrics"]["test_bits_per_character"], rel=1e-5)
    assert list(known) == ["prediction", "score"]
    assert unknown["score"] > known["score"] + 10  # an unknown character costs 20 bits


def _generation(run_id: str, command: Callable[..., Answer]) -> None:
    words = ("--prompt", "dark", "-n", 3, "--temperature", 0.8, "--top-k", 5, "--seed", 1)
    answer = command("generate", run_id, *words, "--json").json
    assert [text["text"][:4] for text in answer["texts"]] == ["dark"] * 3
    assert [step["token"] for step in answer["steps"]] == list("dark")
    assert len(answer["next"]) == 10
    probabilities = [step["probability"] for step in answer["next"]]
    assert probabilities == sorted(probabilities, reverse=True)
    assert sum(probabilities) <= 1
    assert all(0 < step["probability"] < 1 for step in answer["steps"])
    Path("job.yaml").write_text(
        f"command: generate\nrun: {run_id}\nprompt: dark\nn: 3\ntemperature: 0.8\ntop_k: 5\nseed: 1\n"
    )
    assert command("run", "job.yaml", "--json").json == answer
    store = Store()
    figures = {file.path for file in store.client.list_artifacts(run_id, "figures")}
    assert {"figures/next_tokens.png", "figures/bits_by_length.png", "figures/next_tokens_dark.png"} <= figures
    table = json.loads(store.read_text(run_id, "tables/next_tokens_dark.json"))
    assert [row[1] for row in table["data"][:4]] == list("dark")
    listed = store.run(run_id).data.tags["mlflow.loggedArtifacts"]
    assert "next_tokens_dark" in listed
    nothing = command("generate", run_id, "-n", 1)
    assert nothing.status == 0
    wrong = command("generate", run_id, "--prompt", "Dark")
    assert (wrong.status, "the characters 'D', the first of them at position 1; did you mean 'dark'" in wrong.err) == (
        2, True,
    ), wrong.err  # fmt: skip
    for option, value in (("--temperature", -1), ("-n", -1), ("--top-k", 0), ("--seed", -1)):
        assert command("generate", run_id, option, value).status == 2


def test_words_and_long_texts(workspace: Path, command: Callable[..., Answer]) -> None:
    rng = np.random.default_rng(0)
    words = ["cat", "dog", "bird", "sat", "ran", "on", "the", "mat", "log"]
    sentences = ["The " + " ".join(rng.choice(words, 12)) for _ in range(60)]
    Path("texts.csv").write_text("id,text\n" + "".join(f"{row},{text}\n" for row, text in enumerate(sentences)))
    small = ("--drop", "id", "--unit", "word", "--piece", 4, "--vocabulary", 8, "--set", "units=8", "--epochs", 2)
    run = command("train", "language/rnn", "texts.csv", *small, "--json").json
    metrics = run["metrics"]
    assert metrics["test_bits_per_token"] > 2 * metrics["test_bits_per_character"] > 0
    assert math.isfinite(run["baselines"]["ngram"]["test_bits_per_token"])
    generated = command("generate", run["run_id"], "--prompt", "The cat", "-n", 2, "--length", 3, "--json").json
    assert all(text["text"].startswith("The cat ") for text in generated["texts"])
    assert all(len(text["text"].split()) <= 5 for text in generated["texts"])


@pytest.mark.slow
def test_folds_and_a_test_file(words: Path, command: Callable[..., Answer]) -> None:
    small = (*SMALL, "--epochs", 1, "--baselines", "none")
    folds = command("train", "language/rnn", "names.txt", "--cv", 2, *small, "--no-figures", "--json").json
    assert len(folds["runs"]) == 2
    Path("test.txt").write_text("dark red\n\nlight red\n")
    run = command("train", "language/rnn", "names.txt", "--test", "test.txt", *small, "--json").json
    assert run["metrics"]["test_bits_per_character"] > 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("names.txt", "--target", "text"), "a language model predicts the text itself"),
        (("names.txt", "--unit", "letter"), "unit: received 'letter'"),
        (("names.txt", "--vocabulary", "0"), "vocabulary: received"),
        (("names.txt", "--text", "texts"), "there is no column 'texts' of texts"),
        (("japanese_vowels",), "language models need texts"),
        (("wine",), "which this task does not read"),
        (("empty.txt",), "empty"),
        (("once.txt",), "no character occurs twice"),
    ],
)
def test_wrong_input(arguments: tuple[str, ...], says: str, words: Path, command: Callable[..., Answer]) -> None:
    Path("empty.txt").write_text("\n\n")
    Path("once.txt").write_text("a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n")
    answer = command("train", "language/gru", *arguments)
    assert answer.status == 2, answer.err
    assert says in answer.err
    assert "Traceback" not in answer.err


def test_only_language_models_generate(workspace: Path, command: Callable[..., Answer]) -> None:
    run = zoo.train("regression/linear", "diabetes", epochs=1, baselines="none", quiet=True, figures=False)
    answer = command("generate", run.run_id)
    assert answer.status == 2
    assert "texts are generated by a language model" in answer.err
