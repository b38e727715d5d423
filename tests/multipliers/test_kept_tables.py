"""A plan keeps the table of a multiplier only as long as φ̂ is the same: results have no past."""

from __future__ import annotations

import copy
import pickle
from functools import partial, wraps
from types import SimpleNamespace

import numpy as np
import pytest

from lrc_numba import (
    ChannelMatrix,
    ExponentialKernel,
    Gaussian,
    InversePower,
    LRCPlan,
    Multiplier,
    RadialSpline,
    SumOfGaussians,
    Table,
    Yukawa,
)

MODES = 2401  # 1201 numbers are stored, more than NumPy prints
POINTS, VALUES = np.random.default_rng(0).random((5, 1)), np.array([1.0, -0.3, 0.7, 2.0, 0.1])
STRENGTH, STRENGTHS = 1.0, {"only": 1.0}


def strength() -> float:
    """A function that kernels below name."""
    return STRENGTH


class Own(Multiplier):
    """A Gaussian of a user's own times what ``factor`` says; ``held`` is any attribute."""

    by_class = 1.0

    def __init__(self, held=None):
        super().__init__()
        self.held = held

    def factor(self, modes):
        """A number, or one for every mode."""
        return self.held

    def values(self, modes):
        """φ̂."""
        return self.factor(modes) * np.exp(-1e-6 * modes.k2)


class OfMultipliers(Own):
    """Multipliers in a container."""

    def factor(self, modes):
        """Their sum."""
        parts = self.held.values() if isinstance(self.held, dict) else self.held
        return sum(part.values(modes) for part in parts)


class OfAFunction(Own):
    """A function without parameters."""

    def factor(self, modes):
        """What it returns."""
        return self.held()


class OfItems(Own):
    """A list in an attribute, an object's attribute, a global, a default, and more."""

    def factor(self, modes, kept=STRENGTHS):
        """Their product."""
        first = self.held[0] if isinstance(self.held, list) else 1.0
        return first * STRENGTH * strength() * kept["only"] * self.by_class * getattr(self, "later", 1.0)


class OfASign(Own):
    """A zero whose sign matters."""

    def factor(self, modes):
        """3 or 1."""
        return 2.0 + np.copysign(1.0, self.held)


class OfAnObject(Own):
    """An object of an unknown class."""

    def factor(self, modes):
        """Its attribute."""
        return self.held.scale


def set_item(container, key, value):
    """``container[key] = value``."""
    container[key] = value


def nested():
    """A kernel whose function is a closure."""
    kept = [1.0]
    return OfAFunction(lambda: kept[0]), lambda: set_item(kept, 0, 50.0)


