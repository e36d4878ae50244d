"""What visitors do, in a real browser against a real server."""

import re
import shutil
from contextlib import closing

import pytest
from playwright.sync_api import expect

from core import jobs
from tests.browser import pictures
from tests.browser.conftest import Server, put_run
from tests.conftest import write_dialogues

PHONE = {"viewport": {"width": 400, "height": 800}}
LONG = 150_000  # milliseconds that a training may take on a busy machine
NOTE_LENGTHS = """
() => {
  window.lengths = {};  // of each reply as it grows, by its place among the messages
  new MutationObserver(() => {
    document.querySelectorAll('[data-testid="stChatMessage"]').forEach((message, place) => {
      const text = message.querySelector('[data-testid="stText"]');
      const length = text ? text.textContent.length : 0;
      const known = window.lengths[place] ??= [];
      if (place % 2 && length && !known.includes(length)) known.push(length);
    });
  }).observe(document.body, {subtree: true, childList: true, characterData: true});
}
"""
PAGES = ("", "chatbot", "stock", "gradients")


def ask(page, text):
    page.get_by_test_id("stChatInputTextArea").fill(text)
    page.keyboard.press("Enter")


def messages(page):
    return page.get_by_test_id("stChatMessage")


def width_of(page):
    """Pixels that the widest part of the page's frame takes."""
    return page.evaluate(
        "Math.max(...[...document.querySelectorAll('html, section, [data-testid=stMain],"
        " [data-testid=stAppScrollToBottomContainer]')].map(part => part.scrollWidth))"
    )


@pytest.mark.slow
def test_first_start_and_training_that_a_closed_page_does_not_stop(serve, visit):
    server = serve()
    page = visit(f"{server.url}/stock")
    page.get_by_role("button", name="Train on the sample").click()
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    expect(page.get_by_role("button", name="Train on the sample")).to_be_hidden()
    page.context.close()
    other = visit(f"{server.url}/stock")  # another visitor sees it run, and can start no second
    expect(other.get_by_role("button", name="Cancel")).to_be_visible()
    expect(other.get_by_text("of 2")).to_be_visible(timeout=LONG)  # Epoch 1 of 2
    expect(other.locator(".js-plotly-plot")).to_be_visible(timeout=LONG)
    expect(other.get_by_text("No advice")).to_be_visible()
    assert jobs.status(server.folder / "runs" / "stock_forecast" / ".job").state == "done"


@pytest.mark.slow
def test_the_chatbots_first_start_ends_with_a_right_answer(serve, visit):
    server = serve()
    page = visit(f"{server.url}/chatbot")
    page.get_by_role("button", name="Train on the sample").click()
    expect(page.get_by_text(re.compile(r"Epoch \d of 4"))).to_be_visible(timeout=LONG)
    expect(page.get_by_test_id("stChatInputTextArea")).to_be_visible(timeout=4 * LONG)
    page.evaluate(NOTE_LENGTHS)
    page.get_by_role("button", name="where is my laptop?").click()
    expect(messages(page)).to_have_count(2)
    expect(messages(page).nth(1)).to_contain_text("A-7522119")
    expect(page.get_by_text("% sure")).to_be_visible()
    for number in (2, 3):
        ask(page, f"where is my laptop? my order number is A-752211{number}")
        expect(messages(page).nth(2 * number - 1)).to_contain_text("% sure")
    # They came in pieces; a busy browser may draw a short reply at once, but not every one.
    assert any(len(grown) > 1 for grown in page.evaluate("Object.values(window.lengths)"))


def test_a_training_can_be_cancelled(serve, visit):
    server = serve()
    page = visit(f"{server.url}/chatbot")
    page.get_by_role("button", name="Train on the sample").click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("cancelled")).to_be_visible()
    expect(page.get_by_role("button", name="Train on the sample")).to_be_visible()
    assert not jobs.is_running(server.folder / "runs" / "chatbot" / ".job")


