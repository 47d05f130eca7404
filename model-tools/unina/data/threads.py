"""Work on many pictures at once: OpenCV decodes and encodes outside Python's lock, so threads are enough."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """The results in the order of the items; what has not begun when one fails (or the user stops) is never begun."""
    pool = ThreadPoolExecutor()
    try:
        yield from pool.map(work, items)
    finally:
        pool.shutdown(cancel_futures=True)
