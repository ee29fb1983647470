from __future__ import annotations

import json
import time
from html import escape
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_sixtyfour.api.cleaning import Cleaner
from tests.unit.api.properties import searched

KEY = 'k-12345/"q"+x'
CLEANER = Cleaner((KEY,))


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("https://s.example/a.csv?sig=SESAME&x=1 then", "https://s.example/a.csv?*** then"),
        ("no such file: 'https://s.example/a?SESAME'.", "no such file: 'https://s.example/a?***'."),
        ("HTTPS://S.example/A?SESAME", "HTTPS://S.example/A?***"),
        ("s3://bucket/key?X-Amz-Signature=SESAME", "s3://bucket/key?***"),
        ("//host/path?X-Amz-Signature=SESAME", "//host/path?***"),
        ("https:\\/\\/host\\/p?sig=SESAME\\u0026b=SESAME", "https:\\/\\/host\\/p?***"),
        ('{"download_url":"https:\\/\\/h\\/p?SESAME"}', '{"download_url":"https:\\/\\/h\\/p?***"}'),
        ("https%3A%2F%2Fstore%2Fa.csv%3Fsig%3DSESAME%26x%3D1", "https%3A%2F%2Fstore%2Fa.csv?***"),
        ("https%253A%252F%252Fstore%252Fa.csv%253Fsig%253DSESAME", "https%253A%252F%252Fstore%252Fa.csv?***"),
        ("https:\\u002f\\u002fstore\\u002fa\\u003fsig\\u003dSESAME", "https:\\u002f\\u002fstore\\u002fa?***"),
        ("https://h/%E4%F6/a%2Fb.csv?SESAME", "https://h/%E4%F6/a%2Fb.csv?***"),
        ("https://h/a%3FSESAME", "https://h/a?***"),
        ("https://h/a#access_token=SESAME", "https://h/a?***"),
        ("https://user:SESAME@h/a", "https://***@h/a"),
        ("https://h/a,https://user:SESAME@h/b", "https://h/a,https://***@h/b"),
        ("https://h/a?x=1,https://h/b?SESAME", "https://h/a?***"),
        ("got ?X-Amz-Signature=SESAME", "got ?***"),
        ("?a[]=SESAME", "?***"),
        ("sig=SESAME", "sig=***"),
        ("Signature=SESAME&x", "Signature=***"),
        ("&token=SESAME, so", "&token=*** so"),
        ("access_token=SESAME", "access_token=***"),
        ("X-Amz-Credential%3DSESAME", "X-Amz-Credential%3D***"),
        ("sig&#61;SESAME", "sig=***"),
        ('{"access_token": "SESAME"}', '{"access_token": "***"}'),
        ('{\\"signature\\": \\"SESAME\\"}', '{\\"signature\\": \\"***\\"}'),
        ("Authorization: Bearer SESAMESESAME", "Authorization: Bearer ***"),
        ("eyJhbGciOi.eyJpc3MiOiJ.SESAME", "***"),
        ("https://h\x1b[0m/p?si\u200bg=SES\u202eAME", "https://h/p?***"),
        (f"a{KEY}b", "a***b"),
    ],
)
def test_signed_urls_and_credentials_are_cut_in_every_spelling(text: str, cleaned: str):
    assert CLEANER.message(text) == cleaned
    assert "SESAME" not in CLEANER.value(text)


@pytest.mark.parametrize(
    "text",
    [
        "quota exceeded",
        "Invalid token: expired",
        "Why? Because 1 = 1",
        "50 % of rows",
        "What is this?",
        "no such file https://h/a/b.csv.",
        "block 'find_email' (2): 3 < 5 & \"x\"",
        "Größe: 東京 \U0001f600 naïve",
        "C:\\new\\table",
        "key=value",
        "a//b",
        "",
    ],
)
def test_ordinary_text_stays_as_it_is(text: str):
    assert (CLEANER.message(text), CLEANER.value(text)) == (text, text)


SPELLINGS = {
    "plain": KEY,
    "JSON": json.dumps(KEY),
    "JSON in JSON": json.dumps(json.dumps(KEY)),
    "escaped slashes": json.dumps(KEY).replace("/", "\\/"),
    "every letter escaped": "".join(f"\\u{ord(char):04x}" for char in KEY),
    "Python": repr(json.dumps(KEY)),
    "URL": quote(KEY),
    "URL, all": quote(KEY, safe=""),
    "URL, form": quote_plus(KEY),
    "URL, lower case": quote(KEY, safe="").lower(),
    "URL in URL": quote(quote(KEY, safe=""), safe=""),
    "every letter encoded": "".join(f"%{ord(char):02X}" for char in KEY),
    "HTML": KEY.replace('"', "&quot;"),
    "HTML by number": KEY.replace('"', "&#x22;"),
    "zero width": "\u200b".join(KEY),
    "soft hyphens": "\u00ad".join(KEY),
    "directions": f"{KEY[:5]}\u202e{KEY[5:]}",
    "filler": f"{KEY[:5]}\u3164{KEY[5:]}",
    "colours": f"{KEY[:5]}\x1b[31m{KEY[5:]}\x1b[0m",
    "zero width, escaped": f"{KEY[:5]}\\u200b{KEY[5:]}",
    "cursor moves": "\x1b[2K".join(KEY),
    "a title": f"{KEY[:5]}\x1b]0;title\x07{KEY[5:]}",
    "a sequence that is not finished": f"{KEY[:5]}\x1b[3{KEY[5:]}",
    "a sequence with a zero width within": f"{KEY[:5]}\x1b\u200b[0m{KEY[5:]}",
    "a sequence, escaped": f"{KEY[:5]}\\u001b[2J{KEY[5:]}",
}


