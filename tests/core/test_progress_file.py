from core.progress_file import VARIABLE, callbacks


def test_without_the_variable_nothing_is_written(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert callbacks() == []
