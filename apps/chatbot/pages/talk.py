"""Talking to a run: several conversations, streamed replies, and what is behind each of them."""

import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from apps.chatbot.feedback import FILE, Rating, keep_feedback
from apps.chatbot.pages.opened import Opened, open_run
from core.plots import style
from core.ui.page import show_error, show_figure
from core.ui.texts import literally, t
from data.dialogues import Turn

EXAMPLES = (
    "where is my laptop? my order number is A-7522119",
    "how do I return my tent, it is too small, order SO89873736",
    "do you ship a backpack to Norway",
)
TITLE_LETTERS = 40
HEIGHT = 480  # pixels of what was said: the place to write stays in sight below it
DRAW_EVERY = 0.1  # seconds: each drawing costs browser and server more than a token does


@dataclass
class Conversation:
    """What was said, and what stood behind each reply.

    Attributes:
        title: Its first words, as the list shows them now.
        key: Unique in the session.
        turns: The user's and the agent's.
        results: By the reply's place in `turns`, with the keys of `reply --json`; a reply that was
            stopped has none.
        lock: Held while it is drawn or goes on. Whatever a visitor clicks while a reply is written
            ends that script and starts another one at once, which must see what was said until
            then.
    """

    title: str = ""
    key: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    turns: list[Turn] = field(default_factory=list)
    results: dict[int, dict[str, Any]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def text(self) -> str:
        """All that was said, for a file."""
        return "".join(f"{turn.speaker}: {turn.text}\n" for turn in self.turns)


def show(run: Opened) -> None:
    """The view."""
    conversation = _choose_conversation()
    st.caption(t("chatbot.can_be_wrong"))
    _talk(run, conversation)


def _choose_conversation() -> Conversation:
    """The list in the sidebar; gives the conversation that goes on.

    A message draws the conversation alone: the open one gets its title once another is chosen.
    """
    if "conversations" not in st.session_state:
        st.session_state["conversations"] = [Conversation()]
        st.session_state["conversation"] = 0
    every: list[Conversation] = st.session_state["conversations"]
    with st.sidebar:
        if st.button(t("chatbot.new_conversation"), icon=":material/add:"):
            empty = [number for number, one in enumerate(every) if not one.turns]
            if not empty:
                every.append(Conversation())
            st.session_state["conversation"] = empty[0] if empty else len(every) - 1
        for one in every:
            one.title = _title(one.turns[0].text if one.turns else "")
        number = st.radio(
            t("chatbot.conversations"),
            range(len(every)),
            index=st.session_state["conversation"],
            format_func=lambda number: every[number].title,
        )
        st.session_state["conversation"] = number
        chosen = every[number]
        st.download_button(
            t("chatbot.download"),
            lambda: chosen.text,  # as it is when the button is pressed
            "conversation.txt",
            icon=":material/download:",
            on_click="ignore",
        )
    return chosen


@st.fragment
def _talk(run: Opened, conversation: Conversation) -> None:
    """What was said, and the place to write.

    A fragment: a message draws nothing else of the page again, which is what lets twenty visitors
    share two cores.
    """
    try:
        run = open_run(run.path, run.runs)  # it may have been written again, or be gone
    except (OSError, ValueError):
        st.rerun()  # the page tells
    place = st.container(height=HEIGHT, key="talk")
    written = st.chat_input(t("chatbot.write"), submit_mode="stop")
    message = st.session_state.pop("asked", None) or written or ""
    with place, conversation.lock:
        if message.strip():
            conversation.turns.append(Turn("user", message))
        if not conversation.turns:
            for example in EXAMPLES:
                st.button(example, on_click=_ask, args=(example,))
        last = len(conversation.turns) - 1
        for number, turn in enumerate(conversation.turns):
            _show_turn(run, conversation, number, turn, is_last=number == last)
        if conversation.turns and conversation.turns[-1].speaker == "user":
            _answer(run, conversation)


def _ask(example: str) -> None:
    st.session_state["asked"] = example


def _title(text: str) -> str:
    """The first words of a message as a label shows them: nothing that Markdown would read."""
    words = " ".join(text.split()) or t("chatbot.empty")
    return literally(words if len(words) <= TITLE_LETTERS else words[:TITLE_LETTERS] + "…")


def _show_turn(
    run: Opened, conversation: Conversation, number: int, turn: Turn, is_last: bool
) -> None:
    with st.chat_message("user" if turn.speaker == "user" else "assistant"):
        st.text(turn.text)
        result = conversation.results.get(number)
        if turn.speaker == "agent" and result is None:
            st.caption(t("chatbot.stopped"))
        elif result is not None:
            _behind(run, conversation, number, is_last)


def _answer(run: Opened, conversation: Conversation) -> None:
    """Stream the reply; what was said until the stop button was pressed stays."""
    said, result, drawn = "", None, 0.0
    with st.chat_message("assistant"):
        place = st.empty()
        try:
            with run.lock:
                for piece in run.answers.stream(conversation.turns):
                    if isinstance(piece, dict):
                        result = piece
                        continue
                    said += piece
                    if time.monotonic() - drawn >= DRAW_EVERY:
                        place.text(said)
                        drawn = time.monotonic()
        except (ValueError, OSError) as error:
            conversation.turns.pop()
            show_error(error)
            return
        finally:
            # The stop button ends this script where it stands.
            if result is not None:
                said = result["text"]
            if said:
                conversation.turns.append(Turn("agent", said))
            elif conversation.turns and conversation.turns[-1].speaker == "user":
                conversation.turns.pop()
            if said and result is not None:
                conversation.results[len(conversation.turns) - 1] = result
        place.text(said)
        _behind(run, conversation, len(conversation.turns) - 1, is_last=True)


@st.fragment
def _behind(run: Opened, conversation: Conversation, number: int, is_last: bool) -> None:
    """How sure a reply is and what it looked at, and the visitor's thumb.

    A fragment: a click here draws nothing else again, and stops no reply that is being written.
    An older reply that was not handed over shows all this once it is asked to.
    """
    result = conversation.results[number]
    key = f"{conversation.key} {number}"
    is_handed_over = result["fallback"] is not None
    if not (is_last or is_handed_over or f"opened {key}" in st.session_state):
        st.button(
            t("chatbot.more"), key=f"more {key}", type="tertiary", on_click=_open, args=(key,)
        )
        return
    sure = t("chatbot.sure", percent=f"{100 * result['confidence']:.0f}")
    seconds = t("chatbot.took", milliseconds=f"{result['latency_ms']:.0f}")
    if not is_handed_over:
        st.caption(f"{sure} · {seconds}")
    else:
        st.warning(t(f"chatbot.fallback_{result['fallback']}") + f" {sure}")
    if result["handoff"] and "transcript" in result:
        st.download_button(
            t("chatbot.transcript"),
            result["transcript"]["text"],
            "transcript.txt",
            key=f"transcript {key}",
            on_click="ignore",
        )
    with st.container(horizontal=True, vertical_alignment="center"):
        st.feedback(
            "thumbs",
            key=f"thumb {key}",
            disabled=f"rated {key}" in st.session_state,
            on_change=_rate,
            args=(run, conversation, number),
        )
        looks = st.button(t("chatbot.look_behind"), key=f"behind {key}", type="tertiary")
    _after_thumb(run, conversation, number)
    if looks:
        st.dialog(t("chatbot.look_behind"), width="large")(_details)(result, key)


def _open(key: str) -> None:
    st.session_state[f"opened {key}"] = True


def _rate(run: Opened, conversation: Conversation, number: int) -> None:
    """Keep a thumb, once: the file is only ever added to, so it could not be taken back."""
    key = f"{conversation.key} {number}"
    thumb = st.session_state.get(f"thumb {key}")
    if thumb is None or f"rated {key}" in st.session_state:
        return
    rating: Rating = "up" if thumb == 1 else "down"
    if _keep(run, conversation, number, rating):
        st.session_state[f"rated {key}"] = rating


def _correct(run: Opened, conversation: Conversation, number: int) -> None:
    """Keep what a disliked reply should have said, once."""
    key = f"{conversation.key} {number}"
    correction = st.session_state.get(f"correction {key}", "").strip()
    if correction and _keep(run, conversation, number, "down", correction):
        st.session_state[f"corrected {key}"] = True


def _keep(
    run: Opened, conversation: Conversation, number: int, rating: Rating, correction: str = ""
) -> bool:
    """Add to the file of ratings; where it cannot be written, the page says so."""
    message, reply = (conversation.turns[place].text for place in (number - 1, number))
    try:
        keep_feedback(run.runs / FILE, message, reply, rating, correction)
    except (OSError, ValueError) as error:
        st.session_state[f"not kept {conversation.key} {number}"] = error
        return False
    return True


def _after_thumb(run: Opened, conversation: Conversation, number: int) -> None:
    """What became of a thumb, and a place for what a disliked reply should have said."""
    key = f"{conversation.key} {number}"
    if (error := st.session_state.pop(f"not kept {key}", None)) is not None:
        show_error(error)
    rating = st.session_state.get(f"rated {key}")
    if rating is None:
        return
    if rating == "down":
        st.text_input(
            t("chatbot.correction"),
            key=f"correction {key}",
            max_chars=2000,
            disabled=f"corrected {key}" in st.session_state,
            on_change=_correct,
            args=(run, conversation, number),
        )
    st.caption(t("chatbot.kept"))


def _details(result: dict[str, Any], key: str) -> None:
    """The attention over the question, and similar past conversations."""
    if result["attention"] and result["fallback"] is None:
        show_figure(heat_map(result), f"attention {key}")
    else:
        st.caption(t("chatbot.no_attention"))
    if result["similar"]:
        st.caption(t("chatbot.similar"))
        st.dataframe(
            [
                {
                    t("chatbot.column_similarity"): round(item["similarity"], 2),
                    t("chatbot.column_question"): item["question"],
                    t("chatbot.column_reply"): item["reply"],
                }
                for item in result["similar"]
            ],
            hide_index=True,
        )


def heat_map(result: dict[str, Any]) -> go.Figure:
    """Attention of each token of the reply over those of the question."""
    figure = go.Figure(
        go.Heatmap(
            z=[item["weights"] for item in result["attention"]],
            x=[f"{number} {token}" for number, token in enumerate(result["source_tokens"])],
            y=[f"{number} {item['token']}" for number, item in enumerate(result["attention"])],
            colorscale="Cividis",
            colorbar={"title": t("chatbot.weight")},
        )
    )
    figure.update_yaxes(autorange="reversed")
    height = max(300, 22 * len(result["attention"]) + 150)
    style(figure, t("chatbot.looked_at"), t("chatbot.question"), t("chatbot.reply"))
    return figure.update_layout(height=height)
