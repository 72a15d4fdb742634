"""Forecasts of series in long and wide tables: values to come, quantiles or distributions, judged by backtest."""

from headgate.tasks.bench.forecast.task import Forecast

TASK = Forecast()