@pytest.mark.slow
def test_a_reply_can_be_stopped_and_the_page_goes_on(serve, visit, slow_chat, tmp_path):
    put_run(tmp_path / "site", "chatbot", slow_chat.run)
    page = visit(f"{serve().url}/chatbot")
    ask(page, "please tell me all about thing 3")
    expect(messages(page)).to_have_count(2)
    page.get_by_test_id("stChatInputStopButton").click()
    expect(page.get_by_test_id("stChatInputSubmitButton")).to_be_visible()
    page.wait_for_timeout(6_000)  # longer than the whole reply takes
    expect(page.get_by_text("% sure")).to_have_count(0)
    ask(page, "please tell me all about thing 4")
    expect(page.get_by_text("% sure")).to_be_visible()
    expect(page.get_by_text("thing 4").first).to_be_visible()


@pytest.mark.slow
def test_a_reply_that_is_half_shown_can_be_stopped_and_stays(serve, visit, slow_chat, tmp_path):
    put_run(tmp_path / "site", "chatbot", slow_chat.run)
    page = visit(f"{serve().url}/chatbot")
    ask(page, "please tell me all about thing 3")
    reply = messages(page).nth(1).get_by_test_id("stText")
    expect(reply).to_contain_text("word")
    page.get_by_test_id("stChatInputStopButton").click()
    expect(page.get_by_test_id("stChatInputSubmitButton")).to_be_visible()
    shown = reply.inner_text()
    ask(page, "please tell me all about thing 4")
    expect(page.get_by_text("% sure")).to_be_visible()
    expect(page.get_by_text("Stopped", exact=True)).to_have_count(1)
    assert shown in reply.inner_text()
    assert len(reply.inner_text()) < len(messages(page).nth(3).inner_text())


@pytest.mark.slow
def test_a_reply_is_kept_as_far_as_it_got_when_the_language_is_switched(
    serve, visit, slow_chat, tmp_path
):
    put_run(tmp_path / "site", "chatbot", slow_chat.run)
    page = visit(f"{serve().url}/chatbot")
    for number in range(3):
        ask(page, f"please tell me all about thing {number}")
        expect(messages(page).nth(2 * number + 1).get_by_test_id("stText")).to_contain_text("word")
        page.get_by_text(("한국어", "English")[number % 2], exact=True).click()
        expect(page.get_by_text(("중지됨", "Stopped")[number % 2], exact=True)).to_have_count(
            number + 1
        )
        expect(messages(page).nth(2 * number + 1)).to_contain_text("word")


@pytest.mark.slow
def test_a_click_under_an_older_reply_stops_none_that_is_being_written(
    serve, visit, slow_chat, tmp_path
):
    put_run(tmp_path / "site", "chatbot", slow_chat.run)
    page = visit(f"{serve().url}/chatbot")
    ask(page, "please tell me all about thing 1")
    expect(messages(page).nth(1)).to_contain_text("% sure")
    ask(page, "please tell me all about thing 2")
    expect(messages(page).nth(3).get_by_test_id("stText")).to_contain_text("word")
    messages(page).nth(1).get_by_role("button", name="More").click()
    expect(messages(page).nth(3)).to_contain_text("% sure")
    expect(messages(page).nth(1)).to_contain_text("% sure")
    lengths = [len(messages(page).nth(place).inner_text()) for place in (1, 3)]
    assert min(lengths) > 0.9 * max(lengths)  # neither was cut off


def test_a_thumb_is_kept_and_what_is_behind_a_reply_is_shown(site, visit):
    page = visit(f"{site.url}/chatbot")
    ask(page, "where is my lamp, order 402-7781923-1120034")
    expect(messages(page)).to_have_count(2)
    page.get_by_test_id("stFeedbackButton").first.click()
    expect(page.get_by_text("Kept, with personal data masked")).to_be_visible()
    page.get_by_text("What it looked at").click()
    behind = page.locator(".js-plotly-plot").or_(page.get_by_text("there is nothing to show"))
    expect(behind.first).to_be_visible()
    kept = (site.folder / "runs" / "chatbot" / "feedback.jsonl").read_text()
    assert "402-77" not in kept


