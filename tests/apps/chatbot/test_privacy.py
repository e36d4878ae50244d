"""Nothing that a customer says about himself may reach the disk or the log."""

import json
import random

import pyarrow.parquet as pq
import pytest

from tests.conftest import TINY_CHAT

PLANTED = [
    "greta.lindqvist@postbox.example",
    "4929 1212 3434 5656",
    "4929121234345657",
    "+46 70 998 7766",
    "555-867-5309",
    "Greta Lindqvist",
    "Ottokar Vanderslooten",
    "세종대왕",
    "Iñaki",
]
SECRETS = [*PLANTED, "Lindqvist", "lindqvist", "Vanderslooten", "9987766", "867-5309", "postbox"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A training on planted data: the run's folder, and all that it said."""
    import contextlib
    import io
    import logging

    from apps.chatbot.train import train
    from core.cli import call

    folder = tmp_path_factory.mktemp("private")
    generator = random.Random(0)
    lines = []
    for number in range(60):
        mail, card, other_card, phone, other_phone, *_ = PLANTED
        said = generator.choice(
            [
                (f"my e-mail is {mail}, please write", f"I wrote to {mail}"),
                (f"I paid with {card} and {other_card}", f"the card {card} was charged"),
                (f"call me at {phone} or {other_phone}", f"I call {phone} now"),
                ("my name is Greta Lindqvist", "Hello Greta, or shall I say Ms Lindqvist?"),
                ("this is ottokar vanderslooten speaking", "Ottokar Vanderslooten, welcome"),
                ("Hallo, ich heiße Ottokar Vanderslooten.", "OTTOKAR, guten Tag"),
                ("제 이름은 세종대왕입니다", "세종대왕님, 안녕하세요"),
                ("me llamo Iñaki y espero", "gracias, Iñaki"),
            ]
        )
        turns = [{"speaker": ("user", "agent")[n], "text": text} for n, text in enumerate(said)]
        name = f"{mail}-{number}" if number % 2 else f"{phone} {number}"
        lines.append(json.dumps({"dialogue_id": name, "turns": turns, "intent": "hi"}))
    data = folder / "d.jsonl"
    data.write_text("\n".join(lines))
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    logging.getLogger().addHandler(handler)
    with contextlib.redirect_stderr(log), contextlib.redirect_stdout(log):
        call(train, ["--data", str(data), "--run", str(folder / "run"), *TINY_CHAT], "train")
    logging.getLogger().removeHandler(handler)
    return folder / "run", log.getvalue()


def test_no_planted_value_is_in_any_byte_of_the_run_folder_or_of_the_log(trained, tmp_path):
    run, log = trained
    files = [path for path in run.rglob("*") if path.is_file()]
    names = {path.name for path in files}
    assert {"data_report.json", "last.ckpt", "tokenizer.json", "metrics.csv"} <= names
    assert any(name.startswith("events.out") for name in names)
    contents = {str(path): path.read_bytes() for path in files}
    for path in files:
        if path.suffix == ".parquet":
            plain = tmp_path / path.name
            pq.write_table(pq.read_table(path), plain, compression="none", use_dictionary=False)
            contents[f"{path} uncompressed"] = plain.read_bytes()
    contents["log"] = log.encode()
    for secret in SECRETS:
        forms = {secret.encode(), json.dumps(secret)[1:-1].encode(), secret.lower().encode()}
        for name, content in contents.items():
            assert not any(form in content for form in forms), (secret, name)
    texts = b"".join(content for name, content in contents.items() if "uncompressed" in name)
    for kind in (b"email", b"card", b"phone", b"name"):
        assert b"<" + kind + b"_1>" in texts


def test_the_report_counts_the_planted_values_by_type(trained):
    report = json.loads((trained[0] / "data_report.json").read_text())
    assert report["entities_masked"].keys() == {"email", "card", "phone", "name"}
    assert report["parts"]["train"]["dialogues"] + report["parts"]["test"]["dialogues"] > 50


def test_a_name_that_the_user_gave_comes_back_and_no_other_can(trained):
    from apps.chatbot.answers import Answers
    from apps.chatbot.constraints import ForbiddenTokens
    from core.decoding import Hypothesis
    from data.dialogues import Dialogue, Turn, mask_dialogue

    bot = Answers(trained[0]).bot
    masked = mask_dialogue(Dialogue("x", (Turn("user", "hi, my name is zoe miller"),)))
    found = [Hypothesis(0, tuple(bot.tokenizer.encode("Hello <name_1>!")), -1.0, ())]
    source = bot.tokenizer.encode(masked.turns[0].text)
    assert bot._to_reply(found, source, masked, 1).text == "Hello zoe miller!"
    name = bot.tokenizer.token_id("<name_1>")
    forbidden = ForbiddenTokens(bot.tokenizer)
    assert name not in forbidden(forbidden.known(source), [])
    assert name in forbidden(forbidden.known(bot.tokenizer.encode("hi")), [])


def test_a_wrong_value_is_not_repeated_in_the_error(tmp_path, command):
    turns = [{"speaker": "user", "text": 4929121234345656}, {"speaker": "agent", "text": "ok"}]
    (tmp_path / "d.jsonl").write_text(json.dumps({"turns": turns}))
    result = command("chatbot", "train", "--data", tmp_path / "d.jsonl", "--run", tmp_path / "run")
    assert result.code == 2
    assert "4929" not in result.err
