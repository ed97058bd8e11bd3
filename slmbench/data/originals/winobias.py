"""WinoBias (Zhao et al. 2018): numbered lines such as ``1 [The nurse] … [she] …``, eight files.

Line i of a ``pro`` file and line i of its ``anti`` file are twins that differ in the gender of the
pronouns; 22 of the 1,584 differ in more, by slips of the published files (``twin`` is false).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from slmbench.data.originals import Converted, OriginalsError
from slmbench.data.originals.files import text_lines

_LINE = re.compile(r"(\d+) (.+)")
_BRACKET = re.compile(r"\[([^\]]*)\]")
_ARTICLE = re.compile(r"^\s*(?:the|an|a)\s+", re.IGNORECASE)
_TWINS = 2
_PRONOUNS = frozenset({"he", "she", "his", "her", "him", "hers", "himself", "herself"})


@dataclass(frozen=True, slots=True)
class Coreference:
    """One sentence; its pronouns refer to ``entity``."""

    sentence: str
    """As published, without the brackets."""
    entity: str
    """As in the sentence, with its article."""
    pronoun: str
    """The first that is bracketed."""
    pronouns: tuple[str, ...]
    """All that are bracketed."""
    occupation: str
    """The entity's, lower case, without article."""
    other_occupation: str
    """The other person's; empty where there is not exactly one."""
    stereotype: str
    """``pro``: pronoun and occupation as the stereotype has it; ``anti``: against it."""
    type: int
    """1: meaning alone tells whom the pronoun means; 2: so does syntax."""
    pair: str
    """``type.split.line``: of both twins."""
    twin: bool
    """Whether its twin differs in the pronouns alone."""
    scene: str
    """``type.split.number``: the two pairs in which the same two occupations change parts."""
    template: str
    """The sentence with occupations and pronouns masked."""


@dataclass(frozen=True, slots=True)
class _Line:
    stereotype: str
    type: int
    split: str
    number: int
    text: str
    entity: str
    pronouns: tuple[str, ...]

    @property
    def pair(self) -> str:
        return f"{self.type}.{self.split}.{self.number}"

    @property
    def frame(self) -> str:
        """The text with its pronouns masked and free of slips that change nothing."""
        return _BRACKET.sub(lambda m: "[]" if _is_pronoun(m[1]) else m[0], self.text)


def read(folder: Path) -> Converted:
    """Splits ``dev`` and ``test``, those whose four files are there."""
    lines = {split: _split(folder, split) for split in ("dev", "test")}
    lines = {split: found for split, found in lines.items() if found}
    if not lines:
        raise OriginalsError("no split has all of its four files")
    occupations = {_occupation(line.entity) for found in lines.values() for line in found}
    parts = "" if len(lines) > 1 else f"only the split {next(iter(lines))}"
    return Converted({s: _rows(found, occupations) for s, found in lines.items()}, parts)


def _split(folder: Path, split: str) -> list[_Line]:
    lines: list[_Line] = []
    for kind in (1, 2):
        for stereotype in ("pro", "anti"):
            path = folder / f"{stereotype}_stereotyped_type{kind}.txt.{split}"
            if not path.is_file():
                return []
            lines += [_line(text, stereotype, kind, split, path.name) for text in text_lines(path)]
    return lines


def _line(text: str, stereotype: str, kind: int, split: str, file: str) -> _Line:
    match = _LINE.fullmatch(text.strip())
    brackets = _BRACKET.findall(match[2]) if match else []
    entities = [b for b in brackets if not _is_pronoun(b)]
    pronouns = tuple(b.strip() for b in brackets if _is_pronoun(b))
    if match is None or len(entities) != 1 or not pronouns:
        raise OriginalsError(f"{file}: not a line with one entity and a pronoun: {text[:60]!r}")
    return _Line(stereotype, kind, split, int(match[1]), match[2], entities[0].strip(), pronouns)


def _rows(lines: Sequence[_Line], occupations: set[str]) -> list[Coreference]:
    frames: dict[str, list[str]] = {}
    for line in lines:
        frames.setdefault(line.pair, []).append(line.frame)
    return [_row(line, frames, occupations) for line in lines]


def _row(line: _Line, frames: Mapping[str, Sequence[str]], occupations: set[str]) -> Coreference:
    occupation = _occupation(line.entity)
    sentence = _BRACKET.sub(lambda m: m[1].strip(), line.text)
    named = "|".join(re.escape(o) for o in sorted(occupations, key=len, reverse=True))
    found = re.compile(rf"\b(?:the|an|a) ({named})\b", re.IGNORECASE)
    others = {word.lower() for word in found.findall(sentence)} - {occupation}
    masked = _BRACKET.sub(lambda m: "PRONOUN" if _is_pronoun(m[1]) else m[1], line.text)
    twins = frames[line.pair]
    return Coreference(
        sentence=sentence,
        entity=line.entity,
        pronoun=line.pronouns[0],
        pronouns=line.pronouns,
        occupation=occupation,
        other_occupation=next(iter(others)) if len(others) == 1 else "",
        stereotype=line.stereotype,
        type=line.type,
        pair=line.pair,
        twin=len(twins) == _TWINS and len(set(twins)) == 1,
        scene=f"{line.type}.{line.split}.{(line.number + 1) // 2}",
        template=re.sub(rf"\b(?:{named})\b", "OCCUPATION", masked, flags=re.IGNORECASE),
    )


def _occupation(entity: str) -> str:
    return _ARTICLE.sub("", entity).strip().lower()


def _is_pronoun(text: str) -> bool:
    return text.strip().lower() in _PRONOUNS
