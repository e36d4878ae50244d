import re
from collections import Counter

import pytest

from data.checking import load_dialogues
from data.dialogues import mask_dialogues
from data.support_grammar import CLOSINGS, GREETINGS, INTENTS, PARAPHRASES, PRODUCTS, TYPOS
from data.support_sample import SAMPLE_INTENTS, generate_dialogues

ORDER_NUMBER = re.compile(r"402-\d{7}-\d{7}|A-\d{7}|SO\d{8}")
PARTS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def corpus():
    return generate_dialogues()


def openings(corpus, part=None):
    return [d["turns"][0]["text"] for d in corpus if part in (None, d["split"])]


def test_the_corpus_is_the_same_on_each_call_and_another_with_another_seed(corpus):
    assert generate_dialogues() == corpus
    assert generate_dialogues(seed=1) != corpus


def test_a_reader_gets_all_of_the_corpus(corpus):
    dialogues = load_dialogues("sample")
    assert len(dialogues) == len(corpus) >= 6000
    assert [d.intent for d in dialogues] == [d["intent"] for d in corpus]
    assert len({d.dialogue_id for d in dialogues}) == len(dialogues)


def test_there_are_at_least_25_intents_each_in_every_part(corpus):
    assert len(SAMPLE_INTENTS) >= 25
    for part in PARTS:
        assert {d["intent"] for d in corpus if d["split"] == part} == set(SAMPLE_INTENTS)


def test_dialogues_have_two_to_eight_turns_that_alternate_from_the_user(corpus):
    lengths = {len(d["turns"]) for d in corpus}
    assert (min(lengths), max(lengths)) == (2, 8)
    for dialogue in corpus:
        speakers = [turn["speaker"] for turn in dialogue["turns"]]
        assert speakers == ["user", "agent"] * (len(speakers) // 2)


def test_no_slot_of_the_grammar_is_left_open(corpus):
    texts = [turn["text"] for d in corpus for turn in d["turns"]]
    assert not [text for text in texts if re.search(r"[{}]|  ", text) or not text.strip()]


def test_order_numbers_of_every_form_occur_and_are_masked(corpus):
    numbers = [n for d in corpus for t in d["turns"] for n in ORDER_NUMBER.findall(t["text"])]
    assert set(Counter(number[0] for number in numbers)) == {"4", "A", "S"}
    for dialogue in mask_dialogues(load_dialogues("sample")):
        assert not any(ORDER_NUMBER.search(turn.text) for turn in dialogue.turns)


def test_the_agent_names_no_order_number_that_the_user_did_not_give(corpus):
    named = 0
    for dialogue in corpus:
        given = set()
        for turn in dialogue["turns"]:
            numbers = set(ORDER_NUMBER.findall(turn["text"]))
            if turn["speaker"] == "user":
                given |= numbers
            else:
                assert numbers <= given, dialogue["dialogue_id"]
                named += len(numbers)
    assert named > 1000


def test_typos_occur_in_the_users_words_alone(corpus):
    words = {"user": Counter(), "agent": Counter()}
    for dialogue in corpus:
        for turn in dialogue["turns"]:
            words[turn["speaker"]].update(re.findall(r"[a-z]+", turn["text"].lower()))
    chat_spelling = set(TYPOS.values()) - {"r", "u"}
    assert sum(words["user"][word] for word in chat_spelling) > 100
    assert not [word for word in chat_spelling if words["agent"][word]]
    # Swapped letters: words that come up rarely beside a word of the same letters that does not.
    usual = {"".join(sorted(w)) for w, n in words["user"].items() if n > 100 and len(w) > 4}
    rare = [w for w, n in words["user"].items() if n < 20 and "".join(sorted(w)) in usual]
    assert len(rare) > 50


def test_a_hundred_long_openings_say_what_it_is_about_in_their_first_half(corpus):
    long = [text.split() for text in openings(corpus) if len(text.split()) > 100]
    first = [" ".join(words[: len(words) // 2]) for words in long]
    second = [" ".join(words[len(words) // 2 :]) for words in long]
    assert sum(any(product in half for product in PRODUCTS) for half in first) >= 100
    # "Our kitchen", "the sea": the story around it names no other product.
    named = re.compile(rf"\b({'|'.join(PRODUCTS)})\b")
    assert not [half for half in second if named.search(half)]


def plain(template):
    """A phrasing with every expression in the first of its forms."""
    for forms in PARAPHRASES:
        for form in forms[1:]:
            template = f" {template} ".replace(f" {form} ", f" {forms[0]} ").strip()
    return template


def reduced(text):
    """An opening without greeting, closing, story, order number, products and details."""
    text = text.split(". ")[0].rstrip("?.!")
    for greeting in filter(None, GREETINGS):
        text = text.removeprefix(greeting)
    for closing in sorted(CLOSINGS, key=len, reverse=True):
        text = text.removesuffix(closing)
    text = re.sub(r", [^,]*(?:402-\d{7}-\d{7}|A-\d{7}|SO\d{8})$", "", text)
    details = {detail for intent in INTENTS.values() for detail in intent.details}
    for slot in sorted({*PRODUCTS, *details}, key=len, reverse=True):
        text = re.sub(rf"\b{re.escape(slot)}\b", "_", text)
    return plain(text)


def test_reducing_an_opening_finds_its_phrasing():
    made = "hi, where's my yoga mat, the order is A-1234567 please help!"
    assert reduced(made) == "where is my _"
    assert reduced("where is my kettle. It was raining. We have a dog.") == "where is my _"


def test_no_opening_of_one_part_occurs_in_another(corpus):
    for of in (set, lambda texts: {reduced(text) for text in texts}):
        train, validation, test = (of(openings(corpus, part)) for part in PARTS)
        assert not train & test
        assert not train & validation
        assert not validation & test


def test_the_parts_share_no_phrasing_not_even_in_other_words(corpus):
    numbers = {p: {(d["intent"], d["template"]) for d in corpus if d["split"] == p} for p in PARTS}
    phrasings = {
        part: {plain(INTENTS[intent].openings[number]) for intent, number in numbers[part]}
        for part in PARTS
    }
    assert len(numbers["test"]) == 2 * len(INTENTS)
    assert not phrasings["train"] & phrasings["test"]
    assert not phrasings["train"] & phrasings["validation"]
    assert not phrasings["validation"] & phrasings["test"]


def test_what_the_agent_answers_depends_on_the_product(corpus):
    answers = Counter(d["turns"][-1]["text"] for d in corpus if len(d["turns"]) == 2)
    assert len(answers) > 500
