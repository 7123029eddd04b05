"""Images out of img2dataset's shards: ``python -m vldistill.download.shards SHARDS IMAGES``.

img2dataset numbers the images by their row; here each is named after its address, so that captions find it whatever
list it was fetched with.
"""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import click

from vldistill.errors import InputError, VldistillError
from vldistill.progress import Progress
from vldistill.records.cc3m import image_name


def collect(shards: str | Path, images: str | Path) -> int:
    """Write every image of the webdataset shards ``shards/*.tar`` to ``images/``; those there already are kept.

    Returns:
        The number of images in the shards.

    Raises:
        InputError: no shards, or a broken one; names it and the member.
    """
    shards, images = Path(shards), Path(images)
    archives = sorted(shards.glob("*.tar"))
    if not archives:
        raise InputError("no *.tar files here", file=shards, action="Run img2dataset with --output_format webdataset")
    images.mkdir(parents=True, exist_ok=True)
    progress, count = Progress(len(archives), "shards"), 0
    for archive in archives:
        for url, data in _read(archive):
            target = images / image_name(url)
            if not target.exists():
                # Named last, so that a killed run leaves no half image; no flush to disk for each of three millions.
                temporary = images / f".{target.name}.{os.getpid()}.tmp"
                temporary.write_bytes(data)
                os.replace(temporary, target)
            count += 1
        progress.step(images=count)
    return count


def _read(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Address and bytes of each image; a sample is KEY.jpg and KEY.json, in either order."""
    waiting: dict[str, bytes | str] = {}
    try:
        with tarfile.open(archive, "r|") as opened:
            for info in opened:
                key, _, kind = info.name.rpartition(".")
                if kind not in ("jpg", "json") or not info.isreg():
                    continue
                stream = opened.extractfile(info)
                value = stream.read() if stream else b""
                new = _address(value, archive, info.name) if kind == "json" else value
                other = waiting.pop(key, None)
                if other is None:
                    waiting[key] = new
                elif isinstance(new, str) and isinstance(other, bytes):
                    yield new, other
                elif isinstance(new, bytes) and isinstance(other, str):
                    yield other, new
    except tarfile.TarError as error:
        raise InputError(
            f"broken shard: {error}", file=archive, action="Remove it and run img2dataset again"
        ) from error


def _address(text: bytes, archive: Path, member: str) -> str:
    try:
        url = json.loads(text)["url"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"no address: {error!r}", file=archive, record=member, field="url") from None
    return str(url)


@click.command()
@click.argument("shards", type=click.Path(path_type=Path))
@click.argument("images", type=click.Path(path_type=Path))
def main(shards: Path, images: Path) -> None:
    """Take the images out of img2dataset's SHARDS and name each after its address in IMAGES."""
    try:
        click.echo(f"{collect(shards, images)} images")
    except VldistillError as error:
        raise click.ClickException(str(error)) from None


if __name__ == "__main__":
    main()
