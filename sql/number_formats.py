"""Numbers as texts by Snowflake's formats: `999,990.00`, `TM9`. Pure."""

import re

from headwater.sql.typed import Typed

_PLAIN = re.compile(r"(FM)?(S)?(\$)?([09,]+)(?:\.([09]+))?", re.IGNORECASE)


def number_text(value: Typed, format_: str) -> str | None:
    """DuckDB's expression that writes a number by a format; None for one that is not supported."""
    if format_.upper() in ("TM", "TM9"):
        return f"CAST({value.sql} AS VARCHAR)"
    found = _PLAIN.fullmatch(format_.strip())
    if found is None:
        return None
    tight, _, dollar, whole, fraction = found.groups()
    places = len(fraction or "")
    comma = "," if "," in whole else ""
    least = len(whole[whole.index("0") :].replace(",", "")) if "0" in whole else 0
    rounded = f"CAST(round(abs(CAST({value.sql} AS DECIMAL(38,{min(places + 2, 18)}))), {places})"
    rounded += f" AS DECIMAL(38,{places}))"
    made = f"format('{{:{comma}.{places}f}}', {rounded})"
    if least > 1:
        made = f"lpad({made}, CAST(greatest(length({made}), {least + (places + 1 if places else 0)}) AS INTEGER), '0')"
    if least == 0:
        made = f"regexp_replace({made}, '^0(\\.|$)', '\\1')"
    sign = f"CASE WHEN {value.sql} < 0 THEN '-' ELSE '{'' if tight else ' '}' END"
    text = f"({sign} || '{dollar or ''}' || {made})"
    if tight:
        return text
    width = len(whole) + (places + 1 if places else 0) + 1 + len(dollar or "")
    return f"lpad({text}, CAST(greatest(length({text}), {width}) AS INTEGER), ' ')"
