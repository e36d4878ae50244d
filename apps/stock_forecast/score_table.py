"""The scores of `evaluate` and `backtest` for people."""

from collections.abc import Mapping
from math import isnan
from typing import Any

from apps.stock_forecast.row_scores import REGIMES, mean_ratio
from core.comparison import align

PERCENT = {
    "coverage_50": "50 % interval holds, %",
    "coverage_80": "80 % interval holds, %",
    "coverage_90": "90 % interval holds, %",
    "width_80": "80 % interval, width in %",
    "directional_accuracy": "direction is right, %",
    "always_up": "always up is right, %",
}
CERTAIN = 0.05  # a p value below is marked


def table(result: Mapping[str, Any]) -> str:
    """The scores for people: CRPS, the model against each baseline, calibration, regimes."""
    best = result["best_baseline"]
    ratio = result["crps_ratio_mean"][best]
    ends = ratio["interval"] and " [{:.4f}, {:.4f}]".format(*ratio["interval"])
    rows, tickers, days = (result[f"num_{name}"] for name in ("rows", "tickers", "days"))
    return "\n\n".join(
        [
            f"{rows:,} forecasts: {tickers} tickers on {days} days",
            _crps(result),
            _against(result),
            _by_horizon(result),
            _by_regime(result),
            f"CRPS against {best}, the best baseline, on the mean of the horizons: "
            f"{ratio['ratio']:.4f}{ends or ''}",
        ]
    )


def _crps(result: Mapping[str, Any]) -> str:
    names = [str(h) for h in result["horizons"]]
    walk = result["baselines"]["random_walk"]
    lines = [["CRPS x 1000", *(f"h={h}" for h in names), "over random_walk's"]]
    for name, scores in {"model": result, **result["baselines"]}.items():
        values = [f"{1000 * scores['crps'][h]:.2f}" for h in names]
        lines.append([name, *values, f"{mean_ratio(dict(scores), walk):.4f}"])
    return align(lines)


def _against(result: Mapping[str, Any]) -> str:
    """Ratio, its interval and the p value of each baseline and horizon."""
    names = [str(h) for h in result["horizons"]]
    lines = [["model's CRPS over", *(f"h={h} [95 %] p" for h in names)]]
    for name, ratios in result["crps_ratio"].items():
        tests = result["dm"][name]
        lines.append([name, *(_ratio_cell(ratios[h], tests[h]) for h in names)])
    note = (
        "95 %: block bootstrap over days. p: Diebold-Mariano, fixed-b critical values; "
        f"* below {CERTAIN:g}."
    )
    return f"{align(lines)}\n{note}"


def _ratio_cell(ratio: Mapping[str, Any], test: Mapping[str, Any]) -> str:
    if ratio["interval"] is None:
        return "-"
    low, high = ratio["interval"]
    return f"{ratio['ratio']:.3f} [{low:.3f}, {high:.3f}] {_p_cell(test['p_value'])}"


def _p_cell(p: float) -> str:
    if isnan(p):  # not tested
        return "-    "
    told = "<.001" if p < 0.001 else f"{p:.3f}".removeprefix("0")
    return f"{told}{'*' if p < CERTAIN else ' '}".rjust(6)


def _by_horizon(result: Mapping[str, Any]) -> str:
    """The model's other scores with their intervals."""
    names = [str(h) for h in result["horizons"]]
    lines = [["the model", *(f"h={h} [95 %]" for h in names)]]
    for metric, label in {"mase": "MAE over training's naive", "rank_ic": "rank IC"}.items():
        lines.append([label, *(_cell(result, metric, h, 1, 3) for h in names)])
    for metric, label in PERCENT.items():
        lines.append([label, *(_cell(result, metric, h, 100, 1) for h in names)])
    return align(lines)


def _cell(result: Mapping[str, Any], metric: str, horizon: str, unit: float, digits: int) -> str:
    ends = result["intervals"][metric][horizon]
    if ends is None:
        return "-"
    low, high = (f"{unit * end:.{digits}f}" for end in ends)
    return f"{unit * result[metric][horizon]:.{digits}f} [{low}, {high}]"


def _by_regime(result: Mapping[str, Any]) -> str:
    """CRPS over the best baseline's and coverage, by thirds of the trailing volatility."""
    names = [str(h) for h in result["horizons"]]
    ratio, covered = f"CRPS over {result['best_baseline']}'s", "80 % interval holds, %"
    header = [
        "volatility",
        "forecasts",
        *(f"{ratio} h={h}" if h == names[0] else f"h={h}" for h in names),
        *(f"{covered} h={h}" if h == names[0] else f"h={h}" for h in names),
    ]
    lines = [header]
    for regime in REGIMES:
        if found := result["by_regime"].get(regime):
            ratios = [f"{found['crps_ratio'][h]:.3f}" for h in names]
            shares = [f"{100 * found['coverage_80'][h]:.1f}" for h in names]
            lines.append([regime, f"{found['num_rows']:,}", *ratios, *shares])
    return align(lines)
