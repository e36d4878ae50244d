"""The gradient lab's commands."""

from core.cli import run as run_command

HERE = "apps.gradient_lab"
VERBS = {
    "show": (f"{HERE}.show:show", "one small experiment and one figure for each topic"),
    "gradients": (f"{HERE}.gradients:gradients", "gradient by lag, before and after training"),
    "memory": (f"{HERE}.memory:memory", "which cell remembers how far: score against length"),
    "ablate": (f"{HERE}.ablate:ablate", "each remedy alone on a vanilla RNN: which one mattered"),
    "report": (f"{HERE}.report:report", "all of it in one HTML file, in about 35 minutes"),
    "demo": (f"{HERE}.__main__:demo", "open the lab in the browser"),
}

PRELOAD = (
    "apps.gradient_lab.live",
    "apps.gradient_lab.plots",
)  # what the page needs, and takes seconds


def main() -> None:
    """Entry point of the console script `gradient-lab`."""
    run_command("gradient-lab", "Shows why an RNN stops learning, and what helps.", VERBS)


def demo(port: int = 8501, host: str = "localhost") -> None:
    """Serve the page until Ctrl-C.

    Args:
        port: Where the page listens, 1024 to 65535.
        host: Address to listen on; the default is reached from this machine alone.
    """
    from pathlib import Path

    from core.demo import open_page

    page = Path(__file__).with_name("streamlit_app.py")
    open_page(page, port, host=host, preload=PRELOAD)


if __name__ == "__main__":
    main()
