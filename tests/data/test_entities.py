import random
import re

import pytest

from data.entities import (
    CONTROL_TOKENS,
    ENTITY_TYPES,
    MAX_PER_TYPE,
    PLACEHOLDER,
    EntityTable,
    mask_once,
    placeholders,
    unmask,
)

FULL_WIDTH = "\uff11\uff12\uff13\uff14\uff15\uff16"
EXAMPLES = [
    ("order", "402-1234567-7654321", "my order 402-1234567-7654321 is late"),
    ("order", "A-1234567", "it is A-1234567"),
    ("order", "SO12345678", "SO12345678"),
    ("order", "12345", "the order number is 12345."),
    ("order", "9988", "order #9988 please"),
    ("tracking", "AB123456789", "tracking number AB123456789"),
    ("tracking", "1234567890", "AWB: 1234567890"),
    ("tracking", "1Z99-8877", "the tracking no. is 1Z99-8877, thanks"),
    ("reference", "ABX-9912", "ref: ABX-9912"),
    ("reference", "88123", "ticket number 88123"),
    ("phone", "+49 170 1234567", "call +49 170 1234567"),
    ("phone", "555-123-4567", "call 555-123-4567!"),
    ("phone", "9876543210", "my phone is 9876543210"),
    ("phone", "98765 43210", "98765 43210"),
    ("email", "a.b+c@x-y.co.uk", "write to a.b+c@x-y.co.uk."),
    ("card", "4111 1111 1111 1111", "4111 1111 1111 1111"),
    ("card", "4111-1111-1111-1111", "card 4111-1111-1111-1111"),
    ("card", "4111111111111111", "paid with 4111111111111111"),
    ("postcode", "SW1A 1AA", "I live in SW1A 1AA"),
    ("postcode", "560001", "pincode 560001"),
    ("postcode", "90210-1234", "zip code is 90210-1234"),
    ("address", "12 Baker Street", "I live at 12 Baker Street, London"),
    ("address", "221B Old Kent Road", "221B Old Kent Road."),
    ("number", "1,234,567", "1,234,567 dollars"),
    ("number", FULL_WIDTH, f"full width {FULL_WIDTH}"),
]
EXAMPLE_IDS = [f"{kind}:{value}" for kind, value, _ in EXAMPLES]


@pytest.mark.parametrize(("kind", "value", "text"), EXAMPLES, ids=EXAMPLE_IDS)
def test_each_type_is_masked(kind, value, text):
    table = EntityTable()
    assert table.mask(text) == text.replace(value, f"<{kind}_1>")
    assert table.values == {f"<{kind}_1>": value}


@pytest.mark.parametrize(("kind", "value", "text"), EXAMPLES, ids=EXAMPLE_IDS)
def test_unmasking_gives_the_text_back(kind, value, text):
    table = EntityTable()
    assert unmask(table.mask(text), table.values) == text


def test_a_phone_number_keeps_its_brackets():
    table = EntityTable()
    table.mask("call (555) 123-4567 please")
    assert table.values == {"<phone_1>": "(555) 123-4567"}


@pytest.mark.parametrize(
    "text",
    [
        "I bought 2 of them in 2024 for 25.99",
        "my order is 3 days late",
        "an order of 12 glasses",
        "the iPhone 15 with 256 GB",
        "It costs 9.99, or 1200 with tax.",
        "",
    ],
)
def test_small_numbers_stay(text):
    assert EntityTable().mask(text) == text


def test_found_places_are_in_order_and_do_not_overlap():
    text = "order 402-1234567-7654321, mail a@b.co, phone +49 170 1234567, ref ABX-9912"
    found = mask_once(text)
    assert [kind for _, _, kind in found] == ["order", "email", "phone", "reference"]
    ends = [0, *(end for _, end, _ in found)]
    assert all(start >= end for (start, _, _), end in zip(found, ends, strict=False))


def random_texts(count, alphabet, words, seed):
    generator = random.Random(seed)
    return [
        "".join(
            generator.choice(words) if generator.random() < 0.15 else generator.choice(alphabet)
            for _ in range(generator.randrange(40))
        )
        for _ in range(count)
    ]


WORDS = ["order", "order number is ", "tracking ", "ref ", "pin ", "zip ", "+49 ", " Street "]
WORDS += ["a@b.co", "AB12 3CD"]
TYPED = ["<order_1>", "<email_x>"]
ALPHABET = "0123456789" * 3 + " -/.,:;#()@+_aAbBzZ\n\t'\"é\uff11²"


@pytest.mark.parametrize(
    ("alphabet", "words"),
    [(ALPHABET, WORDS), (ALPHABET + "<>", WORDS), (ALPHABET, WORDS + TYPED)],
    ids=["usual", "angle brackets", "typed placeholders"],
)
def test_no_token_outside_placeholders_holds_five_digits(alphabet, words):
    for text in random_texts(8000, alphabet, words, seed=0):
        for token in EntityTable().mask(text).split():
            rest = PLACEHOLDER.sub("", token)
            assert sum(character.isdecimal() for character in rest) < 5, (text, token)


