"""A tour in six pictures: what the package does, each scene with one measured number.

    1  convolve     a cloud of charges and its potential
    2  accuracy     the measured error against the eps asked for
    3  gradients    central differences against vjp, over the step
    4  own kernel   a kernel of one's own in some ten lines, φ(r), and its field
    5  learning     forces of a short- and of a full-range network against the true ones
    6  transfer     the same networks on new points, also on points unlike those they were trained on

    python -m figures.tour
    python -m figures.tour --scenes 1 3 --output /tmp/tour

Every scene is seeded. It takes under a minute on two free processors, more than half of it the training that scenes 5
and 6 share. In the first run ever Numba compiles for every scene, some 1½ minutes more; what it made is kept on disk.

Written are OUTPUT/tour/*.png, OUTPUT/tour.png (all pictures that lie in that folder on one sheet), and OUTPUT/tour.json
with the numbers; what a run leaves out stays there as it was.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from tqdm import tqdm

from validation.tools.common import environment, save_json

from .scenes import INK, SCENES, STYLE, Told

HERE = Path(__file__).parent
SIZE, DPI = (9.0, 5.4), 130  # inches; pixels per inch
COLOURS = 128  # of a picture, so that it is small


def picture(number: int, folder: Path) -> Told:
    """Play one scene and write its picture.

    Parameters
    ----------
    number : int
        Of the scene.
    folder : Path
        Made where it is missing.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    name, title, scene = SCENES[number]
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=SIZE, dpi=DPI, layout="constrained")
        figure.get_layout_engine().set(rect=(0.01, 0.01, 0.98, 0.81), wspace=0.06, hspace=0.06)
        told = scene(figure)
        figure.text(0.025, 0.975, f"{number}  {title}", fontsize=17, fontweight="bold", color=INK, va="top")
        figure.text(0.025, 0.91, told.text, fontsize=10.5, color="0.35", va="top", linespacing=1.25)
        figure.canvas.draw()
        pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()
        plt.close(figure)
    write_picture(folder / f"{number}_{name}.png", pixels)
    return told


def write_picture(path: Path, pixels: np.ndarray) -> None:
    """Write a picture in few colours.

    Parameters
    ----------
    path : Path
        A ``.png``.
    pixels : (height, width, 3) uint8
        Red, green, blue.
    """
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels).quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    image.save(path, optimize=True)


def sheet(folder: Path, path: Path) -> None:
    """All pictures of a folder in two columns.

    Parameters
    ----------
    folder : Path
        Of the scenes.
    path : Path
        The sheet.
    """
    from PIL import Image

    width, height = (round(inches * DPI) for inches in SIZE)
    pictures = [folder / f"{number}_{name}.png" for number, (name, _, _) in SCENES.items()]
    pictures = [file for file in pictures if file.exists()]
    pixels = np.full((-(-len(pictures) // 2) * height, min(2, len(pictures)) * width, 3), 255, dtype=np.uint8)
    for i, file in enumerate(pictures):
        row, column = divmod(i, 2)
        with Image.open(file) as image:
            pixels[row * height : (row + 1) * height, column * width : (column + 1) * width] = image.convert(
                "RGB"
            ).resize((width, height))
    write_picture(path, pixels)


def play(numbers: Iterable[int], output: Path) -> None:
    """Play scenes: a line of text, a picture and a row in the record for each.

    Parameters
    ----------
    numbers : iterable of int
        Which, in this order.
    output : Path
        Folder of the sheet and the record.
    """
    numbers, record_path = list(dict.fromkeys(numbers)), output / "tour.json"
    scenes: dict = {}
    if record_path.exists():
        scenes = json.loads(record_path.read_text(encoding="utf-8"))["scenes"]
    record = environment(None) | {"command": " ".join(["python -m figures.tour", *sys.argv[1:]])}
    for number in tqdm(numbers, desc="scenes", file=sys.stderr, leave=False):
        name, title, _ = SCENES[number]
        begin = time.perf_counter()
        told = picture(number, output / "tour")
        tqdm.write(f"{number}  {title}: {told.text.replace(chr(10), ' ')} [{time.perf_counter() - begin:.1f} s]")
        scenes[str(number)] = {"name": name, "title": title, "text": told.text, "numbers": told.numbers}
        scenes[str(number)] |= {key: record[key] for key in ("command", "date", "processor")}
    save_json(record_path, {"scenes": dict(sorted(scenes.items()))})
    sheet(output / "tour", output / "tour.png")
    print(f"written: {output / 'tour.png'}, {record_path}, {len(numbers)} of {output / 'tour'}/*.png")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m figures.tour", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scenes", type=int, nargs="+", choices=SCENES, default=list(SCENES), help="default: all")
    parser.add_argument("--output", type=Path, default=HERE / "results", metavar="DIR", help="default: figures/results")
    args = parser.parse_args()
    play(args.scenes, args.output)


if __name__ == "__main__":
    main()
