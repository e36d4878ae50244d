"""Which columns of a table, and which speakers, are the customer's and the agent's."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

# Pairs of columns that are recognised where they are the only such pair of a table.
KNOWN_PAIRS = (
    ("question", "answer"),
    ("instruction", "response"),
    ("prompt", "response"),
    ("question", "response"),
    ("prompt", "completion"),
)
_NO_TEXT = ("label", "labels", "category", "intent", "class", "split", "id", "flags", "language")
PLACE = "the row that this turn stands in"  # a key of a turn, beside `speaker` and `text`
Records = Iterable[tuple[str, Mapping[str, Any]]]


@dataclass(frozen=True, kw_only=True)
class ColumnsConfig:
    """Names of a table's columns, and of the speakers.

    Attributes:
        question: The user's message, in a table of question-answer pairs; left out: recognised.
        answer: The agent's reply; left out: recognised.
        conversation: Which conversation a row belongs to, in a table of one row a turn: the rows
            of a conversation stand together, in order.
        speaker: Who speaks, in a table of one row a turn.
        text: What is said, in a table of one row a turn.
        user_roles: Speakers that are the user, comma-separated, in lower case.
        agent_roles: Speakers that are the agent. Turns of `system` are left out where no list
            names it.
    """

    question: str | None = None
    answer: str | None = None
    conversation: str | None = None
    speaker: str | None = None
    text: str | None = None
    user_roles: str = "user,customer,client,human,buyer,caller,visitor,instruction,question"
    agent_roles: str = "agent,assistant,bot,support,advisor,representative,operator,response,answer"

    def __post_init__(self) -> None:
        long = {"conversation": self.conversation, "speaker": self.speaker, "text": self.text}
        missing = [name for name, column in long.items() if not column]
        if 0 < len(missing) < len(long):
            raise ValueError(
                f"columns.{' and columns.'.join(missing)} missing: a table of one row a turn needs "
                "--columns.conversation, --columns.speaker and --columns.text"
            )
        both = self.roles(self.user_roles) & self.roles(self.agent_roles)
        if both:
            raise ValueError(f"{', '.join(sorted(both))} is in user_roles and in agent_roles")

    @property
    def is_long(self) -> bool:
        """Whether the table has one row a turn."""
        return bool(self.conversation)

    @property
    def text_columns(self) -> set[str]:
        """Columns whose cells are text."""
        named = (self.question, self.answer, self.conversation, self.speaker, self.text)
        known = {name for pair in KNOWN_PAIRS for name in pair}
        return known | {name for name in named if name} | {"intent", "dialogue_id", "split"}

    @staticmethod
    def roles(names: str) -> set[str]:
        """A comma-separated list as a set."""
        return {name.strip().lower() for name in names.split(",") if name.strip()}


def with_turns(found: Records, columns: ColumnsConfig) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Records in the form of the JSONL: `turns`, and `dialogue_id`, `intent`, `split` if known.

    Raises:
        ValueError: Columns that are missing or ambiguous; the message names the row.
    """
    if columns.is_long:
        yield from _long_form(found, columns)
        return
    for place, row in found:
        yield place, row if "turns" in row else _pair_row(row, place, columns)


def _long_form(found: Records, columns: ColumnsConfig) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Join the rows of each conversation."""
    first = ""
    begun: dict[str, Any] = {}
    conversation, speaker, text = map(str, (columns.conversation, columns.speaker, columns.text))
    for place, row in found:
        missing = [name for name in (conversation, speaker, text) if name not in row]
        if missing:
            raise ValueError(
                f"{place}: no column {' and no column '.join(map(repr, missing))} (it has "
                f"{', '.join(map(str, row))}); name them with --columns.conversation, "
                "--columns.speaker and --columns.text"
            )
        name = row[conversation]
        if not isinstance(name, (str, int)) or name == "":
            raise ValueError(f"{place}: {conversation!r} must name a conversation; fill the cell")
        if begun and begun["dialogue_id"] != name:
            yield first, begun
            begun = {}
        if not begun:
            first = place
            begun = {"dialogue_id": name, "turns": []}
            begun |= {key: row.get(key) for key in ("intent", "split")}
        said = {"speaker": row[speaker], "text": row[text], PLACE: place}
        begun["turns"].append(said)
    if begun:
        yield first, begun


def _pair_row(row: Mapping[str, Any], place: str, columns: ColumnsConfig) -> Mapping[str, Any]:
    question, answer = _pair_columns(row, place, columns)
    turns = [
        {"speaker": "user", "text": row[question]},
        {"speaker": "agent", "text": row[answer]},
    ]
    kept = {key: row[key] for key in ("intent", "split") if key in row}
    return {"turns": turns, "dialogue_id": place, **kept}


def _pair_columns(row: Mapping[str, Any], place: str, columns: ColumnsConfig) -> tuple[str, str]:
    if columns.question or columns.answer:
        pair = (columns.question or "question", columns.answer or "answer")
    else:
        present = [pair for pair in KNOWN_PAIRS if row.keys() >= set(pair)]
        if len(present) > 1:
            choices = " or ".join("/".join(pair) for pair in present)
            raise ValueError(
                f"{place}: {choices}? Name the text columns with --columns.question and "
                "--columns.answer"
            )
        pair = present[0] if present else KNOWN_PAIRS[0]
    missing = [name for name in pair if name not in row]
    if not missing:
        return pair
    texts = [
        name
        for name, value in row.items()
        if isinstance(value, str) and str(name).lower() not in _NO_TEXT
    ]
    problem = (
        f"{place}: no column {' and no column '.join(map(repr, missing))} (it has "
        f"{', '.join(map(str, row))})"
    )
    if len(texts) == 1 and len(missing) == 2:
        raise ValueError(
            f"{problem}: {texts[0]!r} is the only text and holds no replies, but a chatbot learns "
            "from messages with their answers; give both, named with --columns.question and "
            "--columns.answer"
        )
    raise ValueError(
        f"{problem}; name the text columns with --columns.question and --columns.answer, or where "
        "each row is a turn with --columns.conversation, --columns.speaker and --columns.text, or "
        "give 'turns'"
    )
