"""A VM that reaches every kind of thing a module can hold."""

# ruff: noqa
# mypy: ignore-errors

import abc, enum, functools, itertools, re, threading, time, typing, decimal, fractions, collections, logging, random, contextvars, os, sys
from dataclasses import dataclass, field
from os import environ
from sys import argv, path
from collections import namedtuple, defaultdict
class Color(enum.Enum):
    RED = 1
    BLUE = "b"
class Flag(enum.IntFlag):
    A = 1
    B = 2
class NT(typing.NamedTuple):
    a: int
    b: str = "x"
Old = namedtuple("Old", "x y")
@dataclass(frozen=True, slots=True)
class DC:
    a: int = 1
    b: list = field(default_factory=list)
T = typing.TypeVar("T")
class Gen(typing.Generic[T]):
    def m(self, x: T) -> T: return x
class Proto(typing.Protocol):
    def p(self) -> int: ...
class Abs(abc.ABC):
    @abc.abstractmethod
    def q(self): ...
class Conc(Abs, Gen[int]):
    def q(self): return 1
    @functools.cached_property
    def c(self): return 2
    @property
    def pr(self): return 3
    @classmethod
    def cm(cls): return 4
    @staticmethod
    def sm(): return 5
@functools.lru_cache(maxsize=None)
def cached(n): return n
@functools.singledispatch
def disp(x): return 0
@disp.register
def _(x: int): return 1
LOCK = threading.Lock(); LOCAL = threading.local(); LOG = logging.getLogger("x"); RNG = random.Random(3); CV = contextvars.ContextVar("CV", default=1)
PAT = re.compile("a+"); DEC = decimal.Decimal("1.5"); FR = fractions.Fraction(1,3); DD = defaultdict(list, a=[1]); DQ = collections.deque([1,2]); PART = functools.partial(cached, 3)
NTV = NT(1); DCV = DC(); SET = {1,2,"a"}; FS = frozenset({"x","y"}); LAM = lambda x: x + 1; CC = Conc(); GEN = (i for i in range(3)); MV = memoryview(b"x")
CYC = []; CYC.append(CYC)
class Meta(type):
    def __repr__(cls): raise RuntimeError
class WithMeta(metaclass=Meta): x = 1
BAD = WithMeta()
class Slots:
    __slots__ = ("a",)
    def __init__(self): self.a = 1
SL = Slots()
class V:
    colors = list(Color)
    table = {Color.RED: 1, (1, 2): "x"}
    def execute(self, tx, state, ctx):
        cached(1); disp(1); LOCK, LOCAL, LOG, RNG, CV, PAT, DEC, FR, DD, DQ, PART, NTV, DCV, SET, FS, LAM, CC, GEN, MV, CYC, BAD, SL, environ, argv, path
        return b"%d%d" % (Color.RED.value, Flag.A | Flag.B) + NT(1).b.encode() + repr(Old(1,2)).encode() + b"%d" % DC().a + (lambda: b"%d" % CC.q())() + bytes([65 + i for i in range(2)])
