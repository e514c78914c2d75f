"""Progress with rate and time left: a bar on a terminal, a line now and then in a log file."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

#: Seconds between two lines in a log file.
INTERVAL = 10.0


def progress(
    items: Iterable[T], total: int, doing: str, note: Callable[[], str] = lambda: ""
) -> Iterator[T]:
    """Passes items on and reports on stderr.

    Args:
      items: what is worked on.
      total: how many there are.
      doing: what is done, for people ("compiling").
      note: asked for a few words to add to a line (", 93% accepted").
    """
    if sys.stderr.isatty():
        from tqdm import tqdm

        bar = tqdm(items, total=total, desc=doing, unit="", dynamic_ncols=True)
        for item in bar:
            yield item
            bar.set_postfix_str(note().removeprefix(", "))
        return
    start = reported = time.monotonic()
    done = 0
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - reported >= INTERVAL and done < total:
            rate = done / (now - start)
            left = (total - done) / rate
            _line(f"{doing}: {done:,} of {total:,}, {rate:,.1f}/s, {_duration(left)} left{note()}")
            reported = now
    seconds = time.monotonic() - start
    rate = done / seconds if seconds > 0 else 0.0
    _line(f"{doing}: {done:,} in {_duration(seconds)}, {rate:,.1f}/s{note()}")


def _line(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
