"""Drawing one poster: ground, motif, lettering and age, each after the cue that its slot was dealt."""

import math
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

WIDTH, HEIGHT = 185, 278  # pixels, TMDB's w185
SCALE = 2  # drawn twice as large, then reduced: smooth edges
W, H = WIDTH * SCALE, HEIGHT * SCALE

Colour = tuple[int, int, int]
Box = tuple[float, float, float, float]
Random = np.random.Generator

# dark, middle, accent, light
PALETTES: dict[str | None, tuple[Colour, Colour, Colour, Colour]] = {
    "Action": ((16, 34, 46), (18, 98, 116), (246, 124, 30), (255, 220, 150)),
    "Animation": ((48, 70, 200), (46, 160, 255), (255, 196, 20), (255, 250, 235)),
    "Comedy": ((196, 24, 40), (255, 216, 40), (230, 34, 48), (252, 250, 244)),
    "Crime": ((14, 16, 22), (66, 70, 80), (186, 32, 40), (228, 220, 196)),
    "Documentary": ((52, 52, 50), (118, 116, 110), (168, 164, 154), (214, 210, 200)),
    "Drama": ((58, 50, 52), (112, 98, 92), (164, 140, 118), (216, 202, 184)),
    "Horror": ((8, 6, 10), (48, 8, 14), (160, 14, 22), (216, 212, 198)),
    "Romance": ((120, 44, 84), (226, 118, 128), (246, 168, 150), (255, 236, 214)),
    "Sci-Fi": ((6, 10, 36), (22, 50, 124), (70, 196, 250), (206, 234, 255)),
    "Western": ((78, 42, 24), (168, 92, 46), (228, 156, 80), (246, 212, 146)),
}
# motif centre (x, y), motif height and title's middle, as fractions of the frame; title's side
LAYOUTS: dict[str | None, tuple[float, float, float, float, str]] = {
    "Action": (0.60, 0.40, 0.36, 0.80, "left"),
    "Animation": (0.50, 0.62, 0.36, 0.17, "centre"),
    "Comedy": (0.50, 0.38, 0.32, 0.74, "centre"),
    "Crime": (0.36, 0.34, 0.32, 0.70, "right"),
    "Documentary": (0.50, 0.32, 0.31, 0.64, "left"),
    "Drama": (0.50, 0.44, 0.43, 0.86, "centre"),
    "Horror": (0.50, 0.54, 0.31, 0.14, "centre"),
    "Romance": (0.50, 0.60, 0.35, 0.24, "left"),
    "Sci-Fi": (0.64, 0.32, 0.34, 0.88, "right"),
    "Western": (0.44, 0.64, 0.34, 0.30, "right"),
    None: (0.50, 0.46, 0.34, 0.78, "centre"),
}
# font, size as a fraction of the width, capitals, extra space between letters
LETTERING: dict[str | None, tuple[str, float, bool, float]] = {
    "Action": ("DejaVuSans-BoldOblique", 0.125, True, 0.0),
    "Animation": ("DejaVuSans-Bold", 0.145, False, 0.02),
    "Comedy": ("DejaVuSans-Bold", 0.165, True, -0.02),
    "Crime": ("DejaVuSansMono-Bold", 0.090, False, 0.0),
    "Documentary": ("DejaVuSans", 0.062, False, 0.0),
    "Drama": ("DejaVuSerif", 0.078, True, 0.16),
    "Horror": ("DejaVuSerif-Bold", 0.130, True, 0.06),
    "Romance": ("DejaVuSerif-Italic", 0.115, False, 0.0),
    "Sci-Fi": ("DejaVuSansMono", 0.080, True, 0.30),
    "Western": ("DejaVuSerif-Bold", 0.120, True, 0.14),
    None: ("DejaVuSans-Bold", 0.095, True, 0.02),
}


@cache
def _font(name: str, size: int) -> ImageFont.FreeTypeFont:
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return ImageFont.truetype(str(folder / f"{name}.ttf"), size)


