"""Bits per character of language models by their defaults, and of n-grams on the same test texts, with CPU time.

Few texts (names of colours), some (text messages) and many (French words). The CPU time is that of the whole command,
baselines and report included. Test texts choose nothing.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from _results import Results, mean_and_deviation, read_arguments, say

ROOT = Path(__file__).parent.parent
MODELS, SEEDS = ("gru", "lstm", "rnn"), 3
SETS = {
    "color_names": ("color_names",),
    "french_words": ("french_words/train.txt.gz", "--test", "french_words/test.txt.gz", "--validation-size", "0.05"),
    "sms_spam": ("sms_spam/data.csv.gz", "--text", "text", "--drop", "label", "--sample-rows", "0.3"),
}
MOST_BITS, MOST_MINUTES = 1.85, 15  # of gru on french_words


def main() -> None:
    """Measure and report."""
    options = read_arguments(__doc__ or "")
    if options.data is None and not options.quick:
        sys.exit("language.py needs --data FOLDER with french_words and sms_spam")
    seeds, models, sets = (range(1), MODELS[:1], ["color_names"]) if options.quick else (range(SEEDS), MODELS, [*SETS])
    results = Results(__file__, options, {"models": models, "seeds": len(seeds)})
    for model in models:  # one model on all sets before the next, so that a run cut short tells most
        for name in sets:
            texts = [str((options.data / word).resolve()) if word.endswith(".gz") else word for word in SETS[name]]
            for seed in seeds:
                say(f"language: {name}, {model}, seed {seed}")
                more = ["--epochs", "2"] if options.quick else []
                key = f"{name}, {model}, seed {seed}"
                results.measure(key, lambda m=model, w=[*texts, *more], s=seed: _train(m, w, s))
    _report(results)


def _train(model: str, words: list[str], seed: int) -> dict[str, Any]:
    """Return the test bits of one run of the command line, of its n-grams, and its CPU minutes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "zoo", "train", f"language/{model}", *words, "--seed", str(seed), "--json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = json.loads(done.stdout)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "bits": run["metrics"]["test_bits_per_character"],
        "network_bits": run["metrics"]["test_network_bits_per_character"],
        "ngram_bits": run["baselines"]["ngram"]["test_bits_per_character"],
        "unigram_bits": run["baselines"]["unigram"]["test_bits_per_character"],
        "minutes": seconds / 60,
    }


def _report(results: Results) -> None:
    lines = []
    for name in SETS:
        for model in MODELS:
            rows = [row for key, row in results.rows.items() if key.startswith(f"{name}, {model}, seed")]
            if not rows:
                continue
            fields = ("bits", "network_bits", "ngram_bits")
            cells = [mean_and_deviation([row[field] for row in rows], ".3f") for field in fields]
            minutes = [row["minutes"] for row in rows]
            aim, met = "", ""
            if (name, model) == ("french_words", "gru"):
                aim = f"below {MOST_BITS} in {MOST_MINUTES} minutes"
                met = "yes" if max(row["bits"] for row in rows) < MOST_BITS and max(minutes) < MOST_MINUTES else "no"
            lines.append((name, model, str(len(rows)), *cells, mean_and_deviation(minutes, ".1f"), aim, met))
    results.report(
        "Bits per character of texts",
        ("texts", "model", "seeds", "model, test", "its network alone", "n-grams", "CPU minutes, all", "aim", "met"),
        lines,
        [
            "The end of each text is counted; characters that the training texts do not have twice cost 20 bits more.",
            "N-grams have Kneser-Ney smoothing and the order that is best on validation texts.",
        ],
    )


if __name__ == "__main__":
    main()
