import json
import random
from types import SimpleNamespace

import pytest

from apps.chatbot import rules
from apps.chatbot import train as train_module
from apps.chatbot.candidates import candidate_model, num_parameters
from apps.chatbot.compare import compare, table
from apps.chatbot.datamodule import ChatDataModule
from apps.chatbot.held_out import HeldOut
from apps.chatbot.inference import Chatbot
from core.cli import call
from core.diagnostics import lag_metrics
from core.nn.seq2seq import Seq2SeqConfig
from core.plain import plain
from core.runs import load_run
from tests.conftest import TINY_CHAT


def test_every_candidate_has_its_row(chat, tmp_path, command):
    words = ["--data", chat.data, "--run", tmp_path / "c", "--seeds", 1, *TINY_CHAT]
    result = command("chatbot", "compare", *words, "--trainer.max_epochs", 1, "--json")
    rows = json.loads(result.out)
    assert [row["name"] for row in rows] == [
        "rules",
        "most_frequent",
        "tfidf",
        "bm25",
        "rnn_unclipped",
        "rnn",
        "lstm",
        "lstm_attention",
        "gru_attention",
        "transformer",
    ]
    assert all(row.keys() >= {"name", "seed", "parameters", "seconds", "metrics"} for row in rows)
    trained = {row["name"]: row for row in rows if row["parameters"]}
    assert trained["lstm_attention"]["parameters"] > trained["lstm"]["parameters"]
    assert trained["lstm"]["parameters"] > trained["rnn_unclipped"]["parameters"]
    ratio = trained["transformer"]["parameters"] / trained["lstm_attention"]["parameters"]
    assert 0.9 < ratio < 1.1
    numbers = {row["name"]: row["metrics"]["entity_accuracy"] for row in rows}
    assert numbers["tfidf"] > 0.9, "the customer's own order number comes back in the reply"
    assert numbers["rules"] == 0
    assert len({row["metrics"]["perplexity"] for row in trained.values()}) == len(trained)


def test_seeds_are_scored_apart_and_tabled_together(chat, tmp_path, command):
    words = ["--data", chat.data, "--run", tmp_path / "c", "--candidates", "tfidf,rnn"]
    result = command("chatbot", "compare", *words, "--seeds", 2, *TINY_CHAT)
    assert result.code == 0
    line = next(line for line in result.out.splitlines() if line.startswith("rnn"))
    assert "±" in line
    assert (tmp_path / "c" / "rnn-seed1" / "manifest.json").exists()


def test_an_unknown_candidate_is_named(chat, command):
    result = command("chatbot", "compare", "--data", chat.data, "--candidates", "rnn,lsmt")
    assert result.code == 2
    assert "lsmt" in result.err


def test_rules_answer_by_keyword_and_fall_back():
    assert "password" in rules.answer("I forgot my PASSWORD").lower()
    assert rules.answer("zzz") == rules.FALLBACK


def of_many_lengths(source, path):
    """The same dialogues with first messages of one to twelve words more, no two alike."""
    lines, generator = [], random.Random(0)
    for number, line in enumerate(source.read_text().splitlines()):
        dialogue = json.loads(line)
        more = ["".join(generator.choices("abcdefgh", k=3)) for _ in range(number % 12 + 1)]
        dialogue["turns"][0]["text"] += " " + " ".join(more)
        lines.append(json.dumps(dialogue))
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def compared(chat, one_blas_thread, tmp_path_factory):
    """A comparison with a larger test part: `rows`, `folder` and how often it was answered."""
    folder = tmp_path_factory.mktemp("compared") / "c"
    data = of_many_lengths(chat.data, folder.with_name("d.jsonl"))
    answered = []
    real = Chatbot.reply_all

    def counting(self, dialogues, positions=None, batch_size=64, advance=None):
        answered.extend([len(dialogues)] if advance is not None else [])
        return real(self, dialogues, positions, batch_size, advance)

    words = ["--data", str(data), "--run", str(folder), "--seeds", "1", *TINY_CHAT]
    words += ["--text.test_share", "0.3", "--trainer.max_epochs", "1"]
    candidates = "tfidf,rnn,lstm,lstm_attention,transformer"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Chatbot, "reply_all", counting)
        rows = call(compare, [*words, "--candidates", candidates], "compare")
    return SimpleNamespace(rows=rows, folder=folder, answered=answered, words=words)


def test_lengths_part_the_test_pairs_alike_for_every_candidate(compared):
    total = compared.rows[1]["metrics"]["num_pairs"]
    parts = compared.rows[0]["metrics"]["by_length"]
    assert list(parts) == ["short", "middle", "long"]
    assert sum(part["num_pairs"] for part in parts.values()) == total
    assert all(part["num_pairs"] > 1 for part in parts.values())
    bounds = [bound for part in parts.values() for bound in part["tokens"]]
    assert bounds == sorted(bounds)
    assert bounds[1] < bounds[2]
    assert bounds[3] < bounds[4]
    for row in compared.rows:
        found = row["metrics"]["by_length"]
        for name, part in found.items():
            same = ("tokens", "num_pairs")
            assert [part[key] for key in same] == [parts[name][key] for key in same]
            assert 0 <= part["chrf"] <= 100


