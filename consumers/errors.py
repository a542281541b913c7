"""What streams and their consumers refuse. Nothing was changed when one of these is raised.

ConsumersError
  StreamInvalid         a stream's options contradict each other    mend the statement
  StreamStale           history below the watermark is gone         see the ways out it names
  ConsumerUnknown       the stream has no such consumer             see the listing
  ConsumerTaken         the stream has a consumer of that name      choose another name
  ConsumerRefused       the consumer cannot be used in this way     see the sentence
  SharedRefuses         a SHARED stream has one watermark only      make it INDEPENDENT first
  WatermarksDiffer      one step for consumers that stand apart     consume for each by itself
  CopyFailed            a directory cannot be written into         see the sentence
  DirectoryBusy         another COPY writes into the directory     wait for it
  BoundsInvalid         a bound that bounds nothing                 mend the statement
  BoundsDiffer          two bounds on one stream in a transaction   use one, or two transactions
  PositionUnknown       a text that names no position               write it as the sentence says
  RewindRefused         a rewind that cannot be done; has `reason`  see the sentence
    TargetAboveWatermark  a rewind forward                          use ADVANCE
    TargetBelowWatermark  an advance backward                       use REWIND
  PolicyForbids         the stream's policy is FORBID               alter the policy
  ReasonRequired        the stream's policy is REQUIRE_REASON       give a reason
  PlanOutdated          something moved since the plan was made     plan again
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from headwater.log_store.records import INITIAL


def shown_position(position: int) -> str:
    """A watermark as users read it: INITIAL or v41."""
    return "INITIAL" if position == INITIAL else f"v{position}"


class ConsumersError(Exception):
    """Base of this room's errors. `code` never changes; `retryable` asks for the same call."""

    code: ClassVar[str] = "E_CONSUMERS"
    retryable: ClassVar[bool] = False


class StreamInvalid(ConsumersError):
    """A stream that cannot be made or altered as asked."""

    code = "E_STREAM_INVALID"

    def __init__(self, stream: str, why: str) -> None:
        super().__init__(f"stream {stream}: {why}")
        self.stream, self.why = stream, why


class StreamStale(ConsumersError):
    """A stream whose table is gone, or a consumer that stands below the horizon.

    Nothing is reset by itself: `watermark` is where the consumer still stands, None where the
    stream as a whole cannot be read any more.
    """

    code = "E_STREAM_STALE"

    def __init__(
        self, stream: str, why: str, *, watermark: int | None = None, horizon: int | None = None
    ) -> None:
        way_out = (
            "create a new stream on the table that is there now"
            if watermark is None
            else "ADVANCE it to the horizon or the head, or drop the consumer and start again "
            "from a snapshot"
        )
        super().__init__(f"stream {stream} is stale: {why}; {way_out}")
        self.stream, self.why = stream, why
        self.watermark, self.horizon = watermark, horizon


def below_horizon(stream: str, consumer: str, watermark: int, horizon: int) -> StreamStale:
    """The error for a consumer whose changes are no longer kept."""
    at = shown_position(watermark)
    why = f"consumer {consumer} stands at {at}, full history is kept from v{horizon}"
    return StreamStale(stream, why, watermark=watermark, horizon=horizon)


class ConsumerUnknown(ConsumersError):
    """No registered consumer of the stream has that name."""

    code = "E_CONSUMER_UNKNOWN"

    def __init__(self, stream: str, name: str, known: Sequence[str]) -> None:
        there = f"it has {', '.join(known)}" if known else "it has none yet"
        super().__init__(f"stream {stream} has no consumer {name}: {there}")
        self.stream, self.name, self.known = stream, name, tuple(known)


class ConsumerTaken(ConsumersError):
    """A registered consumer of the stream has that name already."""

    code = "E_CONSUMER_TAKEN"

    def __init__(self, stream: str, name: str) -> None:
        super().__init__(
            f"stream {stream} has a consumer {name}: drop it first, or choose another name"
        )
        self.stream, self.name = stream, name


class ConsumerRefused(ConsumersError):
    """A consumer that cannot be registered or moved in the way asked for."""

    code = "E_CONSUMER_REFUSED"

    def __init__(self, stream: str, name: str, why: str) -> None:
        super().__init__(f"consumer {name} of stream {stream} {why}")
        self.stream, self.name, self.why = stream, name, why


class SharedRefuses(ConsumersError):
    """A SHARED stream has one watermark and no consumers by name."""

    code = "E_STREAM_SHARED"

    def __init__(self, stream: str, what: str) -> None:
        super().__init__(
            f"stream {stream} is SHARED and has one watermark: {what} needs "
            "ALTER STREAM .. SET CONSUMERS = INDEPENDENT"
        )
        self.stream, self.what = stream, what


