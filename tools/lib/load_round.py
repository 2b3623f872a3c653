"""One round: an installation under the mixed load, a third party beside it, an audit at the end."""

from __future__ import annotations

import time

import audit
import counting_party
import processes
from load import Client, Load
from site_processes import Site

END_TIMEOUT = 120.0
PROGRESS_TIMEOUT = 60.0


class Round:
    """Put a site under load as a context; meanwhile the caller makes trouble.

    At the end of the context no more is started; :meth:`finish` waits for what is under way and
    says what is wrong; :meth:`close` ends the third party. The seed decides what is started when.
    """

    def __init__(self, site: Site, seed: int, *, rate: float = 3.0, limit: int = 200) -> None:
        self.site = site
        self.seed = seed
        self.party = counting_party.CountingParty(seed)
        self.party.start()
        self.load = Load(site.urls, self.party, seed, rate=rate, limit=limit)

    def __enter__(self) -> Round:
        self.load.define()
        self.load.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.load.stop()

    def ended(self) -> int:
        """How many executions have ended."""
        return len(self.load.ledger.acknowledged()) - len(self.load.ledger.open())

    def wait_progress(self, count: int = 3, timeout: float = PROGRESS_TIMEOUT) -> None:
        """Until so many more executions have ended."""
        before = self.ended()
        processes.wait_until(
            lambda: self.ended() >= before + count, f"{count} more executions end", timeout
        )

    def wait_progress_for(self, seconds: float, timeout: float = PROGRESS_TIMEOUT) -> None:
        """Until that much time has passed and more executions have ended meanwhile."""
        before, until = self.ended(), time.monotonic() + seconds
        processes.wait_until(
            lambda: time.monotonic() >= until and self.ended() > before,
            f"executions end for {seconds:g} s",
            timeout,
        )

    def finish(self, timeout: float = END_TIMEOUT) -> audit.Finding:
        """Wait until everything has ended, then audit."""
        late = []
        if not self.load.wait_ended(timeout):
            late = [
                f"{start.workflow} {execution_id} has not ended within {timeout:g} s"
                for execution_id, start in self.load.ledger.open().items()
            ]
        if not self.party.callbacks.wait_idle(timeout):
            late.append(f"callbacks were not answered within {timeout:g} s")
        client = Client(self.site.urls, self.load.ledger)
        found = audit.audit(client, self.load.ledger, self.party, self.site.config)
        return audit.Finding(found.counts, [*late, *found.problems])

    def close(self) -> None:
        """End the third party."""
        self.party.close()