def test_a_conversation_is_downloaded_with_its_last_reply(site, visit):
    page = visit(f"{site.url}/chatbot")
    ask(page, "where is my lamp")
    expect(page.get_by_test_id("stFeedback")).to_have_count(1)
    with page.expect_download() as coming:
        page.get_by_role("button", name="Download this conversation").click()
    said = coming.value.path().read_text().splitlines()
    assert said[0] == "user: where is my lamp"
    assert said[1].startswith("agent: ")
    ask(page, "where is my chair")  # draws nothing outside the conversation
    expect(messages(page)).to_have_count(4)
    expect(page.get_by_test_id("stChatInputSubmitButton")).to_be_visible()
    with page.expect_download() as coming:
        page.get_by_role("button", name="Download this conversation").click()
    assert coming.value.path().read_text().splitlines()[2] == "user: where is my chair"


def test_an_upload_is_reported_and_the_run_goes_on_learning_from_it(chat, serve, visit, tmp_path):
    put_run(tmp_path / "site", "chatbot", chat.run)
    server = serve()
    page = visit(f"{server.url}/chatbot")
    page.get_by_text("Your data", exact=True).click()
    upload = write_dialogues(tmp_path / "new.jsonl", seed=5, item="parcel")
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(upload)
    expect(page.get_by_text("60 with")).to_be_visible()
    page.get_by_role("button", name="Go on training this run with it").click()
    expect(page.get_by_text("The last retraining was").first).to_be_visible(timeout=LONG)
    assert list((server.folder / "runs" / "chatbot").glob("*retrained/manifest.json"))
    assert not list((server.folder / "runs" / "chatbot" / "uploads").iterdir())


def test_a_corrupt_and_a_far_too_large_upload_give_a_message(site, visit, tmp_path):
    page = visit(f"{site.url}/chatbot")
    page.get_by_text("Your data", exact=True).click()
    dropzone = page.get_by_test_id("stFileUploaderDropzoneInput")
    broken = tmp_path / "broken.jsonl"
    broken.write_bytes(b'{"dialogue_id": 1, "turns"\n')
    dropzone.set_input_files(broken)
    expect(page.get_by_test_id("stAlert")).to_contain_text("your file")
    large = tmp_path / "large.jsonl"
    with large.open("wb") as file:
        file.truncate(200 * 2**20)
    dropzone.set_input_files(large)
    expect(page.get_by_text("File must be 50.0MB or smaller")).to_be_visible()


def test_a_past_day_is_chosen_with_the_slider(site, visit):
    page = visit(f"{site.url}/stock")
    expect(page.locator(".st-key-fan .js-plotly-plot")).to_contain_text("the range of prices ahead")
    thumb = page.get_by_test_id("stSlider").locator("input").first
    thumb.focus()
    for _ in range(3):
        page.keyboard.press("PageDown")
    fan = page.locator(".st-key-fan")
    expect(fan.get_by_text("the range that was forecast on").first).to_be_visible()
    expect(fan.get_by_text("what came").first).to_be_visible()
    page.get_by_test_id("stMultiSelect").locator("input").click()
    page.get_by_role("option", name="GARCH(1,1)-t").click()
    expect(fan.get_by_text("GARCH(1,1)-t, 80 %").first).to_be_visible()


@pytest.mark.slow
def test_the_labs_five_steps(site, visit):
    page = visit(f"{site.url}/gradients")
    told = []
    for step in range(1, 6):
        expect(page.get_by_text(f"{step} of 5:")).to_be_visible()
        page.get_by_role("button", name="Train it", exact=True).click()
        expect(page.get_by_role("button", name="Train it again")).to_be_visible(timeout=LONG)
        told.append(page.get_by_test_id("stAlert").inner_text().split()[0])
        if step < 5:
            page.get_by_role("button", name="Next").click()
    assert told == ["Not", "Not", "Solved", "Solved", "Solved"]
    expect(page.locator(".js-plotly-plot")).to_have_count(4)  # Plotly draws after the words


