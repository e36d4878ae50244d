import base64
import json
import re

import pytest

from apps.gradient_lab import report as report_module


@pytest.mark.slow
def test_the_report_holds_every_plot_and_its_numbers_and_goes_on(tmp_path, command, monkeypatch):
    monkeypatch.setattr(
        report_module, "LENGTHS", {"adding": (10,), "copy": (5,), "temporal_order": (10,)}
    )
    monkeypatch.setattr(report_module, "CELLS", ("rnn", "mingru"))
    monkeypatch.setattr(report_module, "ABLATED", "gru,attention")
    monkeypatch.setattr(report_module, "ABLATION_LENGTH", 10)
    out = tmp_path / "lab" / "report.html"
    words = ["report", "--out", out, "--seeds", 1, "--share", 0.01]
    result = command("gradient-lab", *words, "--json")
    assert result.code == 0, result.err
    page = out.read_text()
    assert "https://" not in re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    numbers = json.loads(out.with_suffix(".json").read_text())
    titles = re.findall(r"<h2>(.*?)</h2>", page)
    assert list(numbers) == titles
    assert len(titles) == 7
    links = re.findall(r"data:application/json;base64,([A-Za-z0-9+/=]+)", page)
    assert [json.loads(base64.b64decode(link)) for link in links] == list(numbers.values())
    done = out.with_suffix(".jsonl").read_text()
    assert command("gradient-lab", *words).code == 0
    assert out.with_suffix(".jsonl").read_text() == done
