"""A clock that tests own."""


class Clock:
    """Microseconds since 1970: a second further at each call, or wherever it is set."""

    def __init__(self, now_us: int = 1_760_000_000_000_000, step_us: int = 1_000_000) -> None:
        self.now_us, self.step_us = now_us, step_us

    def __call__(self) -> int:
        self.now_us += self.step_us
        return self.now_us
