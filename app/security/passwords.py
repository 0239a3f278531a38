"""Passwords that everybody tries first, and passwords that nobody chose."""

from __future__ import annotations

import secrets
from functools import cache

LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # nothing that is read for something else on paper


def generate_password(*, groups: int = 4) -> str:
    """A password nobody chose: groups of five characters, about 25 bits each."""
    return "-".join("".join(secrets.choice(LETTERS) for _n in range(5)) for _group in range(groups))


@cache
def common() -> frozenset[str]:
    """What is tried first: the 30,000 passwords people chose most, and what they choose here; folded.

    The list is long, so it is read when the first password is to be checked.
    """
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    return frozenset(FREQUENCY_LISTS["passwords"]) | OWN


_WORDS = """
password passw0rd p@ssw0rd qwertyuiop qwerty123 qwerty12345 qwertyuiop123 1q2w3e4r 1q2w3e4r5t 1qaz2wsx 1qaz2wsx3edc
zaq12wsx iloveyou letmein welcome welcome1 welcome123 admin admin123 admin1234 administrator root toor changeme
changeme123 secret secret123 abc123 abcd1234 abc123456 abcdefghij asdfghjkl asdf1234 asdfghjkl123 zxcvbnm zxcvbnm123
football baseball basketball superman batman dragon monkey sunshine princess trustno1 starwars master shadow michael
jordan23 computer internet samsung google facebook whatever freedom hello123 hellohello login123 test1234 testtest
test123456 guest guest123 default default123 password1 password12 password123 password1234 password12345 password!
woaini woaini520 woaini1314 5201314 520131400 1314520 woaini123 aini1314 nihao123 nihaoma zhongguo zhongguo123
beijing2008 shanghai123 qq123456 qq123456789 a123456789 a1234567890 aa123456 aa12345678 aaa123456 q123456789
wang123456 zhang123456 li123456789 huawei123 taobao123 alibaba123 weixin123 mima123456 mimamima 88888888 8888888888
66666666 6666666666 iloveyou1314 company123 office123 summer2026 winter2026 spring2026 autumn2026 crm123456
""".split()

OWN = frozenset(
    _WORDS
    + ["0123456789", "1234567890", "9876543210", "0987654321", "12345678910", "123456789a", "123123123123"]
    + [f"{word}{year}" for word in ("password", "admin", "qwerty", "welcome") for year in range(1990, 2031)]
    + ["".join(str((start + i) % 10) for i in range(n)) for start in range(10) for n in range(10, 16)]
    + ["".join(str((start - i) % 10) for i in range(n)) for start in range(10) for n in range(10, 16)]
)
