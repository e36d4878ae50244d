"""Personal data and order numbers <-> numbered, typed placeholders such as `<order_1>`."""

import re
from collections.abc import Iterable, Mapping

from data.names import KnownNames, find_names

ENTITY_TYPES = (
    "email",
    "card",
    "phone",
    "order",
    "tracking",
    "reference",
    "postcode",
    "address",
    "number",
    "name",
)
MAX_PER_TYPE = (
    6  # a seventh e-mail address of a dialogue becomes <email_x>, which is never put back
)
# What a tokenizer has one token for, beside the placeholders; in the order of their ids.
CONTROL_TOKENS = ("<pad>", "<bos>", "<eos>", "<user>", "<agent>")
PLACEHOLDER = re.compile(rf"<(?:{'|'.join(ENTITY_TYPES)})_(?:\d|x)>")
_NAMES = "|".join(pattern[1:-1] for pattern in (*CONTROL_TOKENS, PLACEHOLDER.pattern))
_TYPED = re.compile(rf"(?<!<)(<++)({_NAMES})(>+)")  # either, in one pair of brackets or more

_STREET = (
    "street|st|road|rd|avenue|ave|lane|ln|drive|dr|boulevard|blvd|court|ct|way|place|close|"
    "square|terrace|crescent|nagar|marg|layout|sector|apartments?|apt|flat"
)
_CODE = r"[A-Za-z]{0,6}[-/#]?\d[\w/-]*\w"  # an identifier: letters, then digits and separators
# The first pattern that matches at a place wins; `value` is what is hidden.
_PATTERNS = tuple(
    (kind, re.compile(pattern, re.IGNORECASE))
    for kind, pattern in (
        ("email", r"(?P<value>[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)+)"),
        (
            "address",
            rf"(?P<value>\b\d{{1,5}}[A-Za-z]?,?\s+(?:[A-Z][\w'.-]*\s+){{1,3}}(?:{_STREET})\b\.?)",
        ),
        ("order", r"(?<![\w-])(?P<value>\d{3}-\d{6,7}-\d{6,7})(?![\w-])"),
        ("card", r"(?<![\w-])(?P<value>\d{4}[ -]\d{4}[ -]\d{4}[ -]\d{1,7})(?![\w-])"),
        (
            "tracking",
            rf"\b(?:tracking|awb|consignment|waybill)\b(?:\W*(?:no|number|id|num|code|is)\b)*\W*"
            rf"(?P<value>{_CODE})",
        ),
        (
            "reference",
            r"\b(?:ref|reference|ticket|case|complaint|transaction|txn|invoice|claim|request|"
            rf"return|account)\b(?:\W*(?:no|number|id|num|code|is)\b)*\W*(?P<value>{_CODE})",
        ),
        (
            "phone",
            r"(?<![\w-])(?P<value>\+\d{1,3}[ .-]?(?:\(?\d{1,5}\)?[ .-]?){2,5}\d"
            r"|\(\d{3}\)[ .-]?\d{3}[ .-]?\d{4}|\d{3}[ .-]\d{3}[ .-]\d{4}|\d{5}[ -]\d{5}"
            r"|0\d{2,4}[ -]\d{3,4}[ -]?\d{3,4}|[6-9]\d{9})(?![\w-])",
        ),
        ("postcode", r"\b(?P<value>[A-Z]{1,2}\d[A-Z\d]?\s?\d[ABD-HJLNP-UW-Z]{2})\b"),
        (
            "postcode",
            r"\b(?:pin|pincode|zip|zipcode|postal|postcode)\b(?:\W*(?:code|is)\b)*\W*"
            r"(?P<value>\d{5,6}(?:-\d{4})?|\d{3} \d{3})\b",
        ),
        ("order", rf"\border\b(?:\W*(?:no|number|id|num|code|is|ref)\b)*\W*(?P<value>{_CODE})"),
        ("card", r"(?<![\w-])(?P<value>\d{13,19})(?![\w-])"),
        (
            "order",
            r"(?<![\w-])(?P<value>[A-Za-z]{1,4}-?\d{5,}|[A-Za-z]{1,3}-\d{4,}(?:-\d+)*)(?!\w)",
        ),
        ("number", r"(?<![\w-])(?P<value>\d(?:[ .]\d){4,})(?![\w-])"),  # spelled digit by digit
        ("number", r"(?P<value>[^\s<>]+)"),  # with five digits, see _MIN_DIGITS
    )
)
_MIN_DIGITS = {"tracking": 4, "reference": 4, "order": 4, "phone": 7, "number": 5}
_EDGES = "\"'([{<>.,;:!?)]}*#"


