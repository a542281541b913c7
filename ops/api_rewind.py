"""Moves of watermarks by hand, as a Python user plans and carries them out."""

from typing import TYPE_CHECKING

from headwater.consumers.execute import carry_out
from headwater.consumers.rewind_plan import RewindPlan
from headwater.log_store.records import Committed

if TYPE_CHECKING:
    from headwater.ops.session import Session


class Plan:
    """What a rewind, advance or undo would do; nothing is done before `execute`.

    `str(plan)` tells it in words; `details` holds every field: moves, changes and bytes to be read
    again, rows a replay would write twice, what a restore takes back, whom that reaches downstream,
    what stands in its way.
    """

    def __init__(self, session: "Session", details: RewindPlan) -> None:
        self._session, self.details = session, details

    def __str__(self) -> str:
        return str(self.details)

    def __repr__(self) -> str:
        return f"Plan({self.details.kind}, {len(self.details.moves)} moves)"

    @property
    def changes(self) -> int:
        """Captured changes that will be read again, or skipped."""
        return self.details.changes

    @property
    def duplicates(self) -> dict[str, int]:
        """Rows that the replay would write a second time, by table; empty for a restore."""
        return self.details.duplicates

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to think of before executing."""
        return self.details.warnings

    @property
    def refusals(self) -> tuple[str, ...]:
        """Why it cannot be executed; empty if it can."""
        return tuple(str(refusal) for refusal in self.details.refusals)

    @property
    def nothing(self) -> str:
        """Why there is nothing to do; empty if there is."""
        return self.details.nothing

    def execute(self) -> Committed | None:
        """Do what the plan says, in one commit, on record; None when there was nothing to do.

        Raises:
            PlanOutdated: something moved since it was planned. Nothing was changed; plan again.
            RewindRefused, PolicyForbids, ReasonRequired: nothing was changed.
        """
        return carry_out(self._session.begin, self.details)
