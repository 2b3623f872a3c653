"""Workers for kinds of requests: whoever waits in one lane holds up nobody in another."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable, Mapping
from typing import TypeVar

Result = TypeVar("Result")

#: From the method and the path of a request to the name of its lane.
ChooseLane = Callable[[str, str], str]


class Lanes:
    """A bounded pool of threads for each lane; threads begin when they are needed.

    :param workers: how many each lane has, by name.
    """

    def __init__(self, workers: Mapping[str, int], choose: ChooseLane) -> None:
        self._choose = choose
        self._pools = {
            name: concurrent.futures.ThreadPoolExecutor(count, thread_name_prefix=f"http-{name}")
            for name, count in workers.items()
        }

    def submit(
        self, method: str, path: str, work: Callable[[], Result]
    ) -> concurrent.futures.Future[Result]:
        """Do it as soon as the request's lane has a worker for it."""
        return self._pools[self._choose(method, path)].submit(work)

    def stop(self) -> None:
        """Begin nothing any more."""
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)