def mask_once(text: str, known: KnownNames | None = None) -> list[tuple[int, int, str]]:
    """Find the entities of a text.

    Args:
        text: What somebody wrote.
        known: Names to find wherever they stand; others are found behind "my name is" alone.

    Returns:
        Start, end and type of each, in order and without overlap. Afterwards no token outside
        them holds five or more digits.
    """
    found: list[tuple[int, int, str]] = []
    taken = bytearray(len(text))  # 1 at each character of what was found
    if "@" in text or any(map(str.isdigit, text)):
        found = _find_by_pattern(text, taken)
    names = [*find_names(text), *(known.find(text) if known is not None else ())]
    found += [(start, end, "name") for start, end in names if _take(taken, start, end)]
    return sorted(found)


def _take(taken: bytearray, start: int, end: int) -> bool:
    """Whether a span was free; now it is taken."""
    is_free = start < end and not any(taken[start:end])
    if is_free:
        taken[start:end] = b"\1" * (end - start)
    return is_free


def _find_by_pattern(text: str, taken: bytearray) -> list[tuple[int, int, str]]:
    found: list[tuple[int, int, str]] = []
    for kind, pattern in _PATTERNS:
        position = 0
        while match := pattern.search(text, position):
            start, end = match.span("value")
            position = max(match.end(), match.start() + 1)
            while start < end and text[end - 1] in _EDGES:
                end -= 1
            while start < end and text[start] in _EDGES and kind != "phone":
                start += 1
            digits = sum(character.isdigit() for character in text[start:end])
            if digits < _MIN_DIGITS.get(kind, 0):
                if kind != "number":  # the value may begin later within the match
                    position = match.start("value") + 1 if start > match.start() else position
                continue
            if _take(taken, start, end):
                found.append((start, end, kind))
    return found


class EntityTable:
    """The entities of one dialogue: equal values share a placeholder.

    Args:
        texts: All that is said in the dialogue: a name that one message introduces is masked in the
            others too, and so is each of its words ("Thanks, Maria").

    Attributes:
        values: What stands behind each placeholder, as the user wrote it first.
    """

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self.values: dict[str, str] = {}
        self._names = KnownNames()
        for text in texts:
            self._learn_names(text)
        self._known: dict[str, str] = {}
        self._counts: dict[str, int] = {}

    def mask(self, text: str) -> str:
        """Replace every entity; a placeholder or control token typed loses its brackets first."""
        text = _TYPED.sub(_without_pairs, text)
        self._learn_names(text)
        parts: list[str] = []
        position = 0
        for start, end, kind in mask_once(text, self._names):
            value = text[start:end]
            if kind == "name":
                value = self._names.whole(value)
            parts += [text[position:start], self._placeholder(kind, value)]
            position = end
        return _mask_leftovers("".join(parts) + text[position:], self)

    def _learn_names(self, text: str) -> None:
        for start, end in find_names(text):
            self._names.add(text[start:end])

    def _placeholder(self, kind: str, value: str) -> str:
        key = re.sub(r"[\s()-]", "", value).lower()
        if key not in self._known:
            count = self._counts.get(kind, 0) + 1
            self._counts[kind] = count
            name = f"<{kind}_{count if count <= MAX_PER_TYPE else 'x'}>"
            self._known[key] = name
            if count <= MAX_PER_TYPE:
                self.values[name] = value
        return self._known[key]


def _without_pairs(typed: re.Match[str]) -> str:
    """The name that stands in brackets, with those of them that have no partner."""
    opening, name, closing = typed.groups()
    num_pairs = min(len(opening), len(closing))
    return str(opening[num_pairs:] + name + closing[num_pairs:])


def _mask_leftovers(text: str, table: EntityTable) -> str:
    """Hide what a cut left over: a token, placeholders aside, that still has five digits."""
    if sum(map(str.isdigit, text)) < 5:
        return text
    words = re.split(r"(\s+)", text)
    for index, word in enumerate(words):
        rest = PLACEHOLDER.sub("", word)
        if sum(character.isdigit() for character in rest) >= 5:
            pieces = re.split(f"({PLACEHOLDER.pattern})", word)
            words[index] = "".join(
                piece
                if PLACEHOLDER.fullmatch(piece) or not any(c.isdigit() for c in piece)
                else table._placeholder("number", piece)
                for piece in pieces
            )
    return "".join(words)


def unmask(text: str, values: Mapping[str, str]) -> str:
    """Put the values back; a placeholder without a value is dropped with the space before it."""
    text = PLACEHOLDER.sub(lambda match: values.get(match.group(), "\0"), text)
    return re.sub(r" ?\0", "", text)


def placeholders() -> tuple[str, ...]:
    """Every placeholder that can occur, in a fixed order."""
    numbers: Iterable[str] = [*map(str, range(1, MAX_PER_TYPE + 1)), "x"]
    return tuple(f"<{kind}_{number}>" for kind in ENTITY_TYPES for number in numbers)
