"""Official files to records and an image archive; the same for real and for rendered files."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from vldistill.errors import InputError
from vldistill.images import CorruptImage, decode
from vldistill.records import (
    Record,
    RegionsRecord,
    cc3m,
    coco,
    flickr30k,
    nocaps,
    okvqa,
    snli_ve,
    synsets,
    text,
    vcr,
    visual_genome,
    vqa,
    vqa_cp,
)
from vldistill.records.places import ImageFile

SETS = (
    *("cc3m", "coco", "nocaps", "vqav2", "okvqa", "domains", "corpus", "reading", "summary"),
    *("flickr30k", "snli_ve", "vcr", "vg", "vqa_cp"),
)
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip file can hold: bytes must not depend on when it was made


@dataclass(frozen=True)
class Converted:
    """What a data set holds: records, image files by key, counts for the manifest, the images' boxes, and synsets."""

    records: Sequence[Record]
    images: Mapping[str, ImageFile] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    regions: Sequence[RegionsRecord] | None = None
    synsets: Mapping[str, str] = field(default_factory=dict)


def convert(
    dataset: str,
    folder_of: Callable[[str], Path],
    least_found: float,
    test_images: Callable[[], Path | None] = lambda: None,
) -> Converted:
    """Read a data set's official files.

    Args:
        dataset: one of `SETS`.
        folder_of: gives the folder with the official files of a set; questions ask for the folder of their images too.
        least_found: as `cc3m.read`.
        test_images: gives the folder with COCO's test2015 images, None where there is none; of coco and vqav2 only.

    Raises:
        InputError: a broken or missing file; names file, record and field.
    """
    if dataset not in SETS:
        raise InputError(f"no data set called {dataset!r}", action=f"Known: {', '.join(SETS)}")
    folder = folder_of(dataset)
    if dataset == "coco":
        return _coco(folder, test_images())
    if dataset == "vqav2":
        return _vqav2(folder, coco.image_names(folder_of("coco")), test_images())
    if dataset in _IMAGES:
        return _IMAGES[dataset](folder)
    if dataset in _TEXTS:
        return Converted(_TEXTS[dataset](folder))
    if dataset == "cc3m":
        return Converted(*cc3m.read(folder, least_found))
    if dataset == "domains":
        images = nocaps.image_domains(folder_of("nocaps"))
        keys = {number: key for number, (key, _) in images.items()}
        domains = {number: domain for number, (_, domain) in images.items()}
        return Converted(vqa.read(folder, vqa.DOMAINS, "nocaps", keys, domains))
    if dataset == "snli_ve":
        pairs, counts = snli_ve.read(folder, flickr30k.image_files(folder_of("flickr30k")))
        return Converted(pairs, counts=counts)
    return Converted(_QUESTIONS[dataset](folder, coco.image_names(folder_of("coco"))))


def _coco(folder: Path, test: Path | None) -> Converted:
    records, images = coco.read(folder)
    more = coco.test_images(test) if test else {}
    records += coco.unlabelled(more)
    if not coco.has_regions(folder):
        return Converted(records, images | more)
    regions, counts = coco.read_regions(folder, images)
    return Converted(records, images | more, counts, [*regions, *coco.unlabelled_regions(more)])


def _vqav2(folder: Path, images: Mapping[int, str], test: Path | None) -> Converted:
    asked = vqa.read(folder, vqa.VQAV2, "coco", images)
    known = {**images, **(coco.test_image_names(test) if test else {})}
    unlabelled, counts = vqa.read_unlabelled(folder, vqa.VQAV2_UNLABELLED, "coco", known)
    return Converted([*asked, *unlabelled], counts=counts)


def _flickr30k(folder: Path) -> Converted:
    images, regions, counts = flickr30k.read(folder)
    return Converted((), images, counts, regions)


def _vcr(folder: Path) -> Converted:
    records, images, regions, counts = vcr.read(folder)
    return Converted(records, images, counts, regions)


def _vg(folder: Path) -> Converted:
    records, images, regions, counts = visual_genome.read(folder)
    return Converted(records, images, counts, regions, synsets.read_official(folder))


# other sets with images of their own; texts; other questions on COCO's images
_IMAGES: dict[str, Callable[[Path], Converted]] = {
    "nocaps": lambda folder: Converted(*nocaps.read(folder)),
    "flickr30k": _flickr30k,
    "vcr": _vcr,
    "vg": _vg,
}
_TEXTS: dict[str, Callable[[Path], Sequence[Record]]] = {
    "corpus": text.read_corpus,
    "reading": text.read_reading,
    "summary": text.read_summary,
}
_QUESTIONS: dict[str, Callable[[Path, Mapping[int, str]], Sequence[Record]]] = {
    "okvqa": okvqa.read,
    "vqa_cp": vqa_cp.read,
}


def write_images(archive: Path, images: Mapping[str, ImageFile], resize: int | None) -> None:
    """Store the image files uncompressed under their keys, in the order of the keys.

    Args:
        archive: the zip file to write; it belongs to an artifact that is published as a whole.
        images: files by key.
        resize: shorter side, in pixels, of larger images; None keeps the bytes. A file that cannot be decoded is kept
            as it is: extraction records it as corrupt, so that no row is lost silently.
    """
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as target:
        for key in sorted(images):
            entry = zipfile.ZipInfo(key, EPOCH)
            entry.external_attr = 0o644 << 16
            data = images[key].read()
            target.writestr(entry, data if resize is None else shrink(data, key, resize))


def shrink(data: bytes, key: str, side: int) -> bytes:
    """Scale an image down so that its shorter side is ``side`` pixels; smaller and unreadable ones stay as they are."""
    try:
        image = decode(data, key)
    except CorruptImage:
        return data
    factor = side / min(image.size)
    if factor >= 1:
        return data
    width, height = (max(side, round(length * factor)) for length in image.size)
    buffer = io.BytesIO()
    image.resize((width, height), Image.Resampling.BICUBIC).save(buffer, format="JPEG", quality=95)
    return buffer.getvalue()
