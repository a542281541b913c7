"""Commands beside rows and streams: history that goes, requests, policies, definitions in between.

`support_machine.Machine` takes them in; they have a module of their own for their number alone.
"""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from model_streams import alter_policy
from support_pair import Pair
from support_steps import Step, Within

TABLES = st.sampled_from(["a", "b", "c", "t", "u"])
STREAMS = st.sampled_from(["r", "s"])
KEYS = st.integers(0, 6)
PAST = st.integers(0, 12)
STEPS = st.tuples(
    st.sampled_from(["insert", "create", "drop", "rename", "add_column", "stream"]),
    TABLES,
    TABLES,
)


class Aging(RuleBasedStateMachine):
    """What time does to a store, and what is sent to it as a whole."""

    pair: Pair
    expires = True

    @rule(name=TABLES, version=PAST)
    def expire(self, name: str, version: int) -> None:
        if self.expires:
            self.pair.expire(name, version)

    @rule(
        key=st.sampled_from(["k", "l"]),
        table=TABLES,
        keys=st.lists(KEYS, min_size=1, max_size=2),
        value=KEYS,
    )
    def request(self, key: str, table: str, keys: list[int], value: int) -> None:
        self.pair.request(key, table, keys, value)

    @rule()
    def forget_requests(self) -> None:
        """More than a week goes by."""
        self.pair.clock.now_us += 8 * 86_400_000_000
        self.pair.model.forgotten = len(self.pair.model.commits)

    @rule(name=STREAMS, policy=st.sampled_from(["ALLOW", "WARN", "REQUIRE_REASON", "FORBID"]))
    def alter_policy(self, name: str, policy: str) -> None:
        self.pair.both(
            lambda: alter_policy(self.pair.model, name, policy),
            lambda: self.pair.db.stream(name).alter(policy=policy),
        )

    @rule(steps=st.lists(STEPS, min_size=1, max_size=4), commits=st.booleans())
    def define_within(self, steps: list[Step], *, commits: bool) -> None:
        """One transaction of rows and definitions, kept or taken back as a whole."""
        Within(self.pair).run(steps, commits=commits)
