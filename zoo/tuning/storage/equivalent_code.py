"""Digests of model files that build the same networks as earlier ones: searches begun with those still resume.

A digest is looked up as the files are now, so that an entry ends by itself when its model changes again.
"""

from __future__ import annotations

# Digest of the files now: digest of the files of zoo 0.1.0, before names and words in them were changed.
EARLIER_CODE = {
    "4c18dbcc38bf": "d5ffd25aaebd",  # classification/*
    "25378d52c88e": "63b02beb3b77",  # classification/linear
    "a95c21cb80da": "b5cb5f90e23d",  # classification/mlp
    "b1457a599a5e": "44971d2fb34d",  # clustering/autoencoder
    "108055ae379d": "fe913614fb59",  # regression/*
    "14f5945d000a": "9a82ad209e9d",  # regression/linear
    "cb9cb7239593": "02f81f05ae4a",  # regression/mlp
}
