"""The process that holds the directory: the feed and the three consumers, until it is killed.

It goes on where the store stands, and says so on stdout, one JSON document a line:

    {"said": "ready", "version": 0, "commits": 17333}   the store is open; so many refreshes in all
    {"said": "again", "version": 0, "sent": 0}          refreshes sent a second time
    {"said": "committed", "version": 1}                 a refresh, once it is durable
    {"said": "month", "version": .., ..}                figures, at the end of each month
    {"said": "done", "version": 17333}
"""

import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import headwater
from examples.flights import board, consumers, figures, raw, timeline
from examples.flights.consumers import Rollout
from examples.flights.timeline import Timeline

# How many of the refreshes that the store holds are sent again by a feed that starts anew: it
# cannot know which of its last ones were committed.
SENT_AGAIN: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What to replay, and where. `source` is None for the package's own file.

    With `brokers` the store is the prefix there and `directory` holds its replica.
    """

    directory: Path
    outbox: Path
    schemas: Path
    brokers: str
    prefix: str
    source: Path | None
    minutes: int
    faulty_from_us: int

    def text(self) -> str:
        """The job as the process takes it."""
        return json.dumps(asdict(self), default=str)

    @property
    def target(self) -> str:
        """What `connect` is given."""
        if not self.brokers:
            return str(self.directory)
        return f"kafka://{self.brokers}/{self.prefix}?dir={self.directory}"

    def open(self, clock: board.BoardClock) -> headwater.Database:
        """The store, whose clock stands where the board stands."""
        # One broker will do for a demo: it need not be said that its disk is all there is.
        durability = "os" if self.brokers else None
        return headwater.connect(self.target, clock=clock, durability=durability)

    @staticmethod
    def read(text: str) -> "Job":
        """The job that `text` gave."""
        given = json.loads(text)
        source = given["source"]
        return Job(
            directory=Path(given["directory"]),
            outbox=Path(given["outbox"]),
            schemas=Path(given["schemas"]),
            brokers=given["brokers"],
            prefix=given["prefix"],
            source=None if source is None else Path(source),
            minutes=given["minutes"],
            faulty_from_us=given["faulty_from_us"],
        )


class Holder:
    """The feed and its consumers over one open store."""

    def __init__(self, db: headwater.Database, job: Job, story: Timeline) -> None:
        self._db, self._job, self._story = db, job, story
        self._rollout = Rollout(job.faulty_from_us)

    def run(self, clock: board.BoardClock) -> None:
        """Replay from where the store stands to the end."""
        board.create(self._db)
        board.write_schemas(self._db, self._job.schemas)
        made = board.commits_made(self._db)
        say("ready", version=made, commits=len(self._story))
        again = range(max(made - SENT_AGAIN, 0), made)
        for commit in again:
            board.refresh(self._db, self._story, commit)
        say("again", version=board.commits_made(self._db), sent=len(again))
        if made:
            # Who should have read after the last refresh may have been killed before.
            clock.now_us = int(self._story.times_us[made - 1])
            self._read(made - 1)
        for commit in range(made, len(self._story)):
            clock.now_us = int(self._story.times_us[commit])
            board.refresh(self._db, self._story, commit)
            say("committed", version=board.commits_made(self._db))
            self._read(commit)
        say("done", version=board.commits_made(self._db))

    def _read(self, commit: int) -> None:
        """Let every consumer read whose time has come."""
        times = self._story.times_us
        if consumers.due(times, commit, "notices"):
            consumers.send_notices(self._db, self._job.outbox)
        if consumers.due(times, commit, "delays"):
            consumers.count_delays(self._db, self._rollout.at(int(times[commit])))
        if consumers.due(times, commit, "log"):
            consumers.keep_log(self._db)
        if timeline.month_ends(times, commit):
            say("month", **asdict(figures.progress(self._db)))


def run(job: Job) -> None:
    """Hold the directory until the replay is done."""
    flights = raw.read_flights(job.source)
    story = timeline.build(flights, raw.time_zones(), minutes=job.minutes)
    clock = board.BoardClock(int(story.times_us[0]) - timeline.MINUTE_US)
    consumers.mend_outbox(job.outbox)
    with job.open(clock) as db:
        Holder(db, job, story).run(clock)


def say(said: str, **what: object) -> None:
    """One line to the parent, whole, at once."""
    os.write(1, (json.dumps({"said": said, **what}) + "\n").encode())


if __name__ == "__main__":
    try:
        run(Job.read(sys.argv[1]))
    except raw.BadInput as refused:
        sys.exit(f"{refused}")
