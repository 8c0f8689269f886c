"""What a node says while it runs, on standard error: lines for people, or JSON objects."""

from __future__ import annotations

import json
import logging
import sys
from datetime import datetime, timezone
from typing import Any


def told(log: logging.Logger, what: str, level: int = logging.INFO, **fields: Any) -> None:
    """bytes are shown in hex."""
    if log.isEnabledFor(level):
        shown = {name: value.hex() if isinstance(value, bytes) else value for name, value in fields.items()}
        log.log(level, "%s", what, extra={"fields": shown})


def begin(form: str, level: str) -> None:
    """From now on what the engine and the node say is written so. form: "text" or "json"."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if form == "json" else _Text())
    logging.basicConfig(level=getattr(logging, level.upper()), handlers=[handler], force=True)
    logging.captureWarnings(True)


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = getattr(record, "fields", {})
        return json.dumps({"time": _time(record), "level": record.levelname.lower(), "message": record.getMessage(), **fields}, default=str)


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = " ".join(f"{name}={value}" for name, value in getattr(record, "fields", {}).items())
        # What others sent may be in it: one line each.
        said = f"{record.getMessage()} {fields}".rstrip().translate(_ONE_LINE)
        return f"{_time(record)} {record.levelname.lower():<7} {said}"


_ONE_LINE = {number: f"\\x{number:02x}" for number in (*range(32), 127)}


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