# To undo what an answer has encoded undoes what looks encoded in the key as well.
@pytest.mark.parametrize(
    "key", ["s3%2fcr/+q'\"z", "k+ey=with&amp;ents", "%41%42secret%", "pa/ss\\u0041rd", "%252541secret'"]
)
def test_a_key_that_looks_encoded_itself_is_cut_in_every_spelling(key: str):
    cleaner = Cleaner((key,))
    for text in (
        *(key, quote(key), quote(key, safe="").lower(), quote(quote(key, safe=""), safe=""), quote_plus(key)),
        *(json.dumps(key), json.dumps(json.dumps(key)), escape(key), escape(escape(key)), repr(key)),
        "".join(f"\\u{ord(char):04x}" for char in key),
        *("".join(f"{before}{ord(char):x}{after}" for char in key) for before, after in (("%", ""), ("&#x", ";"))),
    ):
        for cleaned in (cleaner.message(f"key {text} end"), cleaner.value(f"key {text} end")):
            assert "***" in cleaned, text
            assert text not in cleaned


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize(
    "around",
    [
        *("{}", "you sent {}, which", "x" * 480 + "{}", " " * 19_995 + "{}", "x={}"),
        *("\x1b[{}", "\x9b{}", "\x1b[3{}", "\x1b]0;{}", "\x1b[\u200b{}"),
    ],
)
def test_a_known_secret_is_replaced_in_every_spelling(spelling: str, around: str):
    text = around.format(SPELLINGS[spelling])
    for cleaned in (CLEANER.message(text), CLEANER.name(text), CLEANER.value(text)):
        assert "12345" not in cleaned
        assert "k-1" not in cleaned


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("two\r\nlines\tand\u2028more\u2029end", "two lines and more end"),
        ("\x1b[31mred\x1b[0m \x1b]0;title\x07text\x9b1m", "red text"),
        ("\u202eevil\u202c \u2066x\u2069 \u200bz\ufeff", "evil x z"),
        ("\ud83d half", "half"),
        ("\x00\x07\x7f\x85a", "a"),
        (" \u00a0 a \u3000 b ", "a b"),
    ],
)
def test_a_message_is_one_line_without_what_can_not_be_seen(text: str, line: str):
    assert CLEANER.message(text) == line


def test_lengths_are_bounded():
    long = "x" * 10**6
    assert (len(CLEANER.message(long)), len(CLEANER.name(long)), len(CLEANER.value(long))) == (500, 120, 1000)
    assert len(CLEANER.message("y" * 500)) == 500
    assert CLEANER.message("y" * 500).endswith("y")


@pytest.mark.parametrize("text", ["run-1\u200b", "run-1\n", "\x1b[0mrun-1", "run-1 ", "run\x00-1", "run-1\u202e"])
def test_a_value_that_is_none_is_never_made_one(text: str):
    """What is removed from a message would make another run's id of it."""
    assert CLEANER.value(text) != "run-1"
    assert CLEANER.value(text, blank="_") != "run-1"


def test_a_short_secret_is_not_looked_for():
    assert Cleaner(("k",)).message("take a look") == "take a look"
    assert Cleaner(("k",)).value("kkk") == "kkk"


@pytest.mark.parametrize(
    "text",
    [
        *("//" * 10_000, "%" * 20_000, "//a" + "%a" * 10_000, "\\" * 20_000, "//" + "a%" * 9_000 + "//" + "b" * 2_000),
        *("token" * 4_000, "-token" * 3_300, "a?" * 10_000, "//h" + "/%41" * 5_000, "?" + "a" * 19_999),
        *('"token"' + " " * 19_000, "x-amz-" * 3_300, "\x1b]" * 10_000, "//a@" * 5_000, "//aaaaaaa\\" * 2_000),
        *(KEY[1:] + each for each in ("k\x1b[0" * 4_900, "k" + "\x1b[" * 9_000, "k\x1b]" + "0" * 19_000)),
        *(KEY[1:] + each for each in ("k-" + "\x9b1" * 9_000, "k-\x1b" * 6_000, "k\u200b" * 9_000)),
        *("\\u0025" * 3_000, "%25" * 6_000, "&amp;" * 4_000, "eyJ." * 5_000, "bearer " * 3_000, "\u200b" * 20_000),
    ],
    ids=lambda text: text[-9:],
)
def test_no_text_takes_long(text: str):
    begin = time.process_time()
    CLEANER.message(text)
    CLEANER.value(text)
    assert time.process_time() - begin < 0.5  # most take 10 ms


@searched
@given(text=st.text(max_size=300) | st.text('/?=&%#:\\"u0032fd sig@', max_size=100))
def test_any_text_becomes_a_printable_line(text: str):
    line = CLEANER.message(text)
    assert line.isprintable()
    assert line == " ".join(line.split())
    assert CLEANER.value(text).isprintable()
    assert CLEANER.message(line) == line or "***" in line


@searched
@example(before="\x9b", after="", spelling="colours")
@example(before="\x9b", after="@", spelling="HTML")
@example(before="//", after="", spelling="HTML by number")
@given(
    before=st.text(max_size=30) | st.text("\x1b\x9b[];0m\u200bk-", max_size=9),
    after=st.text(max_size=30),
    spelling=st.sampled_from(sorted(SPELLINGS)),
)
def test_no_text_around_it_keeps_a_secret(before: str, after: str, spelling: str):
    text = f"{before}{SPELLINGS[spelling]} {after}"
    assert KEY not in CLEANER.message(text)
    assert "12345" not in CLEANER.message(text).replace("12345", "", (before + after).count("12345"))


def test_its_repr_names_no_secret():
    assert KEY not in f"{CLEANER!r}{CLEANER}"
