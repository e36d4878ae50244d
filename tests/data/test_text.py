import json
from pathlib import Path

import numpy as np
import pytest
import torch

from core.batch import BOS_ID, EOS_ID, PAD_ID
from data.checking import load_dialogues
from data.dialogues import Dialogue, Turn, mask_dialogues, reply_pairs
from data.entities import placeholders
from data.text import SPEAKER_TOKENS, Tokenizer, bucketed_batches, pad_batch, padding_share

SHARED = Path(__file__).parents[3] / "shared" / "data" / "cucom" / "dialogues.jsonl.gz"
TEXTS = ["where is my order", "it is on its way", "¿dónde está mi pedido?", "주문이 어디 있어요"]


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.train(TEXTS * 5, 420, placeholders())


@pytest.mark.parametrize(
    "text",
    [
        "안녕하세요, 주문 번호가 뭐예요?",
        "¿Dónde está mi pedido? ¡Gracias, señor!",
        "😀🎉👩‍👩‍👧‍👦🏳️‍🌈",
        "\x00\x01\x07\x1b\x7f\x85\u2028\t\n\r",
        "  spaces before, between   and after  ",
        "e\u0301 is not é, \ufffd is a character, \U0010ffff too",
        "",
        "an <order_1> of the <user>",
    ],
)
def test_every_text_round_trips_byte_for_byte(tokenizer, text):
    assert tokenizer.decode(tokenizer.encode(text)).encode() == text.encode()


def test_every_character_round_trips(tokenizer):
    characters = [chr(code) for code in (*range(0x250), *range(0xAC00, 0xAC40), 0xD7FF, 0xE000)]
    text = "".join(characters)
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert [tokenizer.decode(tokenizer.encode(c)) for c in characters] == characters


def test_special_tokens_are_one_id_each_also_inside_a_text(tokenizer):
    specials = ["<pad>", "<bos>", "<eos>", *SPEAKER_TOKENS.values(), *placeholders()]
    ids = [tokenizer.token_id(token) for token in specials]
    assert ids[:3] == [PAD_ID, BOS_ID, EOS_ID]
    assert len(set(ids)) == len(specials)
    assert [tokenizer.encode(token) for token in specials] == [[number] for number in ids]
    assert tokenizer.token_id("<order_1>") in tokenizer.encode("is x<order_1>y late?")


def test_no_special_token_that_a_customer_typed_is_read_as_one(tokenizer):
    specials = ["<pad>", "<bos>", "<eos>", *SPEAKER_TOKENS.values(), *placeholders()]
    typed = tuple(
        Turn(speaker, f"{token} x{token}") for token in specials for speaker in ("user", "agent")
    )
    (masked,) = mask_dialogues([Dialogue("a", typed)])
    read = {number for turn in masked.turns for number in tokenizer.encode(turn.text)}
    assert not read & {tokenizer.token_id(token) for token in specials}


def test_an_unknown_special_token_is_named(tokenizer):
    with pytest.raises(KeyError, match="<order_99>"):
        tokenizer.token_id("<order_99>")


def test_a_vocabulary_too_small_is_refused_with_the_least_size():
    least = 256 + 5 + len(placeholders())
    with pytest.raises(ValueError, match=f"vocab_size={least - 1} must be at least {least}"):
        Tokenizer.train(TEXTS, least - 1, placeholders())
    assert Tokenizer.train(TEXTS, least, placeholders()).vocab_size == least


def test_the_vocabulary_is_never_larger_than_asked_for_and_merges_are_learned(tokenizer):
    assert 256 + 5 + len(placeholders()) < tokenizer.vocab_size <= 420
    assert len(tokenizer.encode(TEXTS[0])) < len(TEXTS[0])


def test_a_tokenizer_survives_json(tokenizer):
    again = Tokenizer.from_json(tokenizer.to_json())
    text = "¿dónde está <order_1>? 주문 😀"
    assert again.encode(text) == tokenizer.encode(text)
    assert again.vocab_size == tokenizer.vocab_size


