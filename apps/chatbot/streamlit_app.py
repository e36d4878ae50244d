"""The chatbot's page: talk to a run, see how sure it is and what it looked at."""

import sys
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from apps.chatbot.answers import Answers
from core.plots import style
from core.runs import champion
from data.dialogues import Turn

EXAMPLES = (
    "where is my laptop? my order number is A-7522119",
    "how do I return my tent, it is too small, order SO89873736",
    "do you ship a backpack to Norway",
)


@st.cache_resource(max_entries=2)
def load(path: str, changed: float) -> Answers:
    """Open a run once for all visitors."""
    return Answers(Path(path), num_similar=3)


def heat_map(result: dict[str, Any]) -> go.Figure:
    """Attention of each word of the reply over the question."""
    figure = go.Figure(
        go.Heatmap(
            z=[item["weights"] for item in result["attention"]],
            x=[f"{number} {token}" for number, token in enumerate(result["source_tokens"])],
            y=[f"{number} {item['token']}" for number, item in enumerate(result["attention"])],
            colorscale="Blues",
            colorbar={"title": "weight"},
        )
    )
    figure.update_yaxes(autorange="reversed")
    figure.update_layout(height=max(300, 22 * len(result["attention"]) + 150))
    return style(figure, "What each word of the reply looked at", "question", "reply")


def main() -> None:
    """The page."""
    st.title("Customer support")
    path = champion("chatbot", Path(sys.argv[1]) if len(sys.argv) > 1 else None)
    if not (path / "manifest.json").exists():
        st.info("There is no trained chatbot yet. Run `make run` (about 5 minutes), then reload.")
        return
    try:
        answers = load(str(path.resolve()), (path / "manifest.json").stat().st_mtime)
    except (OSError, ValueError) as error:
        st.error(f"This run cannot be used: {error}")
        return
    st.caption(f"Run {path.resolve().name} answers. It can be wrong.")
    turns: list[Turn] = st.session_state.setdefault("turns", [])
    message = st.chat_input("Write what a customer would write")
    for example in EXAMPLES:
        if st.button(example):
            message = example
    if st.button("New conversation"):
        turns.clear()
        st.session_state.pop("last", None)
    if message and message.strip():
        turns.append(Turn("user", message))
        st.session_state["last"] = answers(turns)
        turns.append(Turn("agent", st.session_state["last"]["text"]))
    for turn in turns:
        with st.chat_message("user" if turn.speaker == "user" else "assistant"):
            st.text(turn.text)
    if last := st.session_state.get("last"):
        columns = st.columns(3)
        columns[0].metric("confidence", f"{last['confidence']:.2f}")
        columns[1].metric("hand over to a colleague", "yes" if last["handoff"] else "no")
        columns[2].metric("time", f"{last['latency_ms']:.0f} ms")
        if last["handoff"]:
            transcript = last["transcript"]["text"]
            st.download_button("Transcript for the colleague", transcript, "transcript.txt")
        if last["similar"]:
            with st.expander("Similar past conversations (masked)"):
                st.dataframe(last["similar"], hide_index=True)
        if last["attention"] and last["fallback"] is None:
            st.plotly_chart(heat_map(last))


main()
