"""`new-app`: a copy works at once, and what cannot be copied is refused before it is begun."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from core.new_app import guide, main, new_app
from core.new_names import KINDS, camel_case, renamed
from core.new_wiring import insert_once
from tests.test_doc_commands import serve

ROOT = Path(__file__).parents[1]
NAMES = {"chatbot": "spare_parts", "stock_forecast": "demand"}
SKIPPED = shutil.ignore_patterns(
    ".git", ".venv", "runs", "__pycache__", "benchmarks", "deploy", "*_cache", "*.egg-info"
)
OLD_WORDS = {
    "chatbot": r"chatbot",
    "stock_forecast": r"(?<!cache/)(?<!CACHE_HOME/)stock.?forecast|StockForecaster|\"stock[\".]",
}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A clone of the working tree with a copy of either app."""
    root = tmp_path_factory.mktemp("clone") / "suite"
    shutil.copytree(ROOT, root, ignore=SKIPPED)
    for app, name in NAMES.items():
        new_app(name, app, root=root)
    return root, {app: guide(root, KINDS[app], name, [], "") for app, name in NAMES.items()}


def python(root, *words):
    """Run Python in a checkout, as its own user would."""
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", *map(str, words)]
    return subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, check=False
    )


def tree(root):
    return sorted(path for path in root.rglob("*") if "__pycache__" not in path.parts)


@pytest.mark.parametrize("app", KINDS)
def test_no_word_of_the_old_app_is_left(checkout, app):
    root, _ = checkout
    for folder in ("apps", "tests/apps"):
        for path in (root / folder / NAMES[app]).rglob("*"):
            if path.suffix in (".py", ".yaml", ".md"):
                assert not re.search(OLD_WORDS[app], path.read_text(), re.IGNORECASE), path


@pytest.mark.parametrize("app", KINDS)
def test_the_overview_has_a_card_and_a_page_of_a_copy(checkout, app):
    root, _ = checkout
    texts = yaml.safe_load((root / "core" / "ui" / "texts.yaml").read_text())
    assert texts["home"][NAMES[app]].keys() == {"en", "ko"}
    home = (root / "apps" / "home.py").read_text()
    assert home.count(f'"{NAMES[app]}": ') == 3  # page, address, icon
    assert (root / "apps" / "pictures" / f"{NAMES[app]}.svg").exists()


def test_a_shared_file_that_has_changed_its_shape_is_not_guessed_at():
    with pytest.raises(ValueError, match="2 places like"):
        insert_once("[a]\n[a]\n", r"^\[a\]$", "x", "file")


def test_the_cache_of_downloads_stays_where_it_is():
    text = "$XDG_CACHE_HOME/stock-forecast ~/.cache/stock-forecast `stock-forecast train`"
    assert renamed(text, KINDS["stock_forecast"], "sales") == (
        "$XDG_CACHE_HOME/stock-forecast ~/.cache/stock-forecast `sales train`"
    )


@pytest.mark.parametrize("app", KINDS)
def test_a_copy_boasts_of_nothing_that_it_did_not_measure(checkout, app):
    root, _ = checkout
    text = (root / "apps" / NAMES[app] / "README.md").read_text()
    assert text.startswith(f"# {NAMES[app].replace('_', ' ').capitalize()}\n")
    assert "None of its own yet" in text
    assert not re.search(r"StockNet|cucom|benchmarks", text)


@pytest.mark.parametrize("app", KINDS)
def test_the_five_lines_are_where_the_definitions_begin(checkout, app):
    root, told = checkout
    found = re.findall(r"^(\d)\. (\S+):(\d+)  ", told[app], re.MULTILINE)
    assert [number for number, _, _ in found] == list("12345")
    for (_, file, line), (_, _, start) in zip(found, KINDS[app].places, strict=True):
        text = (root / file).read_text().splitlines()[int(line) - 1]
        assert text.startswith(start.format(name=NAMES[app]))