def with_array(index, value):
    """A kernel with one number per mode, one of which changes."""
    kernel = Own(np.ones(MODES // 2 + 1))
    return kernel, lambda: set_item(kernel.held, index, value)


def with_parts(container, part):
    """A kernel with a multiplier in a container, whose amplitude changes."""
    return OfMultipliers(container), lambda: part.parameters["amplitudes"].fill(50.0)


def bound():
    """A kernel with a bound method of a list."""
    kept = [50.0, 1.0]
    return OfAFunction(partial(kept.__getitem__, 0)), lambda: set_item(kept, 0, 1.0)


def with_sign():
    """A kernel of a zero that changes its sign."""
    kernel = OfASign(0.0)
    return kernel, lambda: setattr(kernel, "held", -0.0)


def with_object():
    """A kernel with an object of an unknown class."""
    kernel = OfAnObject(SimpleNamespace(scale=1.0))
    return kernel, lambda: setattr(kernel.held, "scale", 50.0)


def with_items(change):
    """A kernel of many small things, one of which changes."""
    kernel = OfItems([1.0])
    return kernel, lambda: change(kernel)


def parts():
    """A multiplier to be put into a container."""
    return SumOfGaussians([1.0], [0.1])


def another_factor(self, modes):
    """In place of ``factor``."""
    return 50.0


def in_a(container):
    """``with_parts`` of a container of one multiplier."""
    part = parts()
    return with_parts(container(part), part)


class OfAClass(type):
    """A class of classes that holds a number."""

    by_metaclass = 1.0


class OfAMetaclass(Own, metaclass=OfAClass):
    """A number that only the class of the class has."""

    def factor(self, modes):
        """That number."""
        return type(self).by_metaclass


class OfGlobals(Own):
    """A global, by way of the method that has it."""

    def factor(self, modes):
        """That global."""
        return self.factor.__func__.__globals__["STRENGTH"]


def in_disguise():
    """A kernel of a closure that calls itself a function of NumPy."""
    kept = [1.0]
    return OfAFunction(wraps(np.sin)(lambda: kept[0])), lambda: set_item(kept, 0, 50.0)


CHANGES = {
    "one of many numbers": lambda patch: with_array(600, 1000.0),
    "the last digits": lambda patch: with_array(0, 1.0 + 1e-9),
    "the sign of zero": lambda patch: with_sign(),
    "a list": lambda patch: in_a(lambda part: [part]),
    "a tuple in a list": lambda patch: in_a(lambda part: (part,)),
    "a dict": lambda patch: in_a(lambda part: {"part": part}),
    "a set": lambda patch: in_a(lambda part: {part}),
    "a closure": lambda patch: nested(),
    "a bound method": lambda patch: bound(),
    "an object": lambda patch: with_object(),
    "a number in a list": lambda patch: with_items(lambda kernel: set_item(kernel.held, 0, 50.0)),
    "an attribute of the class": lambda patch: with_items(lambda k: patch.setattr(OfItems, "by_class", 50.0, False)),
    "an attribute of its base": lambda patch: with_items(lambda k: patch.setattr(Own, "by_class", 50.0)),
    "a method of the class": lambda patch: with_items(lambda k: patch.setattr(OfItems, "factor", another_factor)),
    "a new attribute": lambda patch: with_items(lambda kernel: setattr(kernel, "later", 50.0)),
    "a global": lambda patch: with_items(lambda k: patch.setitem(globals(), "STRENGTH", 50.0)),
    "the class of the class": lambda p: (OfAMetaclass(), lambda: p.setattr(OfAClass, "by_metaclass", 50.0)),
    "the globals of a function": lambda p: (OfGlobals(), lambda: p.setitem(globals(), "STRENGTH", 50.0)),
    "a function in disguise": lambda patch: in_disguise(),
    "a default": lambda patch: with_items(lambda k: patch.setitem(STRENGTHS, "only", 50.0)),
}
EVERY = {
    "Yukawa": (Yukawa([1.0, 2.0]), "lam"),
    "ExponentialKernel": (ExponentialKernel(), "mu"),
    "Gaussian": (Gaussian(0.01), "sigma"),
    "SumOfGaussians": (SumOfGaussians([1.0, 2.0], [0.01, 0.1]), "sigmas"),
    "InversePower": (InversePower(0.5, 0.01), "sigma"),
    "RadialSpline": (RadialSpline(np.ones(6), 9.0), "coefficients"),
    "Table": (Table(np.ones(MODES // 2 + 1), 1), "real"),
    "ChannelMatrix": (ChannelMatrix([[1.0]], Yukawa()), "kernel.lam"),
    "Sum": (Yukawa() + Gaussian(), "right.sigma"),
    "Product": (Yukawa() * Gaussian(), "left.beta"),
    "Scaled": (2 * (Yukawa() + Gaussian()), "left.beta"),
    "Own": (Own(3.0), None),
    "Own with a list": (OfItems([1.0]), None),
    "Own with kernels": (OfMultipliers({"a": [Yukawa()], "b": (1, "x", None, True, {2.0}, np.float32(1))}), None),
}


def plan() -> LRCPlan:
    """A plan of many modes."""
    return LRCPlan(1.0, MODES, eps=1e-5, dim=1, threads=1).set_points(POINTS)


@pytest.mark.parametrize("name", CHANGES)
def test_no_old_table(name, monkeypatch):
    """After a change of whatever φ̂ is made of, a plan gives bit for bit what a new one gives."""
    kernel, change = CHANGES[name](monkeypatch)
    used = plan()
    before = used.convolve(VALUES, kernel)
    change()
    after = used.convolve(VALUES, kernel)
    np.testing.assert_array_equal(after, plan().convolve(VALUES, kernel))
    assert not np.array_equal(after, before)


@pytest.mark.parametrize("name", EVERY)
def test_states_tell_changes(name):
    """A state that can be told is equal until something changes, were it the last digit of one number."""
    kernel, parameter = EVERY[name]
    before = kernel.state()
    assert before is not None
    assert kernel.state() == before
    if parameter is not None:
        array = kernel.parameters[parameter]
        kept = array.copy()
        array.flat[0] = np.nextafter(array.flat[0], np.inf)
        assert kernel.state() != before
        array[...] = kept
        assert kernel.state() == before
        other = Yukawa(3.0) if name != "Yukawa" else Gaussian()
        assert other.state() != before


def test_uncertain_states_are_none():
    """Closures, objects, bound methods, masked arrays and containers that contain themselves cannot be compared."""
    loop: list = []
    loop.append(loop)
    local = 2.0
    held = (lambda: local, object(), [].append, np.ma.masked_array([1.0]), loop, np.array([None]), Own)
    for thing in held:
        assert Own(thing).state() is None
        assert Own([{"deep": thing}]).state() is None
        assert (Yukawa() + Own(thing)).state() is None

    class Local(Own):
        def factor(self, modes):
            return local

    assert Local().state() is None


def test_tables_are_kept():
    """The same multiplier in the same state is not tabulated again, where its state can be told."""
    kernel, used = Yukawa(), plan()
    first = used.convolve(VALUES, kernel)
    calls = []

    class Counting(Yukawa):
        def state(self):  # knows better: nothing but the parameters matters
            return tuple(value.tobytes() for value in self.parameters.values())

        def values(self, modes):
            calls.append(modes)
            return super().values(modes)

    counting = Counting()
    for _ in range(3):
        np.testing.assert_array_equal(used.convolve(VALUES, counting), first)
    assert len(calls) == 1
    counting.parameters["beta"] = 2.0
    used.convolve(VALUES, counting)
    assert len(calls) == 2


@pytest.mark.parametrize("name", [name for name in EVERY if name != "Own with kernels"])  # that is no φ̂
def test_plans_with_a_table_can_be_copied(name):
    """By ``copy``, and by ``pickle`` as processes do, with the table that they keep."""
    kernel, _ = EVERY[name]
    used = plan()
    u = used.convolve(VALUES, kernel)
    for twin, same in ((copy.copy(used), copy.deepcopy(kernel)), pickle.loads(pickle.dumps((used, kernel)))):
        np.testing.assert_array_equal(twin.convolve(VALUES, same), u)


def test_a_changed_multiplier_is_noticed():
    """Also where what changed is not a parameter."""
    points = np.random.default_rng(0).random((30, 3))
    plan, kernel = LRCPlan(1.0, 9, dim=3).set_points(points), InversePower(1.0, 0.1)
    plan.convolve(None, kernel)
    kernel.exponent = 0.5
    found = plan.convolve(None, kernel)
    np.testing.assert_array_equal(found, plan.convolve(None, InversePower(0.5, 0.1)))


class Careless(Gaussian):
    """A Gaussian that scales the wavenumbers of the plan where they are."""

    def __init__(self, name):
        super().__init__(0.01)
        self.name = name

    def values(self, modes):
        """φ̂ of other wavenumbers."""
        shared = getattr(modes, self.name)
        shared *= 0.5
        return super().values(modes)


@pytest.mark.parametrize("again", [lambda plan: plan, copy.copy], ids=["plan", "copy"])
@pytest.mark.parametrize("name", ["k", "k2", "norm", "weights"])
def test_kernels_cannot_change_the_modes_of_a_plan(name, again):
    """What a plan and its copies give does not depend on a kernel that came before: it may not write to the modes."""
    wanted = plan().convolve(VALUES, Gaussian(0.01))
    used = again(plan())
    used.convolve(VALUES, Yukawa())  # whatever is made when it is first needed is there
    used = again(used)
    with pytest.raises(ValueError, match="read-only"):
        used.convolve(VALUES, Careless(name))
    np.testing.assert_array_equal(used.convolve(VALUES, Gaussian(0.01)), wanted)


def test_copies_give_the_same_bits():
    """Also where one mode of the last axis is all there is: every sum runs over memory of the same kind."""
    points, values = np.random.default_rng(1).random((5, 2)), np.random.default_rng(2).standard_normal((5, 2))
    kernel = ChannelMatrix(np.random.default_rng(3).standard_normal((3, 2)), Gaussian(0.2))
    fresh = LRCPlan(1.7, (11, 2), eps=1e-4).set_points(points)
    copied = copy.copy(fresh)
    copied.convolve(values, kernel)
    again = copy.copy(copied).convolve(values, kernel, exclude_self=True)
    np.testing.assert_array_equal(again, fresh.convolve(values, kernel, exclude_self=True))
