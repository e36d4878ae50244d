"""A progress bar on standard error for anything that is not a training."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from core.logs import shows_bars


@contextmanager
def progress(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show a bar while the block runs.

    Args:
        what: What is counted.
        total: How many there are; None where nobody knows yet.

    Yields:
        A function that takes the number done since its last call.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), disable=not shows_bars()) as bar:
        task = bar.add_task(what, total=total)
        try:
            yield lambda count: bar.advance(task, count)
        except BaseException:
            # An error is told in one line, without the bar before it.
            bar.live.transient = True
            bar.live.stop()
            bar.disable = True
            raise
