"""What `compare` shows and leaves: tables, curves and the winner's worst replies."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from apps.chatbot.candidates import NETWORKS
from apps.chatbot.evaluate_table import (
    RISK_TEXT,
    lead_lines,
    part_name,
    risk_lines,
    worst_lines,
)
from core.comparison import Row, format_table
from core.comparison_report import (
    ByLength,
    length_table,
    part_section,
    part_table,
    write_comparison,
)
from core.plots import risk_coverage_curves
from core.reporting import Section

REFERENCE = "lstm_attention"  # whose lead over every other candidate is tested
COLUMNS = ("bleu", "chrf", "perplexity", "entity_accuracy", "repetition_rate", "cpu_minutes")
TITLE = "Customer support: the candidates side by side"
LENGTH_TEXT = """\
Quality by length: chrF of the replies to the short, middle and long third of the test part's
sources. A source is the message with the turns before it, in tokens, as the networks read it.
Replies to long sources may be easier or harder for everybody: compare the networks with each other
and with TF-IDF at the same length."""
TURN_TEXT = """\
ChrF of the first, second, third and the later replies of a dialogue. Later replies have more to
read, and often less to say: compare the candidates with each other at the same turn."""
LEAD_TEXT = f"{REFERENCE} less each other candidate, paired over dialogues (bootstrap)"
LEAD_ABOUT = """\
Both answer the same resampled dialogues, 1,000 times; with several seeds the mean over the seeds is
compared. In brackets: 95 % intervals. p: how often a difference as large would come about between
candidates that do not differ; 0.001 is the least that 1,000 resamples can show."""
RISK_ABOUT = """\
A candidate that knows when it is wrong keeps its risk low while it gives its surest replies alone.
Risk: 1 - chrF / 100 of each reply, mean over the replies kept. aurc: the area under the curve; the
risk at 100 % is what confidence that knows nothing would have everywhere."""


def chrf_by_length(row: Row) -> dict[str, float | None]:
    """A row's chrF by length; the names say how many tokens that is."""
    parts = row["metrics"]["by_length"].items()
    return {part_name(name, part): part["chrf"] for name, part in parts}


def chrf_by_turn(row: Row) -> dict[str, float | None]:
    """A row's chrF by turn; the names say how many replies that is."""
    parts = row["metrics"]["by_turn"].items()
    return {f"{name} (n={part['num_pairs']})": part["chrf"] for name, part in parts}


BY_LENGTH = ByLength("chrf", "length of the source in tokens", LENGTH_TEXT, chrf_by_length)
BY_TURN = ByLength("chrf", "number of the reply in its dialogue", TURN_TEXT, chrf_by_turn)


def table(rows: Sequence[Row]) -> str:
    """Scores, paired differences, quality by length and by turn, gradient by lag, risk."""
    parts = [score_table(rows), _lead_table(rows), length_table(rows, BY_LENGTH)]
    parts += [part_table(rows, BY_TURN), _risk_table(rows)]
    return "\n\n".join(part for part in parts if part)


def score_table(rows: Sequence[Row]) -> str:
    """The main scores; the last column divides by TF-IDF's chrF."""
    return format_table(rows, COLUMNS, baseline="tfidf", ratio="chrf")


def write_report(folder: Path, rows: Sequence[Row]) -> None:
    """Write `compare.json` and `compare.html` into the comparison's folder."""
    curves = _curves(rows)
    sections = [part_section("By turn", rows, BY_TURN)]
    if lead := _lead_table(rows):
        sections.insert(0, Section("Paired differences", LEAD_ABOUT, lead, (), _leads(rows)))
    if curves:
        figure = risk_coverage_curves(curves, "1 - chrF / 100")
        text = _risk_table(rows)
        sections.append(Section("Risk by coverage", RISK_ABOUT, text, [figure], curves))
        winner, worst = _worst_of_winner(rows)
        title = f"The worst replies of {winner}"
        sections.append(Section(title, "", worst_lines(worst, width=None), (), worst))
    write_comparison(folder, TITLE, rows, score_table(rows), BY_LENGTH, more=sections)


def _leads(rows: Sequence[Row]) -> dict[str, Any]:
    """The paired differences by candidate; the rows of a candidate hold the same."""
    return {row["name"]: row["metrics"]["paired"] for row in rows if "paired" in row["metrics"]}


def _lead_table(rows: Sequence[Row]) -> str:
    leads = _leads(rows)
    return f"{LEAD_TEXT}\n\n{lead_lines(leads)}" if leads else ""


def _curves(rows: Sequence[Row]) -> dict[str, list[dict[str, Any]]]:
    """Risk by coverage of each network, one a seed."""
    curves: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if row["name"] in NETWORKS:
            curves.setdefault(row["name"], []).append(row["metrics"]["risk_coverage"])
    return curves


def _risk_table(rows: Sequence[Row]) -> str:
    curves = _curves(rows)
    return f"{RISK_TEXT}\n\n{risk_lines(curves)}" if curves else ""


def _worst_of_winner(rows: Sequence[Row]) -> tuple[str, list[dict[str, Any]]]:
    """The network of the best mean chrF, and the worst replies of its first seed."""
    networks = [row for row in rows if row["name"] in NETWORKS]

    def chrf(name: str) -> float:
        return float(np.mean([row["metrics"]["chrf"] for row in networks if row["name"] == name]))

    winner = max(dict.fromkeys(row["name"] for row in networks), key=chrf)
    first = next(row for row in networks if row["name"] == winner)
    return winner, first["metrics"]["worst"]
