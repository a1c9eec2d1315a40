"""Preprocessing of dates: calendar features from seconds since 1970."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from zoo.portable.preprocessing import DAYS_A_YEAR
from zoo.portable.rows import EARLIEST, LATEST
from zoo.preprocessing.configuration import simplify_config


@keras.saving.register_keras_serializable("zoo")
class PrepareDates(keras.layers.Layer):
    """Computes standardised calendar features of dates, those that varied in training.

    Missing dates become 0, the mean, with an indicator if there were any in training. The features are those of
    :func:`zoo.portable.preprocessing.extract_calendar_parts`.

    Args:
        statistics: For each column ``parts``, with mean and standard deviation of each feature by name, and
            optionally ``fill``, which replaces missing dates.
        indicators: Positions of the columns that get an indicator of missing values.

    Call arguments:
        columns: F tensors (B,), float64: seconds since 1970 in UTC, NaN where missing.
    """

    def __init__(self, statistics: Sequence[Mapping[str, Any]], indicators: Sequence[int], **options: Any) -> None:
        super().__init__(autocast=False, trainable=False, dtype="float32", **options)
        self.statistics, self.indicators = [dict(facts) for facts in statistics], list(indicators)
        self.supports_jit = False

    def call(self, columns: Sequence[Any]) -> Any:
        """Return standardised features (B, D), float32."""
        features = []
        for index, (column, facts) in enumerate(zip(columns, self.statistics, strict=True)):
            seconds = tf.cast(tf.reshape(column, [-1]), tf.float64)
            missing = tf.math.is_nan(seconds)
            fill = facts.get("fill")
            nothing = missing if fill is None else tf.zeros_like(missing)
            parts = _calendar(tf.where(missing, tf.constant(fill or 0.0, tf.float64), seconds))
            for name, (mean, std) in facts["parts"].items():
                scaled = (parts[name] - mean) / std
                features.append(tf.where(nothing, tf.zeros_like(scaled), scaled))
            if index in self.indicators:
                features.append(tf.cast(missing, tf.float64))
        return tf.cast(tf.stack(features, axis=-1), tf.float32)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, int]:
        """Return (B, D)."""
        return (input_shape[0][0], sum(len(facts["parts"]) for facts in self.statistics) + len(self.indicators))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        config = simplify_config(super().get_config())
        return {**config, "statistics": self.statistics, "indicators": self.indicators}


def _calendar(seconds: Any) -> dict[str, Any]:
    """Return calendar features of dates (B,) in the proleptic Gregorian calendar, each (B,), float64.

    Years begin in March here, so that the leap day is the last one: Fliegel and Van Flandern 1968, "A machine
    algorithm for processing calendar dates", in the form of Hinnant 2013, "chrono-compatible low-level date
    algorithms".
    """
    seconds = tf.clip_by_value(seconds, EARLIEST, LATEST)
    days = tf.cast(tf.floor(seconds / 86_400), tf.int64)
    since = days + 719_468  # from 1 March of the year 0
    era, in_era = since // 146_097, since % 146_097
    year_of_era = (in_era - in_era // 1460 + in_era // 36_524 - in_era // 146_096) // 365
    from_march = in_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month_from_march = (5 * from_march + 2) // 153
    month = tf.where(month_from_march < 10, month_from_march + 3, month_from_march - 9)
    year = year_of_era + era * 400 + tf.cast(month <= 2, tf.int64)
    leap = ((year % 4 == 0) & (year % 100 != 0)) | (year % 400 == 0)
    in_year = tf.where(month <= 2, from_march - 306, from_march + 59 + tf.cast(leap, tf.int64))
    angle = tf.cast(in_year, tf.float64) * (2 * math.pi / DAYS_A_YEAR)
    whole = {
        "year": year,
        "month": month,
        "day": from_march - (153 * month_from_march + 2) // 5 + 1,
        "weekday": (days + 3) % 7,  # 1970 began on a Thursday; Monday is 0
    }
    return {
        **{name: tf.cast(part, tf.float64) for name, part in whole.items()},
        "hour": tf.math.floormod(seconds, np.float64(86_400)) / 3600,
        "season_sin": tf.sin(angle),
        "season_cos": tf.cos(angle),
        "elapsed": seconds / 86_400,
    }