@pytest.mark.parametrize("name", PAGES)
def test_both_languages_are_spoken(name, site, visit):
    page = visit(f"{site.url}/{name}")
    english = page.locator("h1").inner_text()
    page.get_by_text("한국어", exact=True).click()
    expect(page.locator("h1")).not_to_have_text(english)
    korean = page.locator("h1").inner_text()
    assert any("가" <= letter <= "힣" for letter in korean)
    other = visit(f"{site.url}/{name}", locale="ko-KR")  # as the browser says
    expect(other.locator("h1")).to_have_text(korean)


@pytest.mark.parametrize("name", PAGES)
def test_a_phone_shows_everything_without_scrolling_sideways(name, site, visit):
    page = visit(f"{site.url}/{name}", **PHONE)
    expect(page.locator("h1")).to_be_visible()
    page.wait_for_timeout(1_500)
    assert width_of(page) <= 400


def test_what_a_customer_types_is_text_whatever_it_looks_like(site, visit):
    page = visit(f"{site.url}/chatbot")
    nasty = (
        '<img src="x" onerror="alert(1)"><script>alert(2)</script> [a](http://example.org) **b**'
    )
    ask(page, nasty)
    expect(messages(page)).to_have_count(2)
    assert nasty in messages(page).nth(0).inner_text()
    assert messages(page).nth(0).locator("a, strong, img[src='x'], script").count() == 0
    page.get_by_role("button", name="New conversation").first.click()
    ask(page, "x" * 10_000)
    expect(messages(page)).to_have_count(2)
    assert width_of(page) <= 1280


def test_a_run_deleted_while_open_gives_a_message(chat, serve, visit, tmp_path):
    run = put_run(tmp_path / "site", "chatbot", chat.run)
    page = visit(f"{serve().url}/chatbot")
    ask(page, "where is my lamp")
    expect(messages(page)).to_have_count(2)
    expect(page.get_by_text("% sure")).to_be_visible()
    shutil.rmtree(run)
    ask(page, "where is my lamp")
    expect(page.get_by_text("Nothing is trained yet")).to_be_visible()


@pytest.mark.parametrize(
    ("app", "heading", "part"),
    [
        ("chatbot", "Customer support", "stChatInputTextArea"),
        ("stock_forecast", "Price ranges", "stPlotlyChart"),
        ("gradient_lab", "Gradient lab", "stBaseButton-primary"),
    ],
)
def test_each_front_end_opens_alone(app, heading, part, site, visit):
    words = () if app == "gradient_lab" else (f"--run=runs/{app}/first",)
    with closing(Server(site.folder, (f"apps.{app}", "demo", *words))) as server:
        page = visit(server.url)
        expect(page.locator("h1")).to_have_text(heading)
        expect(page.get_by_test_id(part)).to_be_visible()
        expect(page.get_by_test_id("stSidebarNav")).to_have_count(0)


def test_a_forecast_is_downloaded_as_a_table_and_as_a_picture(site, visit):
    page = visit(f"{site.url}/stock")
    with page.expect_download() as coming:
        page.get_by_role("button", name="Download the forecasts").click()
    lines = coming.value.path().read_text().splitlines()
    assert lines[0].startswith("ticker,as_of,horizon,date,q0.05")
    assert [line.split(",")[2] for line in lines[1:]] == ["1", "5"]
    plot = page.locator(".st-key-fan .js-plotly-plot")
    plot.hover()
    with page.expect_download() as coming:
        plot.locator("[data-title*='png' i]").click()
    assert re.fullmatch(r"A-\d{4}-\d\d-\d\d\.png", coming.value.suggested_filename)
    assert coming.value.path().read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_pictures_of_every_view_are_kept_and_none_shows_an_error(site, chromium):
    kept = pictures.take_all(chromium, site.url, looks=("light",))
    assert {path.stem.rpartition("-")[0] for path in kept} == set(pictures.VIEWS)
    assert all(path.stat().st_size > 10_000 for path in kept)


def test_the_overview_leads_to_each_page(site, visit):
    for number, heading in enumerate(("Customer support", "Price ranges", "Gradient lab")):
        page = visit(site.url)
        page.get_by_test_id("stMain").get_by_role("link", name="Open").nth(number).click()
        expect(page.locator("h1")).to_have_text(heading)
