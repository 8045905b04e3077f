"""`synthdetect bundles`: what is here, downloads, hashes and signatures."""

import json
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from synthdetect.cli.console import printable, progress, tell, telling_warnings
from synthdetect.cli.model_card import model_card
from synthdetect.errors import BundleError, SynthdetectError

FAILED = 2

bundles = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="List, download, check and remove bundles; give one its model card.",
)
bundles.command("card")(model_card)

_ADDRESS = "NAME|PATH|ADDRESS"
_AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_PublicKeys = Annotated[
    list[str] | None,
    typer.Option(
        "--require-signature",
        metavar="PATH",
        help="An Ed25519 public key, PEM or 32 bytes, that must have signed; several: one of them.",
        show_default=False,
    ),
]


@dataclass(frozen=True)
class _Row:
    """A bundle that is here."""

    name: str
    kind: str
    path: str
    size: int | None
    sha256: str | None
    fetched: str | None = None
    commit: str | None = None


@bundles.command("list")
def list_bundles(as_json: _AsJson = False) -> None:
    """List the bundles of the package and those that were downloaded.

    They are not read: verify does that.
    """
    rows = [*_bundled_rows(), *_stored_rows()]
    if as_json:
        typer.echo(json.dumps([asdict(row) for row in rows], indent=2))
        return
    for row in rows:
        size = "" if row.size is None else f"{row.size / 1e6:.1f} MB"
        when = f"  fetched {row.fetched}" if row.fetched else ""
        typer.echo(printable(f"{row.kind:<10}  {size:>9}  {row.name}{when}"))


@bundles.command()
def get(
    address: Annotated[
        str,
        typer.Argument(
            metavar="ADDRESS",
            help="https://host/bundle.zip#sha256=<64 digits>, or "
            "hf://owner/repo[@revision][/folder].",
        ),
    ],
    require_signature: _PublicKeys = None,
    as_json: _AsJson = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Download a bundle, check all of it, and print where it is.

    What was downloaded before is checked and not downloaded again. The address can then be given
    wherever a bundle is, without the net.

    \b
    Exit codes:
      0    it is there
      2    wrong usage, or it cannot be had or is not sound; nothing half is left
    """
    with telling_warnings():
        found = _verified(address, require_signature, show=not quiet)
    typer.echo(json.dumps(found, indent=2) if as_json else printable(found["path"]))


@bundles.command()
def remove(
    addresses: Annotated[
        list[str] | None,
        typer.Argument(metavar="ADDRESS", help="As get and list have it.", show_default=False),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every download.")] = False,
    as_json: _AsJson = False,
) -> None:
    """Remove downloads. Bundles of the package and bundles elsewhere on disk are left alone.

    \b
    Exit codes:
      0    removed
      2    wrong usage, or an address is not among the downloads
    """
    from synthdetect.bundle import store
    from synthdetect.bundle.download import DownloadLimits

    if bool(addresses) == everything:
        raise typer.BadParameter("give ADDRESS, or --all alone", param_hint="ADDRESS")
    chosen = store.stored_keys() if everything else [_key(address) for address in addresses or []]
    removed = []
    for key in dict.fromkeys(chosen):
        record = store.read_record(key)
        with store.locked(key, timeout_s=DownloadLimits().total_s):
            if store.discard(key):
                removed.append(record.address if record else key)
    if as_json:
        typer.echo(json.dumps({"removed": removed}, indent=2))
    else:
        typer.echo(
            "\n".join(printable(f"removed {name}") for name in removed) or "nothing to remove"
        )


@bundles.command()
def verify(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar=_ADDRESS,
            help="Bundles to check. An address is checked as it was downloaded, without the net.",
            show_default="all that list shows",
        ),
    ] = None,
    require_signature: _PublicKeys = None,
    as_json: _AsJson = False,
) -> None:
    """Read bundles and check every hash, and their signatures if that is asked.

    \b
    Exit codes:
      0    all are sound
      2    wrong usage, or at least one is not; one line on standard error for each says why
    """
    chosen = names or [row.name for row in (*_bundled_rows(), *_stored_rows())]
    found = []
    for name in chosen:
        try:
            found.append(_verified(name, require_signature, download=False))
        except (SynthdetectError, OSError) as error:
            tell(f"error: {error}")
            found.append({"name": name, "ok": False, "error": str(error)})
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        for row in found:
            signed = f"signed with {row.get('signed_by')}" if row.get("signed_by") else "not signed"
            text = f"{row['digest'][:12]}  {signed}" if row["ok"] else "NOT SOUND"
            typer.echo(printable(f"{row['name']}  {text}"))
    if not all(row["ok"] for row in found):
        raise typer.Exit(FAILED)


def _verified(
    name: str, keys: list[str] | None, *, download: bool = True, show: bool = False
) -> dict[str, Any]:
    """Read a bundle and check all of it; return what was found."""
    from synthdetect.bundle.hub import display, open_bundle, resolve
    from synthdetect.bundle.signature import signer_of

    bars = partial(progress, show=show)
    path = resolve(name, progress=bars) if download else _on_disk(name)
    bundle = open_bundle(path, require_signature=keys or None)
    return {
        "name": display(name),
        "ok": True,
        "path": str(path.absolute()),
        "digest": bundle.digest,
        "detector": bundle.manifest.name,
        "signed_by": signer_of(bundle),
        "signature_checked": bool(keys),
    }


def _on_disk(name: str) -> Path:
    """Where a bundle lies; an address must have been downloaded, and still be what came."""
    from synthdetect.bundle import store
    from synthdetect.bundle.address import is_url
    from synthdetect.bundle.hub import resolve

    if not is_url(name) and name not in store.stored_keys():
        return resolve(name)
    key = _key(name)
    if not store.intact(key):
        raise BundleError(f"{name}: the copy in the store is damaged; remove it and get it again")
    return store.zip_path(key)


def _key(address: str) -> str:
    """The key in the store of an address, or a key itself, which must be there."""
    from synthdetect.bundle import store
    from synthdetect.bundle.address import is_url, parse_address
    from synthdetect.bundle.hub import bundled_names

    if address in bundled_names():
        raise BundleError(f"{address}: it is a part of the package and no download")
    key = parse_address(address).key if is_url(address) else address
    if key not in store.stored_keys():
        raise BundleError(
            f"{address}: it is not among the downloads; synthdetect bundles list shows them"
        )
    return key


def _bundled_rows() -> list[_Row]:
    from synthdetect.bundle.hub import bundled_names, resolve

    return [_Row(name, "bundled", str(resolve(name)), None, None) for name in bundled_names()]


def _stored_rows() -> list[_Row]:
    """The downloads; one whose record is damaged goes by its key."""
    from synthdetect.bundle import store

    rows = []
    for key in store.stored_keys():
        path, record = str(store.zip_path(key)), store.read_record(key)
        if record is None:
            rows.append(_Row(key, "downloaded", path, None, None))
        else:
            rows.append(
                _Row(
                    record.address,
                    "downloaded",
                    path,
                    record.size,
                    record.sha256,
                    record.fetched,
                    record.commit,
                )
            )
    return rows
