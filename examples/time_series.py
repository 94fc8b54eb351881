"""An LSTM forecasts carbon dioxide in the air a year ahead, week by week, beside the forecast that takes the year before.

    pip install statsmodels            # the series
    python examples/time_series.py

The series is what was measured at Mauna Loa each week from 1958 to 2001, in parts per million (Keeling and Whorf 2004, public
domain); 59 weeks without a measurement lie on a line between their neighbours. The last five years are held out: for each of
their weeks that has a year behind it there is a forecast of that year, from what was known by then.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import graphc as gx
from graphc.layers import LSTM, Dense, Dropout
from graphc.models import Sequential

YEAR, PAST, HELD = 52, 104, 260  # weeks: of a season, that the network sees, that are held out


def load() -> Any:
    """What was measured, one number a week."""
    from statsmodels.datasets import co2

    return co2.load_pandas().data["co2"].interpolate().to_numpy("float64")


def network(units: int, steps: int) -> Sequential:
    model = Sequential([LSTM(units, input_shape=(PAST, 1)), Dropout(0.1), Dense(YEAR)])
    model.compile(gx.models.optimizers.Adam(gx.optim.schedules.cosine(3e-3, steps)), "mae", clip_norm=1.0)
    return model


def main(series: Any = None, units: int = 32, epochs: int = 30, verbose: int = 2) -> Any:
    """Train; for each way to forecast (MAE, MASE); the series; and the year that each way gave for the last year."""
    y = load() if series is None else np.asarray(series, "float64")
    rise = y[YEAR:] - y[:-YEAR]  # over a year: without the season
    spread = rise[:-HELD].std()
    rows = np.lib.stride_tricks.sliding_window_view(rise, PAST + YEAR)
    now = rows[:, PAST - 1 : PAST]  # the network sees, and says, by how much the rise differs from that of the last week
    past, ahead = np.split(((rows - now) / spread).astype("float32"), [PAST], axis=1)
    train, held = len(rows) - HELD, HELD - YEAR + 1  # windows that end before the held-out weeks; that have a year in them
    model = network(units, epochs * -(-train // 64))
    model.fit(past[:train, :, None], ahead[:train], batch_size=64, epochs=epochs, verbose=verbose)

    pairs = np.lib.stride_tricks.sliding_window_view(y, 2 * YEAR)[-held:]
    before, truth = pairs[:, :YEAR], pairs[:, YEAR:]
    forecasts = {
        "the year before": before,
        "the year before and its rise": before + now[-held:],
        "LSTM": before + now[-held:] + spread * model.predict(past[-held:, :, None]),
    }
    unit = np.abs(rise[:-HELD]).mean()  # by what the year before is off where the network learned: MASE is 1
    table = {}
    for name, said in forecasts.items():
        off = float(np.abs(said - truth).mean())
        table[name] = off, off / unit
        print(f"{name:30s} MAE {off:.3f}   MASE {off / unit:.3f}")
    return table, y, {name: said[-1] for name, said in forecasts.items()}


if __name__ == "__main__":
    main()