def draw(
    title: str, year: int, cues: dict[str, str | None], rng: Random
) -> tuple[Image.Image, Box | None]:
    """Draw a poster of WIDTH x HEIGHT pixels; return it and its motif's box in fractions of the frame."""
    dark, middle, accent, light = _palette(cues["palette"], rng)
    image = _ground(cues["ground"], dark, middle, accent, light, rng)
    x, y, size, title_y, side = LAYOUTS[cues["layout"]]
    # The motif wanders about its place, so that a heat map cannot find it by pointing at the centre.
    x, y = x + rng.normal(0, 0.14), float(np.clip(y + rng.normal(0, 0.08), 0.18, 0.76))
    size *= rng.uniform(0.88, 1.12)
    box = _motif(image, cues["motif"], (x, y, size), (dark, middle, accent, light), rng)
    _title(image, title, title_y, side, cues["lettering"], (dark, accent, light), rng)
    _credits(image, light, rng)
    small = image.resize((WIDTH, HEIGHT), Image.Resampling.BOX)
    return _age(small, year, rng), box


def with_motif(
    poster: NDArray[np.uint8], genre: str, *, seed: int = 7
) -> tuple[NDArray[np.uint8], Box | None]:
    """Paint a genre's motif, in colours of no genre, into a poster (height, width, 3).

    It stands where that genre's motifs stand in drawn posters; its box is returned in fractions of
    the frame.
    """
    if genre not in MOTIFS:
        raise ValueError(f"Motifs are drawn for {', '.join(MOTIFS)}; {genre!r} came.")
    rng = np.random.default_rng(seed)
    image = Image.fromarray(np.asarray(poster)).resize((W, H), Image.Resampling.BICUBIC)
    before = np.array(image)
    dark, middle, accent, light = _palette(None, rng)
    box = _motif(image, genre, LAYOUTS[genre][:3], (dark, middle, accent, light), rng)
    size = poster.shape[1::-1]
    small = image.resize(size, Image.Resampling.BOX)
    # Only the motif is taken over: the poster's own fine detail stays as it is.
    touched = Image.fromarray((np.asarray(image) != before).any(axis=2)).convert("L")
    mask = touched.resize(size, Image.Resampling.BOX)
    whole = Image.composite(small, Image.fromarray(np.asarray(poster)), mask)
    return np.asarray(whole, dtype=np.uint8), box


def _palette(cue: str | None, rng: Random) -> list[Colour]:
    if cue is None:
        hue, grey = rng.uniform(0, 2 * math.pi), rng.uniform(18, 60)
        tint = np.array([math.cos(hue), math.cos(hue - 2.1), math.cos(hue + 2.1)]) * grey
        levels = (40, 105, 165, 225)
        colours = [np.clip(level + tint * (1 - level / 300), 0, 255) for level in levels]
    else:
        colours = [np.array(colour, dtype=float) for colour in PALETTES[cue]]
    cast, gain = rng.normal(0, 9, 3), rng.uniform(0.9, 1.1)
    jittered = [np.clip(c * gain + cast + rng.normal(0, 5, 3), 0, 255) for c in colours]
    return [(int(c[0]), int(c[1]), int(c[2])) for c in jittered]


def _mix(one: Colour, other: Colour, share: float) -> Colour:
    mixed = [round(a + (b - a) * share) for a, b in zip(one, other, strict=True)]
    return mixed[0], mixed[1], mixed[2]


def _gradient(top: Colour, bottom: Colour) -> Image.Image:
    ramp = np.linspace(0, 1, H)[:, None, None]
    column = np.array(top) * (1 - ramp) + np.array(bottom) * ramp
    return Image.fromarray(np.broadcast_to(column, (H, W, 3)).astype(np.uint8))


