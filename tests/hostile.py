"""Texts that somebody might type, or a host might answer, to make them into options, code, patterns or other names."""

from __future__ import annotations

from hypothesis import strategies as st

#: No name of ours, whatever it is the name of.
NAMES: tuple[object, ...] = (
    "",
    " ",
    ".",
    "..",
    "../x",
    ".hidden",
    "_x",
    "-",
    "-x",
    "-oProxyCommand=touch /tmp/x",
    "--help",
    "a b",
    " a",
    "a ",
    "a\nb",
    "a\n",
    "\na",
    "a\r",
    "a\t",
    "a\x00",
    "a\x00b",
    "a\x7f",
    "a\x1b[2J",
    "a\x85",
    "a\u2028",
    "a/b",
    "a\\b",
    "web:x",
    "web::x",
    "a@b",
    "a+b",
    "a%b",
    "a,b",
    "a=b",
    "{now}",
    "{client}",
    "{{ 7*7 }}",
    "{% raw %}",
    "re:.*",
    "sh:**",
    "pp:etc",
    "*",
    "~root",
    "a;id",
    "a|id",
    "a&id",
    "$(id)",
    "`id`",
    "a'b",
    'a"b',
    "<a>",
    "é",
    "\u0430bc",  # a Cyrillic letter
    "we\u212a",  # the Kelvin sign, which a search without case takes for a k
    "\u017ftorage",  # the long s
    "\uff57\uff45\uff42",  # full-width letters
    "web\uff11",  # a full-width digit
    "web\u0661",  # an Arabic digit
    "web\u00b2",  # a raised digit
    "we\u200bb",  # an invisible blank
    "we\u202eb",  # turns the rest round
    "we\u0301b",  # a mark of its own
    "we\udcffb",  # half a character
    "a" * 64,
    "a" * 1_000_000,
    None,
    True,
    5,
    1.5,
    b"web",
    ["web"],
    {"web": 1},
    10**5000,
)

#: No host: neither a name after RFC 1123 nor an address.
HOSTS: tuple[object, ...] = (
    *(name for name in NAMES if name != "a" * 1_000_000),
    "a_b",
    "a..b",
    ".a",
    "a.",
    "a-",
    "a-.b",
    "a.-b",
    "a" * 64 + ".b",
    ".".join(["abcdefg"] * 32),
    "127.1",
    "2130706433",
    "0x7f000001",
    "256.1.1.1",
    "1.2.3.4.5",
    "1.2.3",
    "\uff11.2.3.4",
    "10.0.0.1/8",
    "10.0.0.1:22",
    "[::1]",
    "::1%eth0",
    "fe80::1%{now}",
    ":::",
    "web:22",
    "root@web",
)

#: No Unix account that ssh could be told.
ACCOUNTS: tuple[object, ...] = (
    *(name for name in NAMES if name not in ("_x", None)),
    "1a",
    "a" * 33,
    "-oProxyCommand=x",
    "root;id",
    "machine$",
    "DOMAIN\\user",
)

#: Characters that show as nothing, as something else, or not where they stand.
unseen = st.characters(categories=["Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"])


@st.composite
def spoiled(draw: st.DrawFn, good: str) -> str:
    """A good text with an unseen character somewhere in it."""
    place = draw(st.integers(0, len(good)))
    return good[:place] + draw(unseen) + good[place:]