def test_every_network_answers_the_test_part_once(compared):
    networks = [row for row in compared.rows if row["parameters"]]
    assert compared.answered == [row["metrics"]["num_pairs"] for row in networks]


def test_recurrent_candidates_alone_have_a_gradient_by_lag(compared):
    states = {"rnn": {"lag", "hidden"}, "lstm": {"lag", "hidden", "cell"}}
    states["lstm_attention"] = states["lstm"]
    for row in compared.rows:
        found = row["metrics"].get("gradient_by_lag", {})
        assert found.keys() == states.get(row["name"], set())
        assert all(len(values) == len(found["lag"]) > 10 for values in found.values())
        assert all(value > 0 for value in found.get("hidden", []))


def test_the_gradient_is_the_trained_encoders_on_the_ends_of_long_sources(compared):
    row = next(row for row in compared.rows if (row["name"], row["seed"]) == ("lstm", 0))
    run = load_run(compared.folder / "lstm-seed0", "chatbot")
    bot, datamodule = Chatbot.load(run), ChatDataModule.from_run(run)
    sources = [datamodule.encode_source(pair.context) for pair in datamodule.pairs("test")]
    tokens = HeldOut([], [], sources).long_sources()
    expected = lag_metrics(bot.model.encoder, bot.model.embed(tokens))["gradient_by_lag"]
    for state in ("hidden", "cell"):
        assert row["metrics"]["gradient_by_lag"][state] == pytest.approx(expected[state])


@pytest.mark.parametrize(("lengths", "shape"), [((3, 8, 8, 200), (3, 8)), ((150, 200), (2, 100))])
def test_long_sources_lose_their_beginning_and_short_ones_are_left_out(lengths, shape):
    found = HeldOut([], [], [list(range(length)) for length in lengths]).long_sources()
    assert found.shape == shape
    assert found[-1].tolist() == list(range(200 - shape[1], 200))


def test_a_comparison_leaves_its_rows_and_a_report(compared):
    written = json.loads((compared.folder / "compare.json").read_text())
    assert written == json.loads(json.dumps(plain(compared.rows)))
    page = (compared.folder / "compare.html").read_text()
    assert page.count("Plotly.newPlot(") == 4  # length, lag, turn, risk
    tokens = compared.rows[0]["metrics"]["by_length"]["short"]["tokens"]
    for text in (
        f"chrf short ({tokens[0]}-{tokens[1]})",
        "chrf / tfidf",
        "lstm, cell state",
        "lstm_attention less each other candidate",
        "first (n=",
        "share kept",
    ):
        assert text in page
        assert text in table(compared.rows)
    assert "The worst replies of " in page
    assert page.count("  reference  ") == 20


def test_the_lead_of_the_lstm_with_attention_stands_in_every_other_row(compared):
    scores = {row["name"]: row["metrics"] for row in compared.rows}
    assert "paired" not in scores["lstm_attention"]
    for name in ("tfidf", "rnn", "lstm", "transformer"):
        for score, found in scores[name]["paired"].items():
            lead = scores["lstm_attention"][score] - scores[name][score]
            assert found["difference"] == pytest.approx(lead)
            low, high = found["interval"]
            assert low <= lead <= high
            assert 0.0009 < found["p_value"] <= 1


def test_a_comparison_called_again_scores_without_training_and_adds_what_is_new(
    compared, monkeypatch
):
    trained = []
    real = train_module.fit

    def counting(module, loaders, config, run_dir, resume=False):
        trained.append(run_dir.name)
        return real(module, loaders, config, run_dir, resume)

    monkeypatch.setattr(train_module, "fit", counting)
    words = [*compared.words, "--candidates", "rnn,lstm,gru_attention"]
    rows = call(compare, words, "compare")
    assert trained == ["gru_attention-seed0"]
    before = {row["name"]: row for row in compared.rows}
    for row in rows[:2]:
        for name in ("bleu", "chrf", "perplexity", "cpu_minutes", "by_turn", "gradient_by_lag"):
            assert row["metrics"][name] == before[row["name"]]["metrics"][name]
        assert row["seconds"] > 0


def test_a_comparison_called_again_with_other_options_says_which(compared):
    with pytest.raises(ValueError, match=r"label_smoothing was 0\.1 .* is 0\.2"):
        call(compare, [*compared.words, "--label_smoothing", "0.2"], "compare")


def test_the_folder_of_an_unfinished_training_is_no_comparison(compared, tmp_path):
    options = json.loads((compared.folder / "started.json").read_text())
    del options["command"]
    (tmp_path / "started.json").write_text(json.dumps(options))
    words = [*compared.words, "--run", str(tmp_path)]
    with pytest.raises(ValueError, match="command was None when the training began, is compare"):
        call(compare, words, "compare")


