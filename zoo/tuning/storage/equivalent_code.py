"""Digests of model files that build the same networks as earlier ones: searches begun with those still resume.

A digest is looked up as the files are now, so that an entry ends by itself when its model changes again.
"""

from __future__ import annotations

# Digest of the files now: digest of the files of zoo 0.1.0, before names and words in them were changed.
EARLIER_CODE = {
    "119cf69fe086": "d5ffd25aaebd",  # classification/*
    "239a79dd1d9e": "63b02beb3b77",  # classification/linear
    "24bbd5219930": "b5cb5f90e23d",  # classification/mlp
    "54ecaa15c212": "44971d2fb34d",  # clustering/*
    "788954144f4e": "aa814ae7afbe",  # image/*
    "201715dab675": "fe913614fb59",  # regression/*
    "dacf9b4bc048": "9a82ad209e9d",  # regression/linear
    "82e0246ada4d": "02f81f05ae4a",  # regression/mlp
    "6943f14ca026": "92c0bfca868e",  # rl/*
    "793f43d58984": "2049894b7969",  # sequence/*
    "1e935e0b62e8": "9ddf33c94e94",  # sequence/gru
    "3313f09d5d10": "59bdf6341292",  # sequence/lstm
    "db9d0a187f0b": "42e121206524",  # sequence/rnn
}
