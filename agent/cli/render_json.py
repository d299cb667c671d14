"""A running deployment as JSON lines, for machines: docs/agentctl.md lists the objects."""

import dataclasses
import json
import re
import time
from typing import TextIO

from agent.cli.figures import iso_time
from agent.cli.output import Output
from agent.cli.render import Closing, Opening
from agent.core.layout import DeploymentDir
from agent.core.progress import BytesDone, EventStarted, Progress, ScriptOutput
from agent.errors import AgentError

BYTES_EVERY_S = 0.5


class JsonRenderer:
    """One object a line: `deployment-started`, then what happens, `deployment-ended` last."""

    def __init__(self, stream: TextIO) -> None:
        self._output = Output(stream)
        self._event = ""
        self._next_bytes = 0.0

    def begin(self, opening: Opening) -> None:
        deployment = opening.deployment
        self._write(
            "deployment-started",
            {
                "deployment_id": deployment.deployment_id,
                "deployment_group": deployment.group_id,
                "application": deployment.application,
                "folder": str(opening.folder.path),
                "script_log": str(opening.folder.script_log),
                "events": list(opening.events),
            },
        )
        self._output.flush()

    def listen(self, progress: Progress) -> None:
        if isinstance(progress, BytesDone) and not self._is_due(progress):
            return
        if isinstance(progress, EventStarted):
            self._event = progress.event
        fields: dict[str, object] = {
            field.name: getattr(progress, field.name) for field in dataclasses.fields(progress)
        }
        if isinstance(progress, (BytesDone, ScriptOutput)):
            fields = {"event": self._event, **fields}
        self._write(_type_name(type(progress).__name__), fields)

    def end(self, closing: Closing) -> None:
        result = closing.result
        self._write(
            "deployment-ended",
            {
                "deployment_id": result.folder.name,
                "state": result.state,
                "duration_s": round(closing.duration_s, 3),
                "failed_event": result.failed_event,
                "code": int(result.code),
                "message": result.message,
                "hint": result.hint,
                "script": result.script,
                "script_path": None if closing.script is None else str(closing.script),
                "folder": str(result.folder),
                "script_log": str(DeploymentDir(result.folder).script_log),
            },
        )

    def close(self) -> None:
        self._output.close()

    def _is_due(self, progress: BytesDone) -> bool:
        now = time.monotonic()
        if now < self._next_bytes and progress.done != progress.total:
            return False
        self._next_bytes = now + BYTES_EVERY_S
        return True

    def _write(self, kind: str, fields: dict[str, object]) -> None:
        self._output.line(json.dumps({"type": kind, "at": iso_time(time.time()), **fields}))


def error_object(exc: AgentError) -> dict[str, object]:
    """Return what `--json` says of a command that could not begin."""
    return {"type": "error", "message": exc.message, "hint": exc.hint, "exit_status": exc.exit_status}


def _type_name(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower()
