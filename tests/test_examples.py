"""Each example is what `new-app` makes and fewer than 150 changed lines, and it works."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MOST_LINES = 150
NO_BARS = "--trainer.progress=false"
# By example: the app it is made from, what makes a training tiny, the baseline that it has to stand
# beside.
EXAMPLES = {
    "demand": (
        "stock_forecast",
        ["--model.hidden_size=4", "--trainer.max_epochs=1", "--windows.context_length=14"],
        "seasonal",
    ),
    "intent": (
        "chatbot",
        ["--model.hidden_size=16", "--trainer.max_epochs=1"],
        "most_frequent",
    ),
}


def run(folder, *words):
    """What a command prints in a checkout; it reads that checkout's code alone."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*map(str, words)], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{words}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout


def python(folder, *words):
    return run(folder, sys.executable, "-m", *words)


def git(folder, *words):
    return run(folder, "git", "-c", "user.name=test", "-c", "user.email=test@localhost", *words)


def copy_tree(target):
    """The working tree, as a repository of its own."""
    listed = git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target / name)
    # `python -m core.new_app` elsewhere would change the installed checkout.
    assert (target / "core" / "new_app.py").is_file()
    git(target, "init", "-q")


def changed_lines(folder):
    rows = [line.split("\t") for line in git(folder, "diff", "--numstat", "HEAD").splitlines()]
    return sum(int(added) + int(removed) for added, removed, _ in rows)


@pytest.mark.slow
@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="the tree is not a checkout")
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_made_trained_and_scored(name, tmp_path):
    app, tiny, baseline = EXAMPLES[name]
    patch = f"examples/{name}/changes.patch"
    copy_tree(tmp_path)
    told = python(tmp_path, "core.new_app", name, "--from", app)
    assert "  make setup\n" in told  # these tests' environment has another checkout's commands
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "-q", "--no-verify", "-m", "new-app")
    git(tmp_path, "apply", patch)
    git(tmp_path, "add", "--all")
    assert 0 < changed_lines(tmp_path) < MOST_LINES

    python(tmp_path, "ruff", "check", "--no-cache", f"apps/{name}", f"tests/apps/{name}")
    own = re.findall(r"^\+\+\+ b/(tests/\S+)", (ROOT / patch).read_text(), re.MULTILINE)
    python(
        tmp_path,
        "pytest",
        "tests/test_app_contract.py",
        "tests/core/ui/test_texts.py",
        "tests/apps/test_texts.py",
        *own,
    )

    words = ["--config", f"apps/{name}/configs/small.yaml", "--run", "runs/tiny", NO_BARS, *tiny]
    python(tmp_path, f"apps.{name}", "train", *words)
    scores = json.loads(
        python(tmp_path, f"apps.{name}", "evaluate", "--run", "runs/tiny", "--json")
    )
    score = "crps" if name == "demand" else "accuracy"
    assert scores[score]
    assert scores["baselines"][baseline][score]