def test_every_placeholder_of_a_masked_text_is_known_or_overflow():
    for text in random_texts(8000, ALPHABET + "<>", WORDS + TYPED, seed=1):
        table = EntityTable()
        found = set(PLACEHOLDER.findall(table.mask(text)))
        assert {name for name in found if "x" not in name.rpartition("_")[2]} <= set(table.values)


def test_unmasking_gives_random_texts_back():
    generator = random.Random(2)
    # A value that comes twice is put back as it was written first, so each comes once.
    values = list({re.sub(r"[\s-]", "", value): value for _, value, _ in EXAMPLES}.values())
    for _ in range(2000):
        words = [*generator.sample(values, 3), *generator.sample(["hello", "is", "my", "late"], 3)]
        generator.shuffle(words)
        text = ", ".join(words)
        table = EntityTable()
        assert unmask(table.mask(text), table.values) == text


@pytest.mark.parametrize(
    "text",
    ["a@b.co/order1234567", "x12345:a@b.co:67890", "a@b.co12345678", "[9a@b.co16order60order4133"],
)
def test_no_value_is_lost_where_entities_touch_other_digits(text):
    table = EntityTable()
    assert unmask(table.mask(text), table.values) == text


def test_equal_values_share_a_placeholder_and_others_do_not():
    table = EntityTable()
    first = table.mask("order A-1234567 and order A-7654321")
    assert first == "order <order_1> and order <order_2>"
    assert table.mask("I mean A-7654321, not A-1234567") == "I mean <order_2>, not <order_1>"
    assert table.values == {"<order_1>": "A-1234567", "<order_2>": "A-7654321"}


def test_case_and_spaces_do_not_make_another_value():
    table = EntityTable()
    assert table.mask("card 4111 1111 1111 1111") == "card <card_1>"
    assert table.mask("card 4111-1111-1111-1111") == "card <card_1>"
    assert table.mask("Me@Shop.com or me@shop.com") == "<email_1> or <email_1>"
    assert table.values["<email_1>"] == "Me@Shop.com"


def test_tables_of_two_dialogues_do_not_mix():
    EntityTable().mask("order A-1234567")
    assert EntityTable().mask("order A-7654321") == "order <order_1>"


@pytest.mark.parametrize("literal", ["<order_1>", "<email_x>", "<number_9>"])
def test_a_placeholder_that_somebody_typed_is_none(literal):
    table = EntityTable()
    masked = table.mask(f"what is {literal}? my order is A-1234567")
    assert masked == f"what is {literal[1:-1]}? my order is <order_1>"
    assert table.values == {"<order_1>": "A-1234567"}
    assert not PLACEHOLDER.search(EntityTable().mask(literal))


def test_a_placeholder_that_appears_when_another_is_taken_out_is_none():
    assert not PLACEHOLDER.search(EntityTable().mask("is it <<order_1>> or <or<order_1>der_1>"))


@pytest.mark.parametrize("literal", CONTROL_TOKENS)
def test_a_control_token_that_somebody_typed_is_none(literal):
    name = literal[1:-1]
    typed = f"is {literal}x <{literal}> <<{literal}{name}> or <{name}{literal}> a token?"
    masked = EntityTable().mask(typed)
    assert not any(token in masked for token in CONTROL_TOKENS)
    assert re.sub("[<>]", "", masked) == re.sub("[<>]", "", typed)


@pytest.mark.parametrize("text", ["a < b", "<b>bold</b>", "<EOS>", "< eos >", "</user>", "<3 > <"])
def test_other_angle_brackets_stay(text):
    assert EntityTable().mask(text) == text


def test_unknown_placeholders_are_dropped_from_replies():
    values = {"<order_1>": "A-1234567"}
    reply = "Order <order_1> goes to <address_1>, or call <phone_x>."
    assert unmask(reply, values) == "Order A-1234567 goes to, or call."
    assert unmask("<order_2> is late", values) == " is late"
    assert (
        unmask("no placeholder, 1 < 2 > 0 and <b>", values) == "no placeholder, 1 < 2 > 0 and <b>"
    )


def test_a_value_is_put_back_as_it_is():
    assert unmask("<order_1>", {"<order_1>": r"\g<0> <order_2> \1"}) == r"\g<0> <order_2> \1"


def test_values_past_the_limit_share_a_placeholder_that_is_never_put_back():
    table = EntityTable()
    count = MAX_PER_TYPE + 3
    masked = [table.mask(f"mail u{number}@x.com") for number in range(count)]
    assert masked[:MAX_PER_TYPE] == [f"mail <email_{n + 1}>" for n in range(MAX_PER_TYPE)]
    assert masked[MAX_PER_TYPE:] == ["mail <email_x>"] * 3
    assert len(table.values) == MAX_PER_TYPE
    assert unmask("mail <email_x>!", table.values) == "mail!"
    assert table.mask("mail u0@x.com, order A-1234567") == "mail <email_1>, order <order_1>"


def test_the_listed_placeholders_are_all_that_can_occur():
    names = placeholders()
    assert len(set(names)) == len(names) == len(ENTITY_TYPES) * (MAX_PER_TYPE + 1)
    assert all(PLACEHOLDER.fullmatch(name) for name in names)
    table = EntityTable()
    for text in random_texts(2000, ALPHABET, WORDS, seed=3):
        assert set(re.findall(r"<[a-z]+_[1-9x]>", table.mask(text))) <= set(names)