def test_training_is_the_same_on_each_call(tokenizer):
    assert Tokenizer.train(TEXTS * 5, 420, placeholders()).to_json() == tokenizer.to_json()


TURNS = [
    ("user", "where is my order"),
    ("agent", "what is the number"),
    ("user", "it is <order_1>, and please be quick about it"),
]


def test_a_context_with_room_holds_every_turn_with_its_speaker(tokenizer):
    ids = tokenizer.encode_context(TURNS, num_turns=3, max_tokens=500)
    spoken = "".join(SPEAKER_TOKENS[speaker] + text for speaker, text in TURNS)
    assert tokenizer.decode(ids) == spoken


@pytest.mark.parametrize("num_turns", [1, 2, 3, 9])
def test_a_context_keeps_the_last_turns_alone(tokenizer, num_turns):
    ids = tokenizer.encode_context(TURNS, num_turns, 500)
    assert ids == tokenizer.encode_context(TURNS[-num_turns:], 9, 500)
    speakers = {tokenizer.token_id(token) for token in SPEAKER_TOKENS.values()}
    assert sum(number in speakers for number in ids) == min(num_turns, 3)


def test_a_context_is_cut_from_the_oldest_to_at_most_max_tokens(tokenizer):
    full = tokenizer.encode_context(TURNS, 3, 500)
    last = tokenizer.encode_context(TURNS[-1:], 1, 500)
    speakers = {tokenizer.token_id(token) for token in SPEAKER_TOKENS.values()}
    for max_tokens in range(len(last), len(full) + 1):
        ids = tokenizer.encode_context(TURNS, 3, max_tokens)
        assert len(ids) <= max_tokens
        assert ids[-len(last) :] == last
        # Whatever is left is a suffix of the whole, behind the speaker of the turn that was cut.
        assert ids[0] in speakers
        assert ids[1:] == full[len(full) - len(ids) + 1 :]
    assert ids == full


def test_an_over_long_last_message_keeps_its_beginning(tokenizer):
    long = [*TURNS[:2], ("user", "my order is <order_1> " + "and it is late " * 50)]
    whole = tokenizer.encode_context(long[-1:], 1, 10_000)
    for max_tokens in (8, 20, 100):
        ids = tokenizer.encode_context(long, 3, max_tokens)
        assert ids == whole[:max_tokens]
        assert ids[0] == tokenizer.token_id("<user>")


def test_a_batch_is_padded_on_the_right_and_targets_stand_between_bos_and_eos():
    batch = pad_batch([[7, 8, 9], [5]], [[4], [6, 7]])
    assert batch.source.tolist() == [[7, 8, 9], [5, PAD_ID, PAD_ID]]
    assert batch.source_lengths.tolist() == [3, 1]
    assert batch.target.tolist() == [[BOS_ID, 4, EOS_ID, PAD_ID], [BOS_ID, 6, 7, EOS_ID]]
    assert batch.source.dtype == batch.target.dtype == torch.int64


def test_an_empty_target_is_bos_and_eos():
    assert pad_batch([[7]], [[]]).target.tolist() == [[BOS_ID, EOS_ID]]


def lengths(count, seed=0):
    generator = np.random.default_rng(seed)
    return generator.integers(1, 160, count), generator.integers(2, 100, count)


