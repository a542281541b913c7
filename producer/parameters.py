"""A store's parameters as statements of a transaction: set, unset, read.

They land with the commit. Two transactions that set one parameter conflict, one that merely reads
it does not.
"""

import json
from dataclasses import replace

from headwater.log_store.catalog import CatalogEvent, Setting
from headwater.log_store.parameters import PARAMETERS, Parameter, checked, setting_of, value_of
from headwater.producer.errors import NotFound, ParameterInvalid
from headwater.producer.transaction import Transaction


def find_parameter(name: str) -> Parameter:
    """The parameter of that name, in any case.

    Raises:
        NotFound: there is none.
    """
    found = PARAMETERS.get(name.strip().upper())
    if found is None:
        raise NotFound("parameter", name, f"there are {', '.join(PARAMETERS)}")
    return found


def read_parameter(tx: Transaction, name: str) -> str:
    """What a parameter is, for this transaction; empty for no limit.

    Raises:
        NotFound: there is no such parameter.
    """
    return value_of(tx.catalog, find_parameter(name))


def set_parameter(tx: Transaction, name: str, value: str | int | bool) -> str:
    """Set a parameter for the whole store; returns the value as it is kept.

    Raises:
        NotFound: there is no such parameter. ParameterInvalid: it cannot be that. Nothing is
            staged.
    """
    parameter = find_parameter(name)
    try:
        text = checked(parameter, value)
    except ValueError as error:
        raise ParameterInvalid(parameter.name, str(value), str(error)) from error
    _stage(tx, parameter, text)
    return text


def unset_parameter(tx: Transaction, name: str) -> str:
    """Let a parameter stand at its default again, which is returned.

    Raises:
        NotFound: there is no such parameter. Nothing is staged.
    """
    parameter = find_parameter(name)
    if setting_of(tx.catalog, parameter) is not None:
        _stage(tx, parameter, None)
    return parameter.default


def _stage(tx: Transaction, parameter: Parameter, value: str | None) -> None:
    old = setting_of(tx.catalog, parameter)
    new = (
        Setting(id=tx.log.reserve_object_ids(1), name=parameter.name, value=value)
        if old is None
        else replace(old, value=value)
    )
    tx.stage_catalog(CatalogEvent(new))
    detail = {"name": parameter.name, "value": parameter.default if value is None else value}
    what = "unset parameter" if value is None else "set parameter"
    tx.stage_audit(what, json.dumps(detail, ensure_ascii=False))