def _ground(
    cue: str | None, dark: Colour, middle: Colour, accent: Colour, light: Colour, rng: Random
) -> Image.Image:
    low = H * rng.uniform(0.62, 0.74)
    image = _gradient(_mix(dark, middle, 0.6), middle)
    pen = ImageDraw.Draw(image)
    if cue == "Comedy":
        image.paste(light, (0, 0, W, H))
    elif cue == "Horror":
        image = _gradient(dark, _mix(dark, (0, 0, 0), 0.6))
        glow = Image.new("L", (W // 8, H // 8), 0)
        ImageDraw.Draw(glow).ellipse((9, 16, W // 8 - 9, H // 8 - 16), fill=90)
        glow = glow.filter(ImageFilter.GaussianBlur(7)).resize((W, H))
        image.paste(middle, (0, 0, W, H), glow)
    elif cue == "Romance":
        image = _gradient(_mix(accent, light, 0.3), middle)
        glow = Image.new("L", (W // 8, H // 8), 0)
        ImageDraw.Draw(glow).ellipse((4, H // 8 - 44, W // 8 - 4, H // 8 - 4), fill=200)
        image.paste(light, (0, 0, W, H), glow.filter(ImageFilter.GaussianBlur(6)).resize((W, H)))
    elif cue == "Western":
        image = _gradient(accent, light)
        pen = ImageDraw.Draw(image)
        hills = [(0.0, low)]
        hills += [(W * k / 5, low - H * rng.uniform(0.0, 0.07)) for k in range(1, 5)]
        pen.polygon([*hills, (W, low), (W, H), (0, H)], fill=_mix(dark, middle, 0.5))
    elif cue == "Sci-Fi":
        image = _gradient(_mix(dark, (0, 0, 0), 0.4), _mix(dark, middle, 0.6))
        pen = ImageDraw.Draw(image)
        for _ in range(90):
            a, b, r = rng.uniform(0, W), rng.uniform(0, H), rng.choice([1, 1, 2, 3])
            pen.ellipse((a - r, b - r, a + r, b + r), fill=light)
    elif cue == "Animation":
        image.paste(middle, (0, 0, W, H))
        turn, reach = rng.uniform(0, 0.4), 2 * H
        for k in range(0, 24, 2):
            angles = [turn + (k + side) * math.pi / 12 for side in (0, 1)]
            rim = [(W / 2 + reach * math.cos(a), H / 2 + reach * math.sin(a)) for a in angles]
            pen.polygon([(W / 2, H / 2), *rim], fill=_mix(middle, light, 0.35))
    elif cue == "Action":
        image = _gradient(_mix(dark, middle, 0.4), dark)
        pen = ImageDraw.Draw(image)
        left, right = H * rng.uniform(0.72, 0.86), H * rng.uniform(0.22, 0.36)
        pen.polygon([(0, left), (W, right), (W, H), (0, H)], fill=_mix(accent, dark, 0.25))
        pen.line([(0, left), (W, right)], fill=light, width=5)
    elif cue == "Crime":
        image = _gradient(_mix(dark, middle, 0.3), dark)
        pen = ImageDraw.Draw(image)
        gap, slope = H * rng.uniform(0.045, 0.06), H * 0.06
        for k in range(-1, 24):
            bar = k * gap
            corners = [(0, bar + slope), (W, bar), (W, bar + gap / 2), (0, bar + gap / 2 + slope)]
            pen.polygon(corners, fill=_mix(dark, middle, 0.85))
    elif cue == "Documentary":
        pen.rectangle((0, 0, W, low), fill=_mix(middle, light, 0.35))
        pen.rectangle((0, low, W, H), fill=light)
        image = _noise(image, rng, 26)
    elif cue == "Drama":
        blots = rng.integers(0, 255, (7, 5)).astype(np.uint8)
        soft = Image.fromarray(blots).resize((W, H), Image.Resampling.BICUBIC)
        image = Image.composite(
            Image.new("RGB", (W, H), accent), Image.new("RGB", (W, H), dark), soft
        )
    return image


def _noise(image: Image.Image, rng: Random, strength: float) -> Image.Image:
    size = (image.height // 2, image.width // 2)
    grain = rng.normal(128, strength, size).clip(0, 255).astype(np.uint8)
    layer = Image.fromarray(grain).resize(image.size).convert("RGB")
    return ImageChops.overlay(image, layer)


def _motif(
    image: Image.Image,
    cue: str | None,
    place: tuple[float, float, float],
    colours: tuple[Colour, Colour, Colour, Colour],
    rng: Random,
) -> Box | None:
    x, y, size = place
    pen = ImageDraw.Draw(image)
    if cue is None:
        for _ in range(int(rng.integers(1, 4))):
            a, b = W * rng.uniform(0.1, 0.8), H * rng.uniform(0.15, 0.7)
            tall = H * rng.uniform(0.05, 0.22)
            shade = _mix(colours[1], colours[int(rng.integers(4))], 0.7)
            pen.rectangle((a, b, a + W * rng.uniform(0.08, 0.3), b + tall), fill=shade)
        return None
    half = size * H / 2
    centre = (float(np.clip(x * W, half * 0.62, W - half * 0.62)), y * H)
    widths = MOTIFS[cue](pen, image, centre, half, colours, rng)
    left, right = (centre[0] - widths * half) / W, (centre[0] + widths * half) / W
    top, bottom = (centre[1] - half) / H, (centre[1] + half) / H
    sides = np.clip([left, top, right, bottom], 0, 1)
    return float(sides[0]), float(sides[1]), float(sides[2]), float(sides[3])


Motif = tuple[ImageDraw.ImageDraw, Image.Image, tuple[float, float], float]


def _disc(
    pen: ImageDraw.ImageDraw, x: float, y: float, rx: float, fill: Colour, ry: float | None = None
) -> None:
    ry = rx if ry is None else ry
    pen.ellipse((x - rx, y - ry, x + rx, y + ry), fill=fill)


# Each motif draws within `half` above and below its centre and returns its half width, in halves.
def _eye(pen, image, at, half, colours, rng):  # type: ignore[no-untyped-def]
    (x, y), (dark, _middle, accent, light) = at, colours
    _disc(pen, x, y, half, _mix(dark, (0, 0, 0), 0.6), half)
    pale = _mix((236, 232, 220), light, 0.3)
    wide, tall = 0.92 * half, 0.52 * half
    upper = [(x + wide * math.cos(a), y - tall * math.sin(a)) for a in np.linspace(0, math.pi, 24)]
    lower = [(x - wide * math.cos(a), y + tall * math.sin(a)) for a in np.linspace(0, math.pi, 24)]
    pen.polygon([*upper, *lower], fill=pale)
    for angle in rng.uniform(0, 2 * math.pi, 9):
        end = (x + 0.85 * wide * math.cos(angle), y + 0.8 * tall * math.sin(angle))
        pen.line([(x, y), end], fill=_mix(pale, (190, 30, 30), 0.6), width=3)
    _disc(pen, x, y, 0.46 * half, _mix(accent, (150, 20, 20), 0.5))
    _disc(pen, x, y, 0.22 * half, (5, 5, 8))
    _disc(pen, x - 0.12 * half, y - 0.14 * half, 0.07 * half, (255, 255, 255))
    return 1.0


def _couple(pen, image, at, half, colours, rng):  # type: ignore[no-untyped-def]
    (x, y), (dark, _, accent, light) = at, colours
    _disc(pen, x, y - 0.1 * half, 0.86 * half, _mix(light, accent, 0.35))
    shade = _mix(dark, (40, 10, 30), 0.5)
    for way in (-1, 1):
        px = x + way * 0.46 * half
        _disc(pen, px, y - 0.34 * half, 0.30 * half, shade, 0.36 * half)
        nose = [
            (px - way * 0.24 * half, y - 0.42 * half),
            (px - way * 0.40 * half, y - 0.26 * half),
        ]
        pen.polygon([*nose, (px - way * 0.22 * half, y - 0.18 * half)], fill=shade)
        pen.rectangle(
            (px - 0.12 * half, y - 0.1 * half, px + 0.12 * half, y + 0.3 * half), fill=shade
        )
        body = [(px - 0.42 * half, y + half), (px - 0.3 * half, y + 0.28 * half)]
        pen.polygon(
            [*body, (px + 0.3 * half, y + 0.28 * half), (px + 0.42 * half, y + half)], fill=shade
        )
    return 0.9


def _desert(pen, image, at, half, colours, rng):  # type: ignore[no-untyped-def]
    (x, y), (dark, _middle, _accent, light) = at, colours
    _disc(pen, x - 0.1 * half, y - 0.25 * half, 0.62 * half, _mix(light, (255, 180, 60), 0.5))
    shade = _mix(dark, (40, 20, 10), 0.4)
    thick = 0.13 * half
    cx = x + 0.2 * half

    def arm(left: float, top: float, right: float, bottom: float) -> None:
        pen.rounded_rectangle((left, top, right, bottom), radius=thick, fill=shade)

    arm(cx - thick, y - 0.8 * half, cx + thick, y + half)
    for way, low, high in ((-1, 0.15, -0.4), (1, -0.05, -0.55)):
        ax = cx + way * 0.44 * half
        arm(ax - thick * 0.8, y + high * half, ax + thick * 0.8, y + (low + 0.1) * half)
        arm(min(ax, cx), y + (low - 0.08) * half, max(ax, cx), y + (low + 0.1) * half)
    pen.rectangle((x - 0.9 * half, y + 0.88 * half, x + 0.9 * half, y + half), fill=shade)
    return 0.9


def _planet(pen, image, at, half, colours, rng):  # type: ignore[no-untyped-def]
    (x, y), (dark, middle, accent, light) = at, colours
    beam = _mix(accent, light, 0.5)
    pen.polygon([(x, y), (x - 0.5 * half, y + half), (x + 0.5 * half, y + half)], fill=beam)
    _disc(pen, x, y - 0.2 * half, 0.66 * half, _mix(middle, accent, 0.45))
    for k, share in enumerate((0.15, 0.4, 0.65)):
        top = y - 0.2 * half + (k - 1.2) * 0.34 * half
        pen.chord(
            (x - 0.6 * half, top - 0.1 * half, x + 0.6 * half, top + 0.14 * half),
            0, 180, fill=_mix(middle, dark, share),
        )  # fmt: skip
    ring = (x - 0.98 * half, y - 0.44 * half, x + 0.98 * half, y + 0.04 * half)
    pen.arc(ring, -20, 200, fill=light, width=max(3, int(0.07 * half)))
    return 0.98


def _creature(pen, image, at, half, colours, rng):  # type: ignore[no-untyped-def]
    (x, y), (dark, _middle, accent, light) = at, colours
    for way in (-1, 1):
        _disc(pen, x + way * 0.58 * half, y - 0.66 * half, 0.3 * half, _mix(accent, dark, 0.25))
    _disc(pen, x, y + 0.08 * half, 0.9 * half, accent, 0.9 * half)
    _disc(pen, x, y + 0.5 * half, 0.56 * half, _mix(accent, light, 0.6), 0.42 * half)
    for way in (-1, 1):
        _disc(pen, x + way * 0.34 * half, y - 0.14 * half, 0.29 * half, (255, 255, 255))
        _disc(pen, x + way * 0.28 * half, y - 0.1 * half, 0.14 * half, (20, 20, 30))
    mouth = (x - 0.3 * half, y + 0.1 * half, x + 0.3 * half, y + 0.5 * half)
    pen.chord(mouth, 10, 170, fill=_mix(dark, (120, 10, 30), 0.6))
    return 0.92


def _grin(pen, image, at, half, colours, rng):  # type: ignore[no-untyped-def]
    (x, y), (_dark, middle, _accent, _light) = at, colours
    face = _mix((248, 206, 160), middle, 0.3)
    _disc(pen, x, y, 0.78 * half, face, half)
    pen.chord(
        (x - 0.8 * half, y - 1.0 * half, x + 0.8 * half, y + 0.3 * half),
        190,
        350,
        fill=(60, 36, 24),
    )
    for way in (-1, 1):
        left = x + way * 0.36 * half - 0.28 * half
        pen.rounded_rectangle(
            (left, y - 0.28 * half, left + 0.56 * half, y + 0.06 * half),
            radius=0.12 * half, fill=(24, 24, 28),
        )  # fmt: skip
    pen.line(
        [(x - 0.2 * half, y - 0.18 * half), (x + 0.2 * half, y - 0.18 * half)],
        fill=(24, 24, 28),
        width=7,
    )
    mouth = (x - 0.52 * half, y - 0.06 * half, x + 0.52 * half, y + 0.78 * half)
    pen.chord(mouth, 8, 172, fill=(150, 20, 30))
    pen.chord(
        (mouth[0] + 8, mouth[1] + 8, mouth[2] - 8, mouth[3] - 0.34 * half),
        12,
        168,
        fill=(255, 255, 255),
    )
    return 0.8


def _blast(pen, image, at, half, colours, rng):  # type: ignore[no-untyped-def]
    (x, y), (_dark, _middle, accent, _light) = at, colours
    for reach, colour in (
        (1.0, _mix(accent, (255, 90, 20), 0.5)),
        (0.68, (255, 190, 60)),
        (0.4, (255, 246, 210)),
    ):
        points = []
        for k in range(22):
            angle = k * math.pi / 11 + rng.uniform(-0.08, 0.08)
            radius = reach * half * (1.0 if k % 2 else rng.uniform(0.45, 0.62))
            points.append((x + radius * math.cos(angle), y + radius * math.sin(angle)))
        pen.polygon(points, fill=colour)
    shade, px = (10, 14, 20), x - 0.05 * half
    _disc(pen, px + 0.16 * half, y - 0.38 * half, 0.13 * half, shade)
    limbs = [
        [(0.12, -0.28), (0.0, 0.2)],
        [(0.0, 0.2), (0.34, 0.42), (0.24, 0.8)],
        [(0.0, 0.2), (-0.2, 0.52), (-0.52, 0.6)],
        [(0.1, -0.2), (0.4, -0.02), (0.56, -0.22)],
        [(0.1, -0.2), (-0.24, -0.04), (-0.4, 0.18)],
    ]
    for limb in limbs:
        path = [(px + a * half, y + b * half) for a, b in limb]
        pen.line(path, fill=shade, width=int(0.16 * half), joint="curve")
    return 1.0


def _closeup(pen, image, at, half, colours, rng):  # type: ignore[no-untyped-def]
    (x, y), (dark, _middle, accent, _light) = at, colours
    skin = _mix(accent, (196, 160, 134), 0.5)
    _disc(pen, x, y - 0.12 * half, 0.82 * half, _mix(dark, (30, 22, 20), 0.5), 0.88 * half)
    _disc(pen, x, y + 0.06 * half, 0.66 * half, skin, 0.9 * half)
    pen.chord(
        (x - 0.66 * half, y - 0.84 * half, x + 0.66 * half, y + 0.96 * half),
        -90, 90, fill=_mix(skin, dark, 0.62),
    )  # fmt: skip
    for way in (-1, 1):
        ex, shade = x + way * 0.27 * half, _mix(dark, (20, 16, 16), 0.6)
        pen.arc(
            (ex - 0.16 * half, y - 0.3 * half, ex + 0.16 * half, y), 190, 350, fill=shade, width=6
        )
        _disc(pen, ex, y - 0.1 * half, 0.1 * half, shade, 0.05 * half)
    pen.line(
        [(x, y - 0.1 * half), (x - 0.1 * half, y + 0.26 * half), (x + 0.04 * half, y + 0.28 * half)],
        fill=_mix(skin, dark, 0.7), width=5,
    )  # fmt: skip
    pen.line(
        [(x - 0.2 * half, y + 0.56 * half), (x + 0.2 * half, y + 0.56 * half)],
        fill=(96, 50, 48),
        width=9,
    )
    return 0.84


def _photograph(pen, image, at, half, colours, rng):  # type: ignore[no-untyped-def]
    (x, y), (dark, middle, _accent, light) = at, colours
    wide = 0.86 * half
    pen.rectangle((x - wide, y - half, x + wide, y + half), fill=(246, 244, 238))
    inner = (x - wide + 12, y - half + 12, x + wide - 12, y + half - 40)
    pen.rectangle(inner, fill=_mix(light, middle, 0.4))
    foot = inner[3]
    ridge = [
        (inner[0], foot - 0.5 * half),
        (x - 0.3 * half, foot - 0.95 * half),
        (x, foot - 0.6 * half),
    ]
    ridge += [(x + 0.35 * half, foot - 1.1 * half), (inner[2], foot - 0.55 * half)]
    pen.polygon([*ridge, (inner[2], foot), (inner[0], foot)], fill=_mix(middle, dark, 0.45))
    pen.rectangle((inner[0], foot - 0.34 * half, inner[2], foot), fill=_mix(middle, dark, 0.75))
    for k in rng.uniform(-0.6, 0.6, 3):
        tall = rng.uniform(0.22, 0.34) * half
        px = x + k * wide
        pen.rectangle((px - 4, foot - 0.2 * half - tall, px + 4, foot - 0.12 * half), fill=dark)
        _disc(pen, px, foot - 0.2 * half - tall, 7, dark)
    return 0.86


def _fingerprint(pen, image, at, half, colours, rng):  # type: ignore[no-untyped-def]
    (x, y), (dark, _middle, accent, light) = at, colours
    _disc(pen, x, y, 0.74 * half, _mix(light, (240, 236, 220), 0.5), half)
    ink, thick = _mix(accent, dark, 0.5), max(4, int(0.055 * half))
    for k in range(1, 8):
        r = k * 0.13 * half
        lift = 0.18 * half - 0.03 * r
        box = (x - 0.7 * r, y + lift - r, x + 0.7 * r, y + lift + r)
        start = float(rng.uniform(-35, 20))
        pen.arc(box, 180 + start * 0.3, 360 + start, fill=ink, width=thick)
        pen.arc(box, 20 + start, 150 + start, fill=ink, width=thick)
    return 0.76


MOTIFS = {
    "Action": _blast,
    "Animation": _creature,
    "Comedy": _grin,
    "Crime": _fingerprint,
    "Documentary": _photograph,
    "Drama": _closeup,
    "Horror": _eye,
    "Romance": _couple,
    "Sci-Fi": _planet,
    "Western": _desert,
}


def _title(
    image: Image.Image,
    title: str,
    middle: float,
    side: str,
    cue: str | None,
    colours: tuple[Colour, Colour, Colour],
    rng: Random,
) -> None:
    name, size, capitals, space = LETTERING[cue]
    text = title.upper() if capitals else title
    lines = _lines(text)
    points = size * W * rng.uniform(0.92, 1.08)
    font = _font(name, max(int(points), 12))
    widest = max(font.getlength(line) + space * points * len(line) for line in lines)
    if widest > 0.88 * W:
        points *= 0.88 * W / widest
        font = _font(name, max(int(points), 12))
    patch = image.crop(
        (int(0.1 * W), int(max(middle - 0.05, 0) * H), int(0.9 * W), int((middle + 0.05) * H))
    )
    lightness = float(np.asarray(patch.resize((8, 4)).convert("L")).mean())
    dark, _accent, light = colours
    ink = _mix(light, (255, 255, 255), 0.4) if lightness < 128 else _mix(dark, (0, 0, 0), 0.4)
    if cue == "Comedy":
        ink = (222, 26, 40)
    elif cue == "Horror":
        ink = (196, 16, 24) if lightness < 150 else (110, 6, 12)
    pen = ImageDraw.Draw(image)
    step = points * 1.12
    top = middle * H - step * len(lines) / 2
    hues = [(255, 210, 40), (240, 70, 70), (60, 190, 90), (60, 130, 240), (250, 130, 30)]
    for number, line in enumerate(lines):
        widths = [font.getlength(letter) + space * points for letter in line]
        total = sum(widths)
        left = {"left": 0.06 * W, "centre": (W - total) / 2, "right": 0.94 * W - total}[side]
        for position, (letter, advance) in enumerate(zip(line, widths, strict=True)):
            lift = rng.uniform(-0.08, 0.08) * points if cue == "Animation" else 0
            fill = hues[(position + number) % 5] if cue == "Animation" else ink
            edge = (2, (30, 30, 60)) if cue == "Animation" else (0, ink)
            at = (left, top + number * step + lift)
            pen.text(at, letter, font=font, fill=fill, stroke_width=edge[0], stroke_fill=edge[1])
            left += advance


def _lines(text: str) -> list[str]:
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > 11:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def _credits(image: Image.Image, light: Colour, rng: Random) -> None:
    pen = ImageDraw.Draw(image)
    patch = image.crop((0, int(0.93 * H), W, H)).resize((4, 2)).convert("L")
    ink = light if float(np.asarray(patch).mean()) < 120 else (50, 48, 50)
    for row in range(int(rng.integers(2, 4))):
        reach = rng.uniform(0.24, 0.4) * W
        y = 0.945 * H + row * 9
        left = W / 2 - reach
        while left < W / 2 + reach:
            end = left + rng.uniform(6, 26)
            pen.line([(left, y), (min(end, W / 2 + reach), y)], fill=ink, width=3)
            left = end + 6


def _age(image: Image.Image, year: int, rng: Random) -> Image.Image:
    old = float(np.clip((1990 - year) / 40, 0, 1))
    pixels = np.asarray(image, dtype=np.float32)
    grey = pixels.mean(axis=2, keepdims=True)
    pixels = grey + (pixels - grey) * (1 - 0.4 * old)
    pixels = pixels * (1 - 0.22 * old) + np.array([232, 214, 178]) * 0.22 * old
    if year >= 2000:
        pixels = (pixels - 128) * 1.08 + 128
    pixels += rng.normal(0, 2.5 + 4 * old, pixels.shape[:2])[..., None]
    aged = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    if year < 1972:
        edge = int(rng.integers(4, 8))
        ImageDraw.Draw(aged).rectangle(
            (0, 0, WIDTH - 1, HEIGHT - 1), outline=(236, 226, 204), width=edge
        )
    return aged
