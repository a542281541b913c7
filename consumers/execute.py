"""Carrying out a plan: refused where anything it relied on has moved, audited either way."""

import json
from collections.abc import Callable

from headwater.consumers.errors import PlanOutdated, PolicyForbids, ReasonRequired
from headwater.consumers.group_consumers import active, moved_groups, write_groups
from headwater.consumers.group_notes import note_of
from headwater.consumers.restore import put_back
from headwater.consumers.rewind_plan import PlannedMove, RewindPlan, outdated
from headwater.log_store.catalog import ConsumerKind, RewindPolicy
from headwater.log_store.errors import GroupActive, WriteConflict
from headwater.log_store.records import Committed, Move
from headwater.producer.transaction import Transaction


def execute(tx: Transaction, plan: RewindPlan) -> None:
    """Stage a plan in a transaction; a plan with nothing to do stages nothing.

    Raises:
        PlanOutdated: something it relied on has moved. Nothing is staged.
        RewindRefused: the first of its refusals. Nothing is staged.
        PolicyForbids, ReasonRequired: the stream's policy. Nothing is staged; see `carry_out`.
    """
    if plan.nothing:
        return
    if plan.refusals:
        raise plan.refusals[0]
    _check_policy(plan)
    if what := outdated(plan, tx.view) or _moved_here(tx, plan):
        raise PlanOutdated(what)
    for kind, object_id in plan.preconditions.definitions:
        tx.depend_on(kind, object_id)
    for target in plan.targets:
        if target.back_to is not None:
            put_back(tx, target)
    for move in plan.moves:
        _stage(tx, plan, move)
    tx.stage_audit(plan.kind, _detail(plan))
    _move_groups(tx, plan)


def _move_groups(tx: Transaction, plan: RewindPlan) -> None:
    """The last step: nothing of the statement can fail once groups are moved."""
    moves = moved_groups(plan)
    try:
        write_groups(tx, moves)
    except GroupActive as error:
        consumer = next(one for one, _ in moves if one.group == error.group)
        raise active(consumer, error) from error


def carry_out(begin: Callable[[], Transaction], plan: RewindPlan) -> Committed | None:
    """Execute a plan in a commit of its own; None when there was nothing to do.

    What the stream's policy refuses is audited in a commit of its own.

    Raises:
        PlanOutdated: something it relied on has moved, also while this ran. Nothing was changed.
        RewindRefused, PolicyForbids, ReasonRequired: nothing was changed.
    """
    if plan.nothing:
        return None
    tx = begin()
    try:
        with tx.statement(str(plan).splitlines()[0]):
            execute(tx, plan)
        return tx.commit()
    except (PolicyForbids, ReasonRequired) as refused:
        audit_refusal(begin, plan, refused.code)
        raise
    except WriteConflict as conflict:
        raise PlanOutdated(str(conflict)) from conflict
    finally:
        tx.rollback()


def _check_policy(plan: RewindPlan) -> None:
    if plan.kind not in ("rewind", "restore"):
        return
    if plan.stream.policy is RewindPolicy.FORBID:
        raise PolicyForbids(plan.stream.name)
    if plan.stream.policy is RewindPolicy.REQUIRE_REASON and not plan.reason.strip():
        raise ReasonRequired(plan.stream.name)


def _moved_here(tx: Transaction, plan: RewindPlan) -> str:
    """What this very transaction has moved that the plan is about."""
    written = set(tx.written_tables())
    for target in plan.targets:
        if target.back_to is not None and target.table in written:
            return f"this transaction has changed table {target.name}"
    moved = {move.consumer for move in tx.moves}
    for planned in plan.moves:
        if planned.consumer.id in moved:
            return f"this transaction has moved the watermark of {planned.name}"
    return ""


def _stage(tx: Transaction, plan: RewindPlan, planned: PlannedMove) -> None:
    """The moves of one watermark; a SHARED one has a further one for each table put back."""
    consumer, note = planned.consumer, _note(plan)
    if consumer.reader is ConsumerKind.GROUP and (groups := tx.log.groups) is not None:
        table = tx.catalog.stream(consumer.stream).table
        note |= note_of(groups.offset(table, planned.end))
    # A plain rewind lets the watermark and its table part: it marks no boundary.
    targets = [None if plan.kind == "rewind" else consumer.target]
    if consumer.reader is ConsumerKind.SHARED:
        targets = [one.table for one in plan.targets if one.back_to is not None] or [None]
    why = plan.kind
    start = planned.start
    for target in targets:
        tx.stage_move(
            Move(consumer.id, start, planned.end, why, target, reason=plan.reason, note=note)
        )
        start = planned.end


def _note(plan: RewindPlan) -> dict[str, str | int]:
    note: dict[str, str | int] = {}
    if plan.undoes:
        note["undoes"] = plan.undoes
    if plan.others:
        note["discarded"] = len(plan.others)
    return note


def _detail(plan: RewindPlan) -> str:
    detail = {
        "stream": plan.stream.name,
        "stream_id": plan.stream.id,
        "moves": [
            {"consumer": one.name, "stream": one.stream, "from": one.start, "to": one.end}
            for one in plan.moves
        ],
        "tables": [
            {"table": one.name, "from": one.head, "to": one.back_to}
            for one in plan.targets
            if one.back_to is not None
        ],
        "discarded": [one.commit_id for one in plan.others],
        "undoes": plan.undoes,
        "reason": plan.reason,
    }
    return json.dumps(detail, ensure_ascii=False)


def audit_refusal(begin: Callable[[], Transaction], plan: RewindPlan, code: str) -> None:
    """Put on record, in a commit of its own, that a stream's policy refused a plan."""
    tx = begin()
    try:
        detail = {**json.loads(_detail(plan)), "refused": code}
        tx.stage_audit(f"{plan.kind} refused", json.dumps(detail, ensure_ascii=False))
        tx.commit()
    finally:
        tx.rollback()
