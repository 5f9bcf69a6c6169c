"""The people of the data set: names that real lists hold and that careless code stumbles over."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from random import Random

_FIRST = (
    "Anna", "anna", "ANNA", "Zoë", "Øyvind", "José", "Łukasz", "Đorđe", "Ève", "İpek", "ß-Straße",
    "王", "美咲", "민준", "فاطمة", "נועם", "Ναταλία", "Алёна", "प्रिया", "Tim 🎓", "👩🏽‍💻 Kim", "O'Brien,",
)  # fmt: skip
_LAST = (
    "de Vries", "De Vries", "van der Berg", "Müller", "Muller", "Nguyễn", "小芳", "佐藤", "김", "الزهراء",
    "כהן", "Παπαδοπούλου", "Иванова", "शर्मा", "O’Neill", 'Smith "Junior"', "Smith", "smith", "Ångström",
)  # fmt: skip


@dataclass(frozen=True)
class RosterRow:
    """One person as a roster lists them; a value that is not known is None."""

    user_id: str
    email: str
    name: str
    student_id: int | None
    external_id: str | None


def make_roster(size: int, random: Random) -> tuple[RosterRow, ...]:
    """That many people with distinct user ids and email addresses; names repeat."""
    return tuple(_person(number, random) for number in range(1, size + 1))


def _person(number: int, random: Random) -> RosterRow:
    user_id = uuid.UUID(int=random.getrandbits(128), version=4)
    student_id: int | None = 100_000 + (number * 7919) % 900_000
    if number % 6 == 0:
        student_id = None
    elif number % 17 == 0:
        # Beyond what a double holds: whoever reads numbers as floats changes it.
        student_id = 2**53 + number
    return RosterRow(
        user_id=str(user_id),
        email=f"{random.choice(('student', 'Student', 'étudiant'))}{number}@example.com",
        name=f"{random.choice(_FIRST)} {random.choice(_LAST)}",
        student_id=student_id,
        external_id=None if number % 4 == 0 else f"{number:06d}",
    )
