"""Forms of a learned long range on real data: none, attention, convolution, learned charges, and two of them at once.

All have the same messages, data and training; see ``validation.tools.forms`` for the forms and ``validation.systems``
for the data, each of which says where the original is. What --data names decides which data these are:

  a folder with dimer_CC.npz and so on        binding curves of charged and polar molecules
  sn2_F_I.npz                                 a reaction in which an ion leaves, also with rigid molecules
  point_charges.npz                           forces of random charges with a core, and without it
  random                                      energies and forces of random ions by Ewald summation, drawn here

  python -m validation.long_range --data FOLDER --quick
  python -m validation.long_range --data sn2_F_I.npz --model convolution attention --seeds 0,1,2
  python -m validation.long_range --data FOLDER --classes CA PA
  python -m validation.long_range --data FOLDER --compare potentials
  python -m validation.long_range --data FOLDER --rehearse      learn from a part of what is learned from, and test on
                                                                what is left of that: to choose settings

Rows and seeds of earlier calls stay in the table; --rehearse and other --steps have tables of their own, in folders.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

from .systems.dimers import CLASSES, KNOWN, dimers
from .systems.point_charges import point_charges
from .systems.random_ions import random_ions
from .systems.sn2 import sn2
from .tools.forms import COMPARISONS, System, record_name, run
from .tools.learning import check_on_file, folder_of, learning_arguments
from .tools.npz import array_names, shortened

DRAWN = "random"


def system_of(args: Namespace) -> System:
    """The data that --data names; the script ends with an error where they are not there."""
    path: Path = args.data
    if tuple(args.classes) != CLASSES and not path.is_dir():
        raise ValueError(f"--classes: are those of dimers, which are read from a folder, got --data {path}")
    if str(path) == DRAWN:
        return random_ions(args)
    if not path.exists():
        sys.exit(f"--data: there is no {path}; see --help for what data there are, and validation.systems for where")
    if path.is_dir():
        missing = [name for name in args.classes if not (path / f"dimer_{name}.npz").exists()]
        if missing:
            raise ValueError(f"--data: expected dimer_{missing[0]}.npz in {path}, as for {', '.join(args.classes)}")
        return dimers(path, args)
    names = set(array_names(path))
    if "reaction_coordinate" in names:
        return sn2(path, args)
    if {"charges", "forces", "box"} <= names:
        return point_charges(path, args)
    raise ValueError(f"--data: expected one of the files that --help names, got {path} with {shortened(names)}")


def main() -> None:
    parser = learning_arguments("long_range", __doc__ or "", f"file or folder, see above, or {DRAWN!r}")
    known = list(dict.fromkeys(form for forms in COMPARISONS.values() for form in forms))
    text = "forms of a long range, or potentials of learned charges (default: %(default)s)"
    parser.add_argument("--compare", choices=COMPARISONS, default="forms", help=text)
    parser.add_argument("--model", nargs="+", choices=known, help="rows (default: all of the comparison)")
    text = f"of dimers, learned together (default: {' '.join(CLASSES)}); others have a table of their own"
    parser.add_argument("--classes", nargs="+", choices=KNOWN, default=CLASSES, help=text)
    parser.add_argument("--rehearse", action="store_true", help="see above; results go to a folder of their own")
    args = parser.parse_args()
    forms = COMPARISONS[args.compare]
    if strange := [form for form in args.model or () if form not in forms]:
        parser.error(f"--model: expected rows of --compare {args.compare}, {', '.join(forms)}, got {strange[0]}")
    try:
        system = system_of(args)
    except ValueError as wrong:
        parser.error(str(wrong))
    args.output = folder_of(args, system.usual_steps)
    check_on_file(parser, args, [f"{record_name(system, args.compare)} {task}" for task in system.tasks])
    run(system, args.compare, args.model or forms, args)


if __name__ == "__main__":
    main()
