"""One picture at a time: decoded with care, turned upright, brought to a network's size."""

import io
import warnings

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

Size = tuple[int, int]  # height, width in pixels

FORMATS = ("JPEG", "PNG", "WEBP")  # what posters come in; each decoder more is one more to attack
SMALLEST = 60  # pixels, the shorter side
LARGEST = 30_000_000  # pixels in all
WEBP = 12_000_000  # pixels of a WebP, whose decoder lets nobody else go on meanwhile
SCANS = 33  # of a JPEG of the largest size; smaller ones may have more
READS = 50_000  # pieces in which a picture is read: a few thousand, where nobody means harm
EXIF = 300  # blocks of it in a JPEG, 65,536 bytes in other pictures: more is no camera's
ASPECTS = (0.5, 0.9)  # width over height; a one-sheet is 0.667
ORIENTATION = 0x0112  # the EXIF tag


class PictureError(ValueError):
    """Report a picture that cannot be read; `kind` is "empty", "type", "size" or "broken"."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


class _Pieces(io.BytesIO):
    """Hand out a picture's bytes so many times: one of a million segments would take minutes."""

    left = READS

    def read(self, size: int | None = -1, /) -> bytes:
        self.left -= 1
        if self.left < 0:
            raise PictureError("size", "too large")
        return super().read(size)


def read(data: bytes, *, largest: int = LARGEST) -> Image.Image:
    """Decode a picture to upright RGB, its size checked before its pixels; raise `PictureError`.

    The first frame of an animation is taken. `largest` is in pixels.
    """
    if not data:
        raise PictureError("empty", "empty file")
    try:
        with warnings.catch_warnings():
            # An oversized image is an answer here, not a warning.
            warnings.simplefilter("ignore")
            opened = Image.open(_Pieces(data), formats=FORMATS)
            _bound(opened, data, largest)
            return rgb(opened)
    except PictureError:
        raise
    except UnidentifiedImageError:
        raise PictureError("type", "not an image") from None
    except Image.DecompressionBombError:
        raise PictureError("size", "too large") from None
    except Exception:  # decoders of hostile bytes raise whatever they stumble over
        raise PictureError("broken", "broken image") from None


def _bound(image: Image.Image, data: bytes, largest: int) -> None:
    """Refuse what would take long to decode; a few bytes can ask for hours of work."""
    pixels = image.width * image.height
    if image.format in ("JPEG", "MPO"):
        costly = data.count(b"\xff\xda") * pixels > SCANS * largest
        costly = costly or data.count(b"Exif\0\0") > EXIF
    else:
        costly = len(image.info.get("exif", b"")) > 65_536
        costly = costly or (image.format == "WEBP" and pixels > WEBP)
    if pixels > largest or costly:
        raise PictureError("size", "too large")


def rgb(image: Image.Image) -> Image.Image:
    """Return a picture as upright RGB; 16 bits and floating point are brought to 8 bits."""
    if image.mode == "RGB" and not isinstance(image, ImageFile.ImageFile):
        return image  # decoded before
    if image.getexif().get(ORIENTATION, 1) != 1:
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith(("I", "F")):
        values = np.array(image, dtype=np.float32)  # may be large: changed in place
        values *= 255 / (65535 if image.mode.startswith("I") else max(values.max(), 1e-12))
        image = Image.fromarray(np.nan_to_num(values, copy=False).clip(0, 255).astype(np.uint8))
    image.load()
    return image if image.mode == "RGB" else image.convert("RGB")  # which copies, RGB too


def resize(image: Image.Image, size: Size) -> NDArray[np.uint8]:
    """Return a poster as (height, width, 3) RGB bytes; the frame is squeezed, never cropped."""
    height, width = size
    picture = rgb(image).resize((width, height), Image.Resampling.BICUBIC, reducing_gap=3)
    return np.asarray(picture, dtype=np.uint8)


def in_few_colours(figure: bytes) -> bytes:
    """Return a PNG in at most 256 colours where that makes it smaller; it has as many pixels."""
    with Image.open(io.BytesIO(figure)) as picture, io.BytesIO() as file:
        rgb(picture).quantize(256, kmeans=1).save(file, "PNG", optimize=True)
        return min(figure, file.getvalue(), key=len)


def faults(image: Image.Image) -> list[str]:
    """Return what keeps a picture from being a poster: "too small", "not poster-shaped"."""
    found = ["too small"] if min(image.size) < SMALLEST else []
    if not ASPECTS[0] <= image.width / image.height <= ASPECTS[1]:
        found.append("not poster-shaped")
    return found
