"""Imports that need an extra, with an error that says which one."""

import importlib
from types import ModuleType

from synthdetect.errors import MissingExtraError


def require(module: str, *, extra: str) -> ModuleType:
    """Import `module`, or say which extra brings it.

    Parameters
    ----------
    module : str
        Name to import, dotted names allowed.
    extra : str
        The extra of synthdetect that installs it.

    Returns
    -------
    module : ModuleType

    Raises
    ------
    MissingExtraError
        If the package is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"{module} is needed for this and could not be imported ({error}); "
            f"install it with: pip install 'synthdetect[{extra}]'"
        ) from error
