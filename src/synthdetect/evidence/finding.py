"""One thing that a file says of itself, and what all of them come to."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

_MOST_SHOWN = 300


class Says(StrEnum):
    """What a finding claims of the image."""

    synthetic = "made by AI"
    partly = "partly made by AI"
    camera = "taken by a camera"
    software = "went through a program"
    unknown = "says nothing of the making"


@dataclass(frozen=True)
class Finding:
    """One thing that a file says of itself.

    Parameters
    ----------
    kind : str
        `content credentials` (with `unknown signer` or `not valid`), `digital source type`,
        `generator text`, `program` or `camera`.
    where : str
        Where in the file it stands.
    value : str
        What stands there, on one line, shortened.
    says : Says
        What that claims.
    worth : str
        How much to make of it.
    """

    kind: str
    where: str
    value: str
    says: Says
    worth: str

    def __str__(self) -> str:
        return f"{self.kind} ({self.where}): {self.value} -> {self.says.value}. {self.worth}"


@dataclass(frozen=True)
class Evidence:
    """All that a file says of itself.

    Parameters
    ----------
    findings : tuple of Finding
        In the order in which they deserve to be read.
    notes : tuple of str
        What was not looked at, and why.
    """

    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def saying(self, says: Says) -> tuple[Finding, ...]:
        """Return the findings that claim this."""
        return tuple(finding for finding in self.findings if finding.says is says)

    @property
    def summary(self) -> str:
        """The strongest claim in a few words, such as `made by AI (digital source type)`."""
        for says in (Says.synthetic, Says.partly, Says.camera, Says.software):
            if found := self.saying(says):
                return f"{says.value} ({', '.join(dict.fromkeys(f.kind for f in found))})"
        if self.findings:
            return f"present: {'; '.join(dict.fromkeys(f.kind for f in self.findings))}"
        return "none"

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready description."""
        return {**asdict(self), "summary": self.summary}

    def __str__(self) -> str:
        lines = [str(finding) for finding in self.findings]
        nothing = "The file says nothing of its making, which most files do not: no sign either way"
        return "\n".join([*(lines or [nothing]), *self.notes])


def shown(value: object) -> str:
    """Return a value of a stranger's file as a report can hold it: one line, short, printable."""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    text = "".join(char if char.isprintable() else " " for char in text[: 4 * _MOST_SHOWN])
    text = " ".join(text.split())
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."
