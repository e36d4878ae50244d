"""The chatbot's page: talk to a run, set it beside what failed before it, give it your own data."""

from functools import partial

from apps.chatbot.pages import opened, own_data, side_by_side, talk
from core.ui.page import show_page
from core.ui.runs import Sample, show_runs

VIEWS = {"talk": talk.show, "side_by_side": side_by_side.show, "own_data": own_data.show}
SAMPLE = Sample("apps.chatbot.train:train", opened.QUICK, "lstm")

show_page("chatbot.title", partial(show_runs, "chatbot", "chatbot", VIEWS, opened.open_run, SAMPLE))
