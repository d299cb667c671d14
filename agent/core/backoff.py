"""How long to wait before trying again. Pure: chance arrives as a number, waiting is the caller's."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class BackOff:
    """`tries` counts the first one. `longest_asked_s` bounds what a server may ask us to wait (Retry-After)."""

    first_s: float = 0.5
    factor: float = 2.0
    ceiling_s: float = 20.0
    tries: int = 6
    longest_asked_s: float = 120.0

    def delay_s(self, failures: int, jitter: float, asked_s: float | None = None) -> float | None:
        """Return how long to wait after the `failures`-th failure in a row, None to give up.

        `jitter` lies in [0, 1) and spreads the wait over the upper half of the step, so that a fleet does not come
        back in step. A server that asks for longer gets its wish, and is given up on if it asks too much.
        """
        assert failures >= 1
        if failures >= self.tries or (asked_s is not None and asked_s > self.longest_asked_s):
            return None
        own = self._step_s(failures) * (0.5 + jitter / 2)
        return own if asked_s is None else max(own, asked_s)

    def _step_s(self, failures: int) -> float:
        step = self.first_s
        for _ in range(failures - 1):
            if step >= self.ceiling_s:
                break
            step *= self.factor
        return min(step, self.ceiling_s)
