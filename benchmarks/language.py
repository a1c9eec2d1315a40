"""Bits per letter of French words: networks by their defaults and n-grams on the same test words, with CPU time.

The CPU time is that of the whole command, baselines and report included. Test words choose nothing.
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
MOST_BITS, MOST_MINUTES = 1.85, 15
SOURCES = ("french_words/train.txt.gz", "french_words/test.txt.gz")


def main() -> None:
    """Measure and report."""
    options = read_arguments(__doc__ or "")
    if options.data is None and not options.quick:
        sys.exit("language.py needs --data FOLDER with french_words/train.txt.gz and french_words/test.txt.gz")
    seeds, models = (range(1), MODELS[:1]) if options.quick else (range(SEEDS), MODELS)
    words = ["color_names", "--epochs", "2"]
    if not options.quick:
        train, test = (str((options.data / name).resolve()) for name in SOURCES)
        words = [train, "--test", test, "--validation-size", "0.05"]
    results = Results(__file__, options, {"models": models, "seeds": len(seeds), "validation": 0.05})
    for seed in seeds:
        for model in models:
            say(f"language: {model}, seed {seed}")
            results.measure(f"{model}, seed {seed}", lambda m=model, s=seed: _train(m, words, s))
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
        "ngram_bits": run["baselines"]["ngram"]["test_bits_per_character"],
        "unigram_bits": run["baselines"]["unigram"]["test_bits_per_character"],
        "minutes": seconds / 60,
    }


def _report(results: Results) -> None:
    lines = []
    for model in MODELS:
        rows = [row for key, row in results.rows.items() if key.startswith(f"{model}, seed")]
        if not rows:
            continue
        bits, minutes = [row["bits"] for row in rows], [row["minutes"] for row in rows]
        met = max(bits) < MOST_BITS and max(minutes) < MOST_MINUTES
        aim = f"below {MOST_BITS} in {MOST_MINUTES} minutes" if model == "gru" else ""
        cells = [mean_and_deviation([row[field] for row in rows], ".3f") for field in ("bits", "ngram_bits")]
        lines.append((model, *cells, mean_and_deviation(minutes, ".1f"), aim, ("yes" if met else "no") if aim else ""))
    results.report(
        "Bits per letter of French words",
        ("model", "test bits per letter", "n-grams, Kneser-Ney", "CPU minutes, all", "aim", "met"),
        lines,
        ["The end of each word is counted; characters that the training words do not have twice cost 20 bits more."],
    )


if __name__ == "__main__":
    main()
