"""The embedded support corpus: made by the project's own grammar, the same on every machine."""

import random
import re
from typing import Any

from data.support_grammar import (
    ASK_ORDER,
    CLOSINGS,
    GIVEN_PHRASES,
    GREETINGS,
    INTENTS,
    ORDER_PHRASES,
    PARAPHRASES,
    PRODUCTS,
    STORY,
    THANKS,
    TYPOS,
    WELCOME,
    WITHOUT_DETAIL,
)

SAMPLE_INTENTS = tuple(INTENTS)
_PART_SHARES = {"train": 0.84, "validation": 0.06, "test": 0.10}
_PART_OPENINGS = {"train": slice(0, -3), "validation": slice(-3, -2), "test": slice(-2, None)}
_LONG_SHARE = 0.05
_TYPO_SHARE = 0.04


def generate_dialogues(num_dialogues: int = 6400, seed: int = 0) -> list[dict[str, Any]]:
    """Make the corpus.

    Args:
        num_dialogues: How many, at least 3.
        seed: Of every choice.

    Returns:
        Dialogues in the JSONL form, with `intent`, `split` (the opening phrasings of the three
        parts differ) and `template`, the opening's number within its intent.
    """
    generator = random.Random(seed)
    parts = generator.choices(list(_PART_SHARES), list(_PART_SHARES.values()), k=num_dialogues)
    names = list(INTENTS)
    return [
        _dialogue(f"sample-{number:05d}", names[number % len(names)], part, generator)
        for number, part in enumerate(parts)
    ]


def _dialogue(
    dialogue_id: str, intent_name: str, part: str, generator: random.Random
) -> dict[str, Any]:
    intent = INTENTS[intent_name]
    template = generator.choice(range(len(intent.openings))[_PART_OPENINGS[part]])
    detail = generator.choice(list(intent.details))
    slots = {
        "product": generator.choice(PRODUCTS),
        "detail": detail,
        "order": _order_number(generator),
    }
    turns: list[tuple[str, str]] = []
    opening = _paraphrased(intent.openings[template], generator).format(**slots)
    opening = _with_articles(opening)
    if "{detail}" in intent.openings[template]:
        outcome = intent.details[detail].format(**slots)
    else:  # the customer did not say it, so the agent cannot know it
        outcome = WITHOUT_DETAIL[intent_name]
    answer = _with_articles(intent.answer.format(**slots, outcome=outcome))
    gives_order = intent.needs_order and generator.random() < 0.5
    if gives_order:
        opening = f"{opening}, {generator.choice(ORDER_PHRASES).format(**slots)}"
    turns.append(("user", _opening_message(opening, generator)))
    if intent.needs_order and not gives_order:
        turns.append(("agent", ASK_ORDER.format(**slots)))
        turns.append(("user", _noisy(generator.choice(GIVEN_PHRASES), generator).format(**slots)))
    turns.append(("agent", answer))
    if generator.random() < 0.5:
        turns.append(("user", _noisy(generator.choice(intent.followup), generator)))
        turns.append(("agent", intent.followup_answer.format(**slots)))
    if generator.random() < 0.3:
        turns.append(("user", _noisy(generator.choice(THANKS), generator)))
        turns.append(("agent", WELCOME))
    return {
        "dialogue_id": dialogue_id,
        "intent": intent_name,
        "split": part,
        "template": template,
        "turns": [{"speaker": speaker, "text": text} for speaker, text in turns],
    }


def _paraphrased(text: str, generator: random.Random) -> str:
    """Each known expression in its own or in another form."""
    for forms in PARAPHRASES:
        known = next((form for form in forms if f" {form} " in f" {text} "), None)
        if known is not None:
            text = f" {text} ".replace(f" {known} ", f" {generator.choice(forms)} ", 1).strip()
    return text


def _with_articles(text: str) -> str:
    """`a` or `an`, as the next letter has it."""
    return re.sub(r"\ban? (?=([a-z]))", lambda m: "an " if m[1] in "aeiou" else "a ", text)


def _opening_message(opening: str, generator: random.Random) -> str:
    greeting, closing = generator.choice(GREETINGS), generator.choice(CLOSINGS)
    text = greeting + _noisy(opening, generator) + closing
    if generator.random() < _LONG_SHARE:
        text = f"{text}. {' '.join(generator.sample(STORY, 9))}"
    return text + generator.choice(("", "?", ".", "!"))


def _noisy(text: str, generator: random.Random) -> str:
    """Chat spelling and typos in a small share of the words; numbers and slots stay as they are."""
    words = text.split(" ")
    for index, word in enumerate(words):
        if generator.random() >= _TYPO_SHARE or not word.isalpha():
            continue
        if word in TYPOS:
            words[index] = TYPOS[word]
        elif len(word) > 4:
            place = generator.randrange(1, len(word) - 2)
            swapped = word[place + 1] + word[place]
            words[index] = word[:place] + swapped + word[place + 2 :]
    return " ".join(words)


def _order_number(generator: random.Random) -> str:
    digits = "".join(generator.choices("0123456789", k=14))
    form = generator.randrange(3)
    if form == 0:
        return f"402-{digits[:7]}-{digits[7:]}"
    return f"A-{digits[:7]}" if form == 1 else f"SO{digits[:8]}"
