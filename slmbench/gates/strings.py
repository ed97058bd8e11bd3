"""Strings that tokenizers disagree about: generated, the same in every run and on every machine.

Old GGUF files carry a wrong pre-tokenizer without a warning (llama.cpp issue 7476); what differs
is digits, runs of spaces, contractions, scripts, combining marks and text that looks like a
special token; plain prose tries the order of the merges. Each family below is varied alone, at
the start, the end and inside a text, and then mixed.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

_SEED = 20240607
_WORDS = (
    "the", "Paris", "isn't", "I'm", "we'll", "THEY'VE", "don't", "tokenizer", "antidisestablish",
    "e.g.", "Dr.", "co-operate", "x", "a1b2", "snake_case", "CamelCase", "naïve", "Straße",
    "12", "3.14159", "1,000,000", "2024-11-05", "0x7fff", "1e-9", "№5", "½", "Ⅷ", "²",
)  # fmt: skip
_SCRIPTS = (
    "日本語のテキスト", "中文字符測試", "한국어 문장", "Привет, мир", "Ελληνικά γράμματα",
    "مرحبا بالعالم", "שלום עולם", "नमस्ते दुनिया", "สวัสดีชาวโลก", "ქართული", "Հայերեն",
    "አማርኛ", "தமிழ்", "বাংলা", "Tiếng Việt", "ខ្មែរ", "മലയാളം", "ᏣᎳᎩ", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢", "𐍈𐌰𐌹",
)  # fmt: skip
_EMOJI = ("🙂", "🙃🙂", "👩‍👩‍👧‍👦", "🇫🇷🇩🇪", "👍🏽", "❤️", "☕", "🏳️‍🌈", "1️⃣")
_MARKS = (
    "e\u0301", "n\u0303o", "a\u0308\u0323", "Z\u0351\u0327a\u0300l\u0317go", "\u0301", "क\u094dष",
    "\u200d", "\u200b", "\ufeff", "\u00ad", "\u202eabc\u202c", "\u2028", "\u3000", "\u00a0",
)  # fmt: skip
_DIGITS = ("0", "7", "42", "123", "1234", "12345", "000", "3.14", "١٢٣", "१२३", "１２３", "④⑤")
_SPACES = (" ", "  ", "   ", "    ", "\t", "\t\t", " \t ", "\n", "\n\n", "\r\n", " \n ", "\n\n\n ")
_CODE = (
    "def f(x: int) -> int:\n    return x ** 2  # square\n",
    "for (int i = 0; i < n; ++i) { a[i] += b[i]; }",
    "if x != y and not (a >= b or c <= d):\n\tpass",
    '{"key": [1, 2.5, null, true], "nested": {"a": "b"}}',
    "SELECT * FROM t WHERE name LIKE '%x_%' -- comment",
    "$ grep -rn 'a|b' ./src | sort -u > /tmp/out.txt 2>&1",
    "<div class=\"a b\">&nbsp;text</div><!-- c -->", "\\frac{a}{b} \\le \\sum_{i=1}^{n} x_i^2",
    "a->b::c<T>&&d||!e^f~g%h", "#include <stdio.h>\n", "'''\"\"\"```~~~", "x=1;y=2;;z===3",
)  # fmt: skip
_ADDRESSES = (
    "https://example.org/path/to?q=1&r=two#frag", "http://user:pw@127.0.0.1:8080/",
    "someone@example.org", "ftp://example.net/~file.tar.gz", "www.example.com", "file:///tmp/x",
    "10.0.0.1", "2001:db8::1", "@handle #tag", "C:\\Temp\\x.txt", "../up/one.md",
)  # fmt: skip
_SPECIAL_LOOKING = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<s>", "</s>", "<unk>", "[INST]", "[/INST]",
    "<pad>", "<|user|>", "<bos>", "<eos>", "<|im_start", "im_end|>", "<| im_end |>", "<<SYS>>",
    "<|begin_of_text|>", "<|eot_id|>", "[PAD]", "<0x0A>", "▁the", "Ġthe", "<|", "|>",
)  # fmt: skip
_PROSE = (
    "Neither of them had heard her answer, and there was no other witness.",
    "Whether or not the weather holds, the brothers gather there in the evening.",
    "She'd rather have waited; nobody, however, seemed to think it mattered!",
    "Scientists measured the temperature of the reactor at regular intervals.",
    "What is the boiling point of water at an altitude of two thousand metres?",
    "Der Zug nach München fährt erst übermorgen, hieß es am Schalter.",
    "L'été dernier, nous avons longé la côte jusqu'au phare abandonné.",
    "¿Dónde está el niño que rompió la ventana de la señora García?",
    "Kiedy wróciliśmy, źródło było już zupełnie wyschnięte.",
    "IN CASE OF FIRE, LEAVE THE BUILDING AT ONCE.",
)
_FAMILIES: tuple[Sequence[str], ...] = (
    _WORDS, _SCRIPTS, _EMOJI, _MARKS, _DIGITS, _SPACES, _CODE, _ADDRESSES, _PROSE,
    _SPECIAL_LOOKING,
)  # fmt: skip


def strings(count: int = 1200, *, more: Sequence[str] = (), marks: Sequence[str] = ()) -> list[str]:
    """At least ``count`` different strings, the same ones in every call.

    Args:
        count: how many at least.
        more: further texts, put before the random mixtures (prompts of tasks).
        marks: special tokens of the model, tried in every place.
    """
    found = dict.fromkeys(_fixed(marks))
    found |= dict.fromkeys(more)
    mixtures = _mixtures([*_SPECIAL_LOOKING, *marks])
    while len(found) < count:
        found[next(mixtures)] = None
    return list(found)


def _fixed(marks: Sequence[str]) -> Iterator[str]:
    yield ""
    for family in (*_FAMILIES, marks):
        for piece in family:
            yield from (piece, f" {piece}", f"{piece} ", f"a{piece}b", f"the {piece}\nend")
    for mark in marks:
        yield from (f"{mark}Hello", f"{mark}{mark}", f"{mark} user\nHi{mark}\n", f"{mark}\n\n 7")


def _mixtures(special: Sequence[str]) -> Iterator[str]:
    """Endless random texts; ``random.Random`` with a fixed seed gives the same everywhere."""
    chance = random.Random(_SEED)  # noqa: S311 - no secret
    families = [*_FAMILIES[:-1], special]
    while True:
        pieces = [chance.choice(chance.choice(families)) for _ in range(chance.randint(2, 9))]
        joints = [chance.choice(("", " ", " ", "  ", "\n", ", ")) for _ in pieces]
        yield "".join(p + j for p, j in zip(pieces, joints, strict=True))