@pytest.mark.parametrize("seed", [None, 0])
@pytest.mark.parametrize(
    ("count", "batch_size"),
    [(1, 1), (1, 64), (5, 1), (63, 64), (64, 64), (65, 64), (257, 16), (1000, 7), (1001, 64)],
)
def test_every_row_stands_in_one_batch_and_there_are_no_more_batches_than_needed(
    count, batch_size, seed
):
    generator = None if seed is None else np.random.default_rng(seed)
    batches = bucketed_batches(*lengths(count), batch_size, generator)
    assert sorted(np.concatenate(batches).tolist()) == list(range(count))
    assert len(batches) == -(-count // batch_size)
    assert max(map(len, batches)) <= batch_size


def plan(generator=None):
    return [rows.tolist() for rows in bucketed_batches(*lengths(500), 16, generator)]


def test_batches_are_fixed_without_a_generator_and_differ_with_one():
    assert plan() == plan()
    generator = np.random.default_rng(0)
    first, second = plan(generator), plan(generator)
    assert first != second
    assert first == plan(np.random.default_rng(0))
    # Not the order alone: rows meet others.
    assert {frozenset(rows) for rows in first} != {frozenset(rows) for rows in second}


@pytest.mark.parametrize("side", [0, 1], ids=["source", "target"])
def test_bucketing_halves_the_padding_of_both_sides(side):
    both = lengths(2000)
    for generator in (None, np.random.default_rng(0)):
        batches = bucketed_batches(*both, 16, generator)
        in_order = np.split(np.arange(2000), 125)
        assert padding_share(batches, both[side]) < padding_share(in_order, both[side]) / 2


@pytest.mark.parametrize("side", [0, 1], ids=["source", "target"])
def test_random_batches_are_padded_no_more_than_fixed_ones(side):
    generator = np.random.default_rng(1)
    # Lengths as in short messages, where a few tokens of disorder would be a large share.
    both = generator.integers(4, 20, 5000), generator.integers(10, 40, 5000)
    fixed = padding_share(bucketed_batches(*both, 64), both[side])
    drawn = padding_share(bucketed_batches(*both, 64, generator), both[side])
    assert drawn <= 1.1 * fixed


def test_padding_share_counts_what_pad_batch_adds():
    source, target = lengths(40)
    batches = bucketed_batches(source, target, 8)
    made = [
        pad_batch([[9] * source[r] for r in b], [[9] * (target[r] - 2) for r in b]) for b in batches
    ]
    padded = sum(int((x == PAD_ID).sum()) for batch in made for x in (batch.source, batch.target))
    total = sum(x.numel() for batch in made for x in (batch.source, batch.target))
    assert padding_share(batches, source, target) == pytest.approx(padded / total)
    assert padding_share([np.array([0])], source, target) == 0


@pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared/data/cucom")
def test_less_than_a_tenth_of_the_cucom_batches_is_padding():
    # A third of the dialogues, for time: fewer rows to choose from pad more, not less.
    dialogues = mask_dialogues(load_dialogues(str(SHARED))[::3])
    texts = [turn.text for dialogue in dialogues for turn in dialogue.turns]
    tokenizer = Tokenizer.train(texts, 5000, placeholders())
    pairs = reply_pairs(dialogues)
    source = np.array([len(tokenizer.encode_context(pair.context, 5, 160)) for pair in pairs])
    target = np.array([min(len(tokenizer.encode(pair.reply)), 100) + 2 for pair in pairs])
    for generator in (None, np.random.default_rng(0)):
        batches = bucketed_batches(source, target, 64, generator)
        assert padding_share(batches, source, target) < 0.1
    in_order = [np.arange(i, min(i + 64, len(pairs))) for i in range(0, len(pairs), 64)]
    assert padding_share(in_order, source, target) > 0.1


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("{", "", "no tokenizer"),
        ('"BPE"', '"WordLevel"', "no tokenizer"),
        ('"normalizer": null', '"normalizer": {"type": "Lowercase"}', "no byte-level BPE"),
        (
            '"truncation": null',
            '"truncation": {"direction": "Right", "max_length": 1, "strategy": "LongestFirst", '
            '"stride": 0}',
            "cuts or pads",
        ),
        ('"<eos>": 2', '"<eos>": 9999', "without a gap"),
    ],
)
def test_what_is_no_tokenizer_of_this_kind_is_refused(old, new, told):
    written = json.dumps(json.loads(Tokenizer.train(["a b"], 300).to_json()))
    assert old in written
    with pytest.raises(ValueError, match=told):
        Tokenizer.from_json(written.replace(old, new, 1))