class WatermarksDiffer(ConsumersError):
    """One step asked for on behalf of consumers that stand at different places."""

    code = "E_WATERMARKS_DIFFER"

    def __init__(self, stream: str, positions: Mapping[str, int]) -> None:
        stand = ", ".join(f"{name} at {shown_position(at)}" for name, at in positions.items())
        super().__init__(
            f"stream {stream}: the consumers stand apart ({stand}): "
            "consume for each by itself, or bring them level first"
        )
        self.stream, self.positions = stream, dict(positions)


class CopyFailed(ConsumersError):
    """A COPY whose file could not be written; what was written of it is gone. Nothing moved."""

    code = "E_COPY"

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"nothing was copied into {path}: {why}")
        self.path, self.why = path, why


class DirectoryBusy(ConsumersError):
    """Another transaction, here or in another process, writes into the directory."""

    code = "E_DIRECTORY_BUSY"
    retryable = True

    def __init__(self, path: str) -> None:
        super().__init__(f"another COPY writes into {path}: run this one again when it has ended")
        self.path = path


class BoundsInvalid(ConsumersError):
    """A bound that could never let a commit through."""

    code = "E_BOUNDS_INVALID"


class BoundsDiffer(ConsumersError):
    """A second bound on a stream that this transaction has bounded otherwise."""

    code = "E_BOUNDS_DIFFER"

    def __init__(self, stream: str, first: str, second: str) -> None:
        super().__init__(
            f"stream {stream} was first read {first} in this transaction and is now read "
            f"{second}: one transaction sees one window"
        )
        self.stream, self.first, self.second = stream, first, second


class PositionUnknown(ConsumersError):
    """A text or value that names no place in a table's history."""

    code = "E_POSITION"

    def __init__(self, text: str, why: str) -> None:
        super().__init__(f"{text!r} names no position: {why}")
        self.text, self.why = text, why


class RewindRefused(ConsumersError):
    """A move of a watermark that cannot be done. `reason` is one word that never changes.

    NOT_FOUND SEVERAL_CONSUMERS BELOW_BASE NO_INITIAL_ROWS ABOVE_WATERMARK BELOW_WATERMARK
    NO_TABLE TARGET_DROPPED TARGET_REPLACED NO_BOUNDARY BELOW_HORIZON TARGET_CHANGED
    NOTHING_TO_UNDO MOVED_SINCE GROUP_ACTIVE
    """

    code = "E_REWIND_REFUSED"

    def __init__(self, reason: str, name: str, why: str) -> None:
        super().__init__(f"{name}: {why}")
        self.reason, self.name, self.why = reason, name, why


class TargetAboveWatermark(RewindRefused):
    """A rewind to a place ahead of the watermark."""

    code = "E_TARGET_ABOVE_WATERMARK"

    def __init__(self, name: str, watermark: int, to: int) -> None:
        super().__init__(
            "ABOVE_WATERMARK",
            name,
            f"{shown_position(to)} is ahead of the watermark {shown_position(watermark)}: "
            "use ADVANCE to skip changes",
        )
        self.watermark, self.to = watermark, to


class TargetBelowWatermark(RewindRefused):
    """An advance to a place behind the watermark."""

    code = "E_TARGET_BELOW_WATERMARK"

    def __init__(self, name: str, watermark: int, to: int) -> None:
        super().__init__(
            "BELOW_WATERMARK",
            name,
            f"{shown_position(to)} is behind the watermark {shown_position(watermark)}: "
            "use REWIND to read changes again",
        )
        self.watermark, self.to = watermark, to


class PolicyForbids(ConsumersError):
    """The stream's policy lets nobody rewind it. The try is audited, nothing else changed."""

    code = "E_REWIND_FORBIDDEN"

    def __init__(self, stream: str) -> None:
        super().__init__(f"stream {stream} is declared REWIND = FORBID: alter the stream first")
        self.stream = stream


class ReasonRequired(ConsumersError):
    """The stream's policy wants a reason. The try is audited, nothing else changed."""

    code = "E_REASON_REQUIRED"

    def __init__(self, stream: str) -> None:
        super().__init__(
            f"stream {stream} is declared REWIND = REQUIRE_REASON: say why with REASON"
        )
        self.stream = stream


class PlanOutdated(ConsumersError):
    """What the plan relied on has moved since it was made: make another."""

    code = "E_PLAN_OUTDATED"

    def __init__(self, what: str) -> None:
        super().__init__(f"the plan is no longer current: {what}; plan again")
        self.what = what
