"""One Streamlit server for the front ends: `make demo`."""

from pathlib import Path

import streamlit as st

HERE = Path(__file__).parent

st.set_page_config(page_title="Recurrent networks at work", layout="wide")
st.navigation(
    [
        st.Page(
            HERE / "chatbot" / "streamlit_app.py", title="Customer support", url_path="chatbot"
        ),
        st.Page(
            HERE / "stock_forecast" / "streamlit_app.py", title="Price ranges", url_path="stock"
        ),
        st.Page(
            HERE / "gradient_lab" / "streamlit_app.py", title="Gradient lab", url_path="gradients"
        ),
    ]
).run()
