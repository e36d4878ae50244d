"""The overview, driven as Streamlit runs it."""

from pathlib import Path

from streamlit.testing.v1 import AppTest

HOME = Path(__file__).parents[2] / "apps" / "home.py"


def test_the_overview_names_all_three_and_leads_to_them(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    page = AppTest.from_file(str(HOME), default_timeout=60).run()
    assert not page.exception
    assert not page.error
    titles = [heading.value for heading in page.subheader]
    assert titles[:3] == ["Customer support", "Price ranges", "Gradient lab"]
    links = [link.proto.page for link in page.get("page_link")]
    assert links[:3] == ["chatbot", "stock", "gradients"]
    assert len(page.get("image")) == len(titles)


def test_it_speaks_korean_where_that_was_chosen(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    page = AppTest.from_file(str(HOME), default_timeout=60)
    page.session_state["language switch"] = "ko"
    page.run()
    assert page.subheader[0].value == "고객 지원"
