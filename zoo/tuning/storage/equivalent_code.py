"""Digests of model files that build the same networks as earlier ones: searches begun with those still resume.

A digest is looked up as the files are now, so that an entry ends by itself when its model changes again.
"""

from __future__ import annotations

# Digest of the files now: digest of the files of zoo 0.1.0, before names and words in them were changed.
EARLIER_CODE = {
    "e1df04ec2432": "d5ffd25aaebd",  # classification/*
    "649982b8cea9": "63b02beb3b77",  # classification/linear
    "e5b073b7e01a": "b5cb5f90e23d",  # classification/mlp
    "a230a13cdaa0": "44971d2fb34d",  # clustering/*
    "c560fd292316": "aa814ae7afbe",  # image/*
    "90fe1e5b9a63": "fe913614fb59",  # regression/*
    "d7bb1b0ef8f5": "9a82ad209e9d",  # regression/linear
    "b25a95c5f928": "02f81f05ae4a",  # regression/mlp
    "1e2239d0e0bc": "92c0bfca868e",  # rl/*
    "acade71215b2": "2049894b7969",  # sequence/*
    "320dd3d925be": "9ddf33c94e94",  # sequence/gru
    "4b54f8f57b56": "59bdf6341292",  # sequence/lstm
    "27b31f25982f": "42e121206524",  # sequence/rnn
}
