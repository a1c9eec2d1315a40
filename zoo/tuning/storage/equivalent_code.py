"""Digests of model files that build the same networks as earlier ones: searches begun with those still resume.

A digest is looked up as the files are now, so that an entry ends by itself when its model changes again.
"""

from __future__ import annotations

# Digest of the files now: digest of the files of zoo 0.1.0, before names and words in them were changed.
EARLIER_CODE = {
    "ebb58aa605aa": "d5ffd25aaebd",  # classification/*
    "cabe0b56ae56": "63b02beb3b77",  # classification/linear
    "cfda6d3d8854": "b5cb5f90e23d",  # classification/mlp
    "da190a381b17": "44971d2fb34d",  # clustering/*
    "533efaa69224": "aa814ae7afbe",  # image/*
    "246f439f610e": "fe913614fb59",  # regression/*
    "db29899d7191": "9a82ad209e9d",  # regression/linear
    "732a6c7eac29": "02f81f05ae4a",  # regression/mlp
    "86a4ac771005": "92c0bfca868e",  # rl/*
    "564a3b54a9fe": "2049894b7969",  # sequence/*
    "3a6d66fa2701": "9ddf33c94e94",  # sequence/gru
    "9471a23b568b": "59bdf6341292",  # sequence/lstm
    "f9b5c42c3e37": "42e121206524",  # sequence/rnn
}
