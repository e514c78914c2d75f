"""A task of one's own: the last vowel of a row of letters.

The workflow takes it up with one line in `config/config.yaml`:

    injection:
      tasks: [count, addition, shuffle_dyck, config/tasks/last_vowel.py]

Check it alone with `tracrlab check-tasks config/tasks/last_vowel.py`.
"""

from dataclasses import dataclass

from tracr.rasp import rasp

from tracrlab.tasks import COMPUTE, END, OTHER, Piece, TestSet, example

VOWELS = ("a", "e", "i", "o", "u")
CONSONANTS = ("b", "d", "k", "m", "s", "t")
LONGEST = 12


def letters_example(letters):
    """`What is the last vowel? b a t. Answer: a`; consonants are read as `OTHER`."""
    last = [letter for letter in letters if letter in VOWELS][-1]
    row = [Piece(f" {letter}", letter if letter in VOWELS else OTHER) for letter in letters]
    prompt = [Piece("What is the last vowel?"), *row, Piece(". Answer"), Piece(":")]
    return example(prompt, [Piece(f" {last}", last)])


def letters_of(rng, shortest, longest, letters):
    """Random letters with at least one vowel among them."""
    while True:
        drawn = rng.choice(letters, size=int(rng.integers(shortest, longest + 1))).tolist()
        if set(drawn) & set(VOWELS):
            return drawn


@dataclass(frozen=True)
class LastVowel:
    """The members of a task, see docs/tasks.md."""

    name: str = "last_vowel"
    description: str = "The last vowel of a row of letters"
    vocabulary: tuple = (*VOWELS, OTHER, COMPUTE)
    answers: tuple = (*(f" {vowel}" for vowel in VOWELS), END)
    max_seq_len: int = 24
    test_sets: tuple = (
        TestSet(
            "vowels_only",
            "letters that are all vowels",
            solved=True,
            draw=lambda rng: letters_example(letters_of(rng, 6, LONGEST, VOWELS)),
        ),
        TestSet(
            "length_3x",
            "13 to 36 letters, more than the program takes",
            solved=False,
            draw=lambda rng: letters_example(letters_of(rng, 13, 36, VOWELS + CONSONANTS)),
        ),
    )

    def program(self):
        """How many vowels there have been, and the vowel with which that number was reached."""
        tokens = rasp.tokens
        is_vowel = rasp.Select(tokens, tokens, lambda key, query: key in VOWELS)
        vowels = rasp.SelectorWidth(is_vowel).named("vowels")
        here = rasp.SequenceMap(
            lambda token, number: number if token in VOWELS else 0, tokens, vowels
        ).named("number")
        found = rasp.Select(here, vowels, lambda key, query: key == query and query > 0)
        last = rasp.Aggregate(found, tokens).named("last")
        return rasp.SequenceMap(
            lambda vowel, token: f" {vowel}" if token == COMPUTE else END, last, tokens
        ).named("answer")

    def inputs(self):
        """Every number of vowels, ending with each of them."""
        return [
            (*[VOWELS[0]] * before, vowel, OTHER, COMPUTE, vowel)
            for before in range(LONGEST)
            for vowel in VOWELS
        ]

    def sample(self, rng):
        """2 to 12 letters with a vowel, at least one of them a consonant."""
        while True:
            letters = letters_of(rng, 2, LONGEST, VOWELS + CONSONANTS)
            if set(letters) & set(CONSONANTS):
                return letters_example(letters)


task = LastVowel()