def test_a_place_that_is_gone_is_refused_and_nothing_is_left(tmp_path):
    root = tmp_path / "suite"
    shutil.copytree(ROOT, root, ignore=SKIPPED)
    scores = root / "apps" / "chatbot" / "scores.py"
    scores.write_text(scores.read_text().replace("def score_content", "def content_scores"))
    before = {path: path.read_bytes() for path in tree(root) if path.is_file()}
    with pytest.raises(ValueError, match=r"scores\.py has no line that begins with"):
        new_app("helpdesk", "chatbot", root=root)
    assert {path: path.read_bytes() for path in tree(root) if path.is_file()} == before
    assert not (root / "apps" / "helpdesk").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["chatbot", "--from", "chatbot"], "taken"),
        (["home", "--from", "chatbot"], "taken"),
        (["stock", "--from", "chatbot"], "taken"),
        (["class", "--from", "chatbot"], "reserved"),
        (["match", "--from", "chatbot"], "reserved"),
        (["json", "--from", "chatbot"], "reserved"),
        (["core", "--from", "chatbot"], "reserved"),
        (["torch", "--from", "chatbot"], "reserved"),
        (["runs", "--from", "chatbot"], "reserved"),  # git ignores it
        (["build", "--from", "chatbot"], "reserved"),
        (["reply", "--from", "chatbot"], "calls something Reply"),
        (["conftest", "--from", "chatbot"], "taken"),
        (["new_app", "--from", "chatbot"], "taken"),
        (["a" * 21, "--from", "chatbot"], "no name for an app"),
        (["my-app", "--from", "chatbot"], "no name for an app"),
        (["Demand", "--from", "chatbot"], "no name for an app"),
        (["_demand", "--from", "chatbot"], "no name for an app"),
        (["demand2", "--from", "gradient_lab"], "choose one of chatbot, stock_forecast"),
        (["demand2"], "--from"),
        (["demand2", "--from", "chatbot", "--out", "docs"], "not empty"),
        (
            ["demand2", "--from", "chatbot", "--out", "mine"],
            "choose a folder elsewhere",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(checkout, words, message):
    done = python(checkout[0], "core.new_app", *words)  # a copy, should it not be refused
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_folder_without_the_source_tree_is_refused(tmp_path):
    with pytest.raises(ValueError, match="from a checkout"):
        new_app("demand2", "chatbot", root=tmp_path)


def test_commands_are_hyphenated_and_folders_are_not():
    text = renamed(
        'command("chatbot", "reply") runs/chatbot `chatbot train`', KINDS["chatbot"], "a_b"
    )
    assert text == 'command("a-b", "reply") runs/a_b `a-b train`'


@pytest.mark.parametrize("name", ["my_chatbot", "chatbots", "stock_forecast_eu", "my_stock"])
@pytest.mark.parametrize("app", KINDS)
def test_a_name_may_hold_the_word_that_it_replaces(app, name):
    text = {
        "chatbot": 'apps.chatbot.train command("chatbot", "reply") `chatbot train` class Chatbot',
        "stock_forecast": 'apps.stock_forecast.train stock-forecast "stock.title" StockForecaster',
    }
    script, camel = name.replace("_", "-"), camel_case(name)
    assert (
        renamed(text[app], KINDS[app], name)
        == {
            "chatbot": f'apps.{name}.train command("{script}", "reply") `{script} train` '
            f"class {camel}",
            "stock_forecast": f'apps.{name}.train {script} "{name}.title" {camel}Forecaster',
        }[app]
    )


def test_the_folder_that_one_is_in_can_be_filled(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["spare_parts", "--from", "chatbot", "--out", "."])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    assert f"cd {tmp_path} && make setup\n  .venv/bin/spare-parts train" in told
    assert Path("apps/spare_parts/train.py").exists()


def test_nothing_heavy_is_imported():
    code = "import sys, core.new_app; print({'torch', 'apps'} & set(sys.modules))"
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert told.stdout.strip() == "set()"


@pytest.mark.slow
def test_the_house_rules_hold_with_the_copies(checkout):
    root, _ = checkout
    assert (
        python(root, "ruff", "check", "--no-cache", "apps", "tests").stdout.strip()
        == "All checks passed!"
    )
    assert python(root, "ruff", "format", "--no-cache", "--check", "apps").returncode == 0
    tests = [
        "tests/test_app_contract.py",
        "tests/test_architecture.py",
        "tests/core/ui/test_texts.py",
        "tests/apps/test_texts.py",
    ]
    result = python(root, "pytest", *tests, "tests/apps/test_home.py")
    assert result.returncode == 0, result.stdout[-2000:]


SMALL = ["--model.hidden_size=8", "--trainer.max_epochs=1", "--trainer.progress=false"]
TWO = {"chatbot": "rules,rnn", "stock_forecast": "random_walk,rnn"}


def verbs_work(root, app):
    """Every verb that `new-app` promises, on the sample, as its user calls it."""
    name = NAMES[app]
    config = ["--config", f"apps/{name}/configs/small.yaml", *SMALL]
    for words in (
        ["train", *config],
        ["evaluate"],
        ["compare", *config, "--candidates", TWO[app], "--seeds", "1", "--run", f"runs/{name}-two"],
    ):
        result = python(root, f"apps.{name}", *words)
        assert result.returncode == 0, f"{words}\n{result.stderr[-1000:]}"
    serve(f"apps.{name}", ["demo"], root, root)


@pytest.mark.slow
@pytest.mark.parametrize("app", KINDS)
def test_train_evaluate_compare_and_demo_of_a_copy_work_on_the_sample(checkout, app):
    verbs_work(checkout[0], app)


@pytest.fixture(scope="module", params=KINDS)
def own(request, tmp_path_factory):
    """A repository of its own, and its app."""
    out = tmp_path_factory.mktemp("own") / "new"
    new_app(NAMES[request.param], request.param, out)
    return out, NAMES[request.param]


def test_a_repository_of_its_own_speaks_of_its_app_alone(own):
    out, name = own
    assert [path.parent.name for path in out.glob("apps/*/__main__.py")] == [name]
    texts = yaml.safe_load((out / "core" / "ui" / "texts.yaml").read_text())
    assert set(texts) == {"common", "plots", name}
    assert texts[name]["title"]["en"].startswith(f"{name.replace('_', ' ').capitalize()}: ")
    assert texts[name]["title"]["ko"].startswith(f"{name.replace('_', ' ').capitalize()}: ")
    project = tomllib.loads((out / "pyproject.toml").read_text())["project"]
    script = name.replace("_", "-")
    assert project["name"] == script
    assert project["scripts"] == {script: f"apps.{name}.__main__:main"}
    assert not [path for path in tree(out / "core") if path.name.startswith("new_")]
    assert not re.search(r"apps\.(home|run)", (out / "pyproject.toml").read_text())
    assert "apps." not in (out / "tests" / "conftest.py").read_text().replace('f"apps.{', "")
    named = "recurrent-suite|new-app|gradient.lab"
    texts = [path for path in tree(out) if path.suffix in (".py", ".toml", ".md", ".yaml", ".yml")]
    assert [path for path in texts if re.search(named, path.read_text())] == []


def test_a_repository_of_its_own_begins_with_one_commit_and_a_workflow(own):
    out, _ = own
    git = ["git", "-C", str(out)]
    log = subprocess.run([*git, "log", "--oneline"], capture_output=True, text=True, check=True)
    assert log.stdout.count("\n") == 1
    left = subprocess.run([*git, "status", "--short"], capture_output=True, text=True, check=True)
    assert left.stdout == ""
    workflow = yaml.safe_load((out / ".github" / "workflows" / "test.yml").read_text())
    assert workflow["jobs"]["test"]["steps"][-1] == {"run": ".ci/run"}
    assert os.access(out / ".ci" / "run", os.X_OK)


@pytest.mark.slow
@pytest.mark.parametrize("app", KINDS)
def test_the_longest_name_breaks_no_line_in_a_repository_of_its_own(tmp_path, app):
    new_app("warehouse_inventory1", app, tmp_path / "own")
    for words in (["format", "--check"], ["check"]):
        result = python(tmp_path / "own", "ruff", *words, "--no-cache", ".")
        assert result.returncode == 0, result.stdout[-2000:]


@pytest.mark.slow
def test_a_repository_of_its_own_keeps_the_house_rules(own):
    out, _ = own
    for words in (["format", "--check"], ["check"]):
        result = python(out, "ruff", *words, "--no-cache", ".")
        assert result.returncode == 0, result.stdout[-2000:]
    tests = ["tests/test_app_contract.py", "tests/test_architecture.py", "tests/core/ui"]
    result = python(out, "pytest", *tests, "-p", "no:cacheprovider")
    assert result.returncode == 0, result.stdout[-2000:]


@pytest.mark.slow
def test_a_repository_of_its_own_trains(own):
    out, name = own
    # `make setup` installs it; its metadata alone is what a training asks for.
    metadata = "from setuptools import build_meta as b; b.prepare_metadata_for_build_editable('.')"
    subprocess.run([sys.executable, "-c", metadata], cwd=out, capture_output=True, check=True)
    result = python(out, "pytest", f"tests/apps/{name}/test_train.py", "-m", "not slow")
    assert result.returncode == 0, result.stdout[-2000:]


def test_its_tests_of_core_and_data_need_no_app():
    for folder in ("core", "data"):
        for path in (ROOT / "tests" / folder).rglob("*.py"):
            app = r"^\s*(?:from|import) apps\b|\bTINY_|^def test_.*[( ](?:chat|stocks)[,):]"
            assert not re.search(app, path.read_text(), re.MULTILINE), path


def test_it_changes_no_checkout_that_one_is_not_in(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["spare_parts", "--from", "chatbot"])
    assert ended.value.code == 2
    assert "lies outside" in capsys.readouterr().err
    assert not (ROOT / "apps" / "spare_parts").exists()


@pytest.mark.slow
@pytest.mark.parametrize("app", KINDS)
def test_the_tests_of_a_copy_pass(checkout, app):
    root, _ = checkout
    result = python(
        root, "pytest", f"tests/apps/{NAMES[app]}", "-m", "not slow", "-p", "no:cacheprovider"
    )
    assert result.returncode == 0, result.stdout[-2000:]
