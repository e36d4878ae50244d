"""What `evaluate` shows to people."""

from collections.abc import Mapping, Sequence
from typing import Any

from core.comparison import align, number_cell, range_cell

SHOWN = ("distinct_1", "distinct_2", "repetition_rate", "entity_accuracy")
OWN = (
    "perplexity",
    "handoff_rate",
    "out_of_domain_handoff_rate",
    "calibration_error",
    "latency_ms_p50",
    "latency_ms_p95",
)
SHOWN_WORST = 5
WIDTH = 100  # characters of a text that is shown
RISK_TEXT = "Risk (1 - chrF / 100, mean over the replies kept) when only the surest are given"


def table(result: Mapping[str, Any]) -> str:
    """Scores with intervals, the lead over each baseline, parts, risk by coverage, the worst."""
    rows = {"model": result, **result["baselines"]}
    head = (
        f"{result['run']}\n{result['num_pairs']} replies of {result['num_dialogues']} dialogues; "
        "in brackets: 95 % bootstrap intervals over dialogues"
    )
    own = "\n".join(f"{name:<28}{number_cell(result[name])}" for name in OWN)
    leads = {name: row["paired"] for name, row in result["baselines"].items()}
    turns = {name: row["by_turn"] for name, row in rows.items()}
    lengths = {name: row["by_length"] for name, row in rows.items()}
    parts = [
        head,
        score_lines(rows),
        own,
        f"The model less each baseline, paired over dialogues\n\n{lead_lines(leads)}",
        f"chrF by the reply's number in its dialogue\n\n{part_lines(turns)}",
        f"chrF by the tokens of the context\n\n{part_lines(lengths)}",
        f"{RISK_TEXT}\n\n{risk_lines({'model': [result['risk_coverage']]})}",
        f"The worst replies by chrF (all {len(result['worst'])} with --json), masked\n\n"
        f"{worst_lines(result['worst'][:SHOWN_WORST])}",
    ]
    return "\n\n".join(parts)


def score_lines(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """BLEU and chrF with their intervals, then the other scores that every candidate has."""
    lines = [["", "bleu", "chrf", *SHOWN, "invented"]]
    for name, row in rows.items():
        cells = [
            f"{number_cell(row[score])} {range_cell(row['intervals'][score])}"
            for score in ("bleu", "chrf")
        ]
        cells += [number_cell(row[key]) for key in (*SHOWN, "hallucinated_entity_rate")]
        lines.append([name, *cells])
    return align(lines)


def lead_lines(leads: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """Paired differences by candidate: difference, interval and p value of BLEU and chrF."""
    lines = [["", "bleu", "p", "chrf", "p"]]
    for name, found in leads.items():
        cells = []
        for score in ("bleu", "chrf"):
            one = found[score]
            low, high = one["interval"]
            cells += [f"{one['difference']:+.2f} [{low:+.2f}, {high:+.2f}]"]
            cells += [f"{one['p_value']:.3f}"]
        lines.append([name, *cells])
    return align(lines)


def part_lines(rows: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """Each candidate's chrF of every part; the header says how many replies a part has."""
    parts = next(iter(rows.values()))
    lines = [
        ["", *(f"{part_name(name, part)} n={part['num_pairs']}" for name, part in parts.items())]
    ]
    for name, row in rows.items():
        lines.append([name, *(number_cell(part["chrf"]) for part in row.values())])
    return align(lines)


def part_name(name: str, part: Mapping[str, Any]) -> str:
    """A part's name, with the lengths that it holds where it is one of lengths."""
    tokens = part.get("tokens")
    return f"{name} ({tokens[0]}-{tokens[1]})" if tokens else name


def risk_lines(curves: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Risk by coverage and the area under it, by candidate; a mean over the seeds."""
    coverage = next(iter(curves.values()))[0]["coverage"]
    lines = [["share kept", *(f"{share:.0%}" for share in coverage), "aurc"]]
    for name, found in curves.items():
        means = [
            sum(risks) / len(found) for risks in zip(*(one["risk"] for one in found), strict=True)
        ]
        area = sum(one["aurc"] for one in found) / len(found)
        lines.append([name, *(f"{risk:.3f}" for risk in means), f"{area:.3f}"])
    return align(lines)


def worst_lines(worst: Sequence[Mapping[str, Any]], width: int | None = WIDTH) -> str:
    """Question, reply and reference of each, cut to a width where one is given."""
    return "\n".join(
        f"chrF {one['chrf']:.1f}, confidence {one['confidence']:.2f}\n"
        f"  question   {_cut(one['question'], width)}\n"
        f"  reply      {_cut(one['reply'], width)}\n"
        f"  reference  {_cut(one['reference'], width)}"
        for one in worst
    )


def _cut(text: str, width: int | None) -> str:
    return text if width is None or len(text) <= width else text[: width - 3] + "..."
