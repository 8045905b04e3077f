"""What a caller may catch: one family, `SynthdetectError`, with a few members.

Every message names the thing, says what was wrong with it and what to do.
"""


class SynthdetectError(Exception):
    """Base of every error that synthdetect raises on purpose."""


class ImageError(SynthdetectError, ValueError):
    """An image could not be used.

    Parameters
    ----------
    source : str
        Name of the image: its path, or `image 3` for the fourth of a batch.
    reason : str
        What was wrong and what to do, without the name.

    Attributes
    ----------
    source, reason : str
        As given; the message is `"{source}: {reason}"`.
    """

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(f"{source}: {reason}")
        self.source = source
        self.reason = reason

    def __reduce__(self) -> tuple[type["ImageError"], tuple[str, str]]:
        return (type(self), (self.source, self.reason))


class DataError(SynthdetectError, ValueError):
    """A manifest, a label array or a data split is not usable."""


class RecipeError(SynthdetectError, ValueError):
    """A training recipe has an unknown key, an unknown name or an impossible value."""


class TrainingError(SynthdetectError, RuntimeError):
    """Training or export stopped; what was finished is kept in the output folder."""


class BundleError(SynthdetectError, ValueError):
    """A bundle is missing, damaged, unsafe, of an unknown version, or not signed as required."""


class MissingExtraError(SynthdetectError, ImportError):
    """A feature needs packages of an extra that is not installed."""


class NotFittedError(SynthdetectError, ValueError, AttributeError):
    """The detector was neither loaded nor fitted."""


class StoreError(SynthdetectError, RuntimeError):
    """A monitor's store cannot be opened, is of another detector, or the database refused."""
