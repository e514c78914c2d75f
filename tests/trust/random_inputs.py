"""Random input for parsers: noise, and valid input that is cut, spliced and changed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from tracrlab.rasp.tokens import VOCABULARY

#: What program texts are made of, and what they are not.
_PIECES = (
    *("v1", "v2", "tokens", "indices", " = ", "(", ")", ", ", "\n", " : numerical", '"', "\\"),
    *("Map", "Select", "Aggregate", "SelectorWidth", "SequenceMap", "LinearSequenceMap", "x"),
    *("key", "query", "==", "<", "1", "-0.5", "1e999", "True", "None", "#", "\x00", "\u2028", "é"),
    *("0x", "'", '"\\d"', "(1,", "()", "9" * 30, "1_0", "b''", "f''", "__import__('os')", "\ud800"),
    *("((((" * 30, "- " * 60, "[", "]", "{", "}", "lambda", ";", "\t", "\r", "∞", "nan", "inf"),
)


def mutated(valid: Sequence, other: Sequence, fresh, generator: random.Random) -> list:
    """A valid sequence after one to four changes: cut, doubled, spliced or with new elements."""
    items = list(valid)
    for _ in range(generator.randint(1, 4)):
        if not items:
            break
        start = generator.randrange(len(items))
        end = min(len(items), start + generator.randint(1, 8))
        change = generator.randrange(5)
        if change == 0:
            del items[start:end]
        elif change == 1:
            items[start:start] = items[start:end]
        elif change == 2:
            place = generator.randrange(len(other))
            items[start:end] = other[place : place + generator.randint(1, 8)]
        elif change == 3:
            items[start] = fresh()
        else:
            items = items[:start]
    return items


def texts(valid: Sequence[str], count: int, seed: int) -> Iterator[str]:
    """Program texts."""
    generator = random.Random(seed)
    for number in range(count):
        kind = number % 3
        if kind == 0:
            yield generator.randbytes(generator.randint(0, 80)).decode("latin-1")
        elif kind == 1:
            yield "".join(generator.choices(_PIECES, k=generator.randint(1, 30)))
        else:
            first, second = generator.choices(valid, k=2)
            yield "".join(mutated(first, second, lambda: generator.choice(_PIECES), generator))


def token_sequences(valid: Sequence[Sequence[int]], count: int, seed: int) -> Iterator[list]:
    """Token ids, some of them outside the vocabulary."""
    generator = random.Random(seed)

    def fresh() -> int:
        return generator.randrange(-2, len(VOCABULARY) + 2)

    for number in range(count):
        if number % 3 == 0:
            yield [fresh() for _ in range(generator.randint(0, 40))]
        else:
            first, second = generator.choices(valid, k=2)
            yield mutated(first, second, fresh, generator)


def byte_strings(valid: Sequence[bytes], count: int, seed: int) -> Iterator[bytes]:
    """Contents of files; half of them keep the magic numbers of a valid one."""
    generator = random.Random(seed)
    for number in range(count):
        model = generator.choice(valid)
        if number % 4 == 0:
            yield generator.randbytes(generator.randint(0, 300))
        elif number % 4 == 1:
            yield model[:16] + generator.randbytes(generator.randint(0, 300)) + model[-16:]
        else:
            items = bytearray(model)
            for _ in range(generator.randint(1, 30)):
                items[generator.randrange(len(items))] = generator.randrange(256)
            if number % 4 == 3:
                start = generator.randrange(len(items))
                items[start : start + generator.randint(1, 200)] = generator.randbytes(
                    generator.randint(0, 200)
                )
            yield bytes(items)
