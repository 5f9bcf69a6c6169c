"""How requests go out."""

from __future__ import annotations

from urllib.parse import urlencode

from hypothesis import example, given
from hypothesis import strategies as st

from compat.upstream.senders import Outgoing, whole_url_of

BASE = "https://acme.proctorexam.com/api/v3/student_sessions"
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.dictionaries(TEXTS, TEXTS))
@example({"page": "1", "filter": '{"name":{"eq":"Zoë & co"}}', "٣": "²", "a b": ""})
def test_a_query_is_written_as_the_standard_library_does(parameters: dict[str, str]) -> None:
    written = whole_url_of(Outgoing("GET", BASE, {}, params=parameters))
    assert written == (f"{BASE}?{urlencode(parameters)}" if parameters else BASE)