def test_a_training_that_was_stopped_in_a_comparison_is_resumed(chat, tmp_path, monkeypatch):
    words = ["--data", str(chat.data), "--run", str(tmp_path / "c"), *TINY_CHAT]
    words += ["--candidates", "rnn", "--seeds", "1"]
    whole = call(compare, [*words, "--run", str(tmp_path / "whole")], "compare")

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(train_module, "write", stop)
        with pytest.raises(KeyboardInterrupt):
            call(compare, words, "compare")
    assert not (tmp_path / "c" / "rnn-seed0" / "manifest.json").exists()
    (row,) = call(compare, words, "compare")
    for name in ("bleu", "chrf", "perplexity", "steps", "by_turn"):
        assert row["metrics"][name] == whole[0]["metrics"][name]


def test_a_cpu_budget_gives_every_network_its_time(chat, tmp_path):
    words = ["--data", str(chat.data), "--run", str(tmp_path / "c"), *TINY_CHAT]
    words += ["--candidates", "rnn,lstm", "--seeds", "1", "--cpu_minutes", "0.02"]
    for row in call(compare, words, "compare"):
        assert 0.02 <= row["metrics"]["cpu_minutes"] < 0.04
        trainer = load_run(tmp_path / "c" / f"{row['name']}-seed0", "chatbot").config["trainer"]
        assert (trainer["cpu_minutes"], trainer["patience"]) == (0.02, 0)


@pytest.mark.parametrize("vocab_size", [400, 5000])
@pytest.mark.parametrize(
    "sizes",
    [
        {"hidden_size": 24, "embedding_size": 24},
        {"hidden_size": 128, "embedding_size": 128},
        {"hidden_size": 256, "embedding_size": 256},
        {"hidden_size": 200, "embedding_size": 64, "num_layers": 3, "num_heads": 1},
    ],
)
def test_the_transformer_has_as_many_parameters_as_the_lstm_with_attention(vocab_size, sizes):
    model = Seq2SeqConfig(**sizes)
    lstm = num_parameters(vocab_size, candidate_model("lstm_attention", vocab_size, model))
    config = candidate_model("transformer", vocab_size, model)
    assert 0.97 * lstm < num_parameters(vocab_size, config) <= lstm
    assert config.num_layers == model.num_layers
    assert config.hidden_size >= 4 * config.embedding_size


def test_parameters_are_counted_as_the_network_has_them(chat):
    run = load_run(chat.run, "chatbot")
    bot = Chatbot.load(run)
    config = Seq2SeqConfig(**run.config["model"])
    counted = num_parameters(bot.tokenizer.vocab_size, config)
    assert counted == sum(p.numel() for p in bot.model.parameters())


@pytest.mark.slow
def test_candidates_in_other_processes_come_to_the_same_and_go_on(
    compared, tmp_path, command, caplog
):
    caplog.set_level("INFO")
    folder = tmp_path / "c"
    words = [*compared.words, "--candidates", "tfidf,rnn,lstm_attention", "--run", folder]
    words += ["--workers", 2, "--json"]
    result = command("chatbot", "compare", *words)
    assert result.code == 0, result.err
    rows = json.loads(result.out)
    assert [row["name"] for row in rows] == ["tfidf", "rnn", "lstm_attention"]
    alone = {row["name"]: row for row in json.loads(json.dumps(plain(compared.rows)))}
    for row in rows:
        assert without_time(row) == without_time(alone[row["name"]])
    for run in ("rnn-seed0", "lstm_attention-seed0"):
        weights = [path / run / "model.safetensors" for path in (compared.folder, folder)]
        assert weights[0].read_bytes() == weights[1].read_bytes()
    # Stopped within a training: the other is read, this one is trained to the same end.
    (folder / "rnn-seed0" / "manifest.json").unlink()
    caplog.clear()
    again = json.loads(command("chatbot", "compare", *words).out)
    assert [without_time(row) for row in again] == [without_time(row) for row in rows]
    assert caplog.text.count("is trained already") == 1
    assert all(row["seconds"] > 0 for row in again if row["parameters"])


def without_time(row):
    timed = ("latency_ms_p50", "latency_ms_p95", "cpu_minutes")
    metrics = {name: value for name, value in row["metrics"].items() if name not in timed}
    return {**row, "seconds": None, "metrics": metrics}


@pytest.mark.parametrize(("workers", "told"), [("0", "workers=0"), ("many", "workers='many'")])
def test_a_wrong_number_of_workers_is_refused_before_anything_is_read(
    workers, told, tmp_path, command
):
    words = ["--data", "nowhere.jsonl", "--run", tmp_path / "c", "--workers", workers]
    result = command("chatbot", "compare", *words)
    assert result.code == 2
    assert f"{told} must be a whole number above 0" in result.err
    assert result.err.count("\n") == 1
