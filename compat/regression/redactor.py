"""Makes of a call and its answers what a recording keeps of them."""

from __future__ import annotations

from datetime import tzinfo

from compat.legacy.routes import LegacyCall
from compat.regression.answers import ReadAnswer
from compat.regression.pairs import Answered
from compat.regression.pseudonyms import Names, OrderedNames, PseudonymKey
from compat.regression.questions import Question
from compat.regression.recorded import RecordedAnswer, RecordedCall
from compat.regression.redaction import Redaction

__all__ = ["CallRedactor"]


class CallRedactor:
    """Makes recorded calls; its pseudonyms sort among each other.

    Args:
        key: makes the digests.
        zone: in which the old endpoint reads times without an offset.
        names: gives the pseudonyms; None for new ones.
    """

    def __init__(self, key: PseudonymKey, zone: tzinfo, names: Names | None = None) -> None:
        self._key = key
        self._zone = zone
        self._names = OrderedNames(key) if names is None else names
        self._redaction = Redaction(key, self._names)

    def call(
        self,
        call: LegacyCall,
        *,
        old: Answered | None = None,
        new: Answered | None = None,
        caller: str | None = None,
        at: float = 0.0,
    ) -> RecordedCall:
        """What is kept of a call.

        Args:
            call: the call, as it came.
            old: what the old endpoint answered, where it was asked.
            new: what the shim answered from the new one, where it was asked.
            caller: whose it is by the configuration.
            at: when it came, seconds since the epoch.

        Raises:
            Exhausted: the pseudonyms have no place left for one more; others have.
        """
        question = Question.of(call, self._zone)
        answers = [None if answered is None else ReadAnswer(answered) for answered in (old, new)]
        for column, values in question.values().items():
            self._names.assign(column, values)
        self._redaction.take_note([record for answer in answers if answer is not None for record in answer.records])
        parameters, exact = question.translated(self._names, self._key)
        return RecordedCall(
            route=call.route.action,
            exam_id=question.exam_id or f"withheld-{self._key.digest('id', call.exam_id).hex()}",
            parameters=parameters,
            exact=exact,
            caller=caller,
            at=round(at, 3),
            method=call.method,
            old=self._kept(answers[0]),
            new=self._kept(answers[1]),
        )

    def answer(self, answered: Answered) -> RecordedAnswer:
        """What is kept of an answer alone.

        Raises:
            Exhausted: as :meth:`call` does.
        """
        read = ReadAnswer(answered)
        self._redaction.take_note(read.records)
        return read.kept(self._redaction, self._key)

    def _kept(self, read: ReadAnswer | None) -> RecordedAnswer | None:
        return None if read is None else read.kept(self._redaction, self._key)
