"""Digests of model files that build the same networks as earlier ones: searches begun with those still resume.

A digest is looked up as the files are now, so that an entry ends by itself when its model changes again.
"""

from __future__ import annotations

# Digest of the files now: digest of the files of zoo 0.1.0, before names and words in them were changed.
EARLIER_CODE = {
    "069d8391765d": "d5ffd25aaebd",  # classification/*
    "8e2ff2b68e48": "63b02beb3b77",  # classification/linear
    "045f32c63849": "b5cb5f90e23d",  # classification/mlp
    "e8e1b53279ad": "44971d2fb34d",  # clustering/*
    "f1a75cb65bd9": "aa814ae7afbe",  # image/*
    "d342fae5faa8": "fe913614fb59",  # regression/*
    "65c2a6f06b94": "9a82ad209e9d",  # regression/linear
    "5b65adf62baa": "02f81f05ae4a",  # regression/mlp
    "0730c7050e3a": "92c0bfca868e",  # rl/*
    "054ed1aed228": "2049894b7969",  # sequence/*
    "15154dcc1b8b": "9ddf33c94e94",  # sequence/gru
    "44ae6584428e": "59bdf6341292",  # sequence/lstm
    "23cd6a32d579": "42e121206524",  # sequence/rnn
}
