"""The same items, disturbed: typing errors, letter case, synonyms, other options' order, names.

Only what stands in the prompt changes. Ids, clusters, groups and choices' texts stay, and so do
few-shot examples: the rendered question is replaced where it stands last in the prompt. Swapped
names (:mod:`slmbench.tasks.name_swaps`) are the exception: the choices speak of the same persons,
so they change with the question, and so do a right answer's text and the lengths of choices. What
happens to an item follows from the seed, its id and the kind of disturbance, not from which other
items were drawn. An item in which nothing can be changed is kept as it is; the set's ``source``
says how many did change, and analysis counts them from the prompts.

Sources for the kinds: CheckList (Ribeiro et al. 2020, arXiv 2005.04118), PromptRobust (Zhu et al.
2023, arXiv 2306.04528), option order as in Pezeshkpour and Hruschka 2023 (arXiv 2308.11483).
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from slmbench.errors import UsageError
from slmbench.requests import (
    ChatMessage,
    GenerateRequest,
    Item,
    ItemSet,
    LoglikelihoodRequest,
    Prompt,
    Request,
)
from slmbench.spec import TaskSpec
from slmbench.spec.suite import Perturbation
from slmbench.tasks.name_swaps import HER, swap_of, swap_rules
from slmbench.tasks.synonyms import SYNONYMS, with_synonyms
from slmbench.tasks.typing_errors import Draws, in_case, with_typos

PERTURBATION_VERSION = 1
"""Part of every disturbed cell's digest: raise it when disturbed prompts change."""
_MARKER = "zqxquestionzqx"
_PINNED = re.compile(r"\b(?:of the above|of these|of the following|of the options)\b", re.I)
"""Options that are written for their place, mostly the last: they keep it."""
_NAMES_OPTIONS = re.compile(
    r"\b(?:both|either|neither|only|not|and|or|options?) \(?[A-E]\)?(?!\w|')"
    r"|(?<!\w)\(?[A-E]\)? (?:and|or|only)\b"
)
"""Options that name others by their letter: another order would make them wrong."""
_NUMBERED = re.compile(r"(.*?)(?:_?\d+|_[a-eA-E]|(?<![A-Z])[A-E])")
"""Names of columns that hold one option each: ``ans0``, ``option_b``, ``C``."""

Doc = Mapping[str, Any]


class Rendering(Protocol):
    """How a task makes text of a document."""

    def prompt(self, doc: Doc) -> object:
        """The question as the prompt ends with it; no text where choices stand in the contexts."""

    def answers(self, doc: Doc) -> str:
        """Choices and right answer as one text."""


def disturbed_definition(definition: str, how: Perturbation) -> str:
    """Digest of a task's definition together with all that decides how it is disturbed."""
    words = "\n".join(f"{a}>{b}" for a, b in SYNONYMS.items()) if how == "synonyms" else ""
    if how == "names":
        words = swap_rules()
    text = f"{definition}\0{how}\0{PERTURBATION_VERSION}\0{words}"
    return hashlib.sha256(text.encode()).hexdigest()


def disturbed(items: ItemSet, docs: Sequence[Doc], rendering: Rendering, spec: TaskSpec) -> ItemSet:
    """The items asked as ``spec.perturb`` says; ``docs`` are theirs, in their order.

    Raises UsageError where they cannot be: running text, choices in the contexts (not for
    ``names``), no column of the documents that is the question, options that stand in no order
    (``option_order``).
    """
    how = spec.perturb
    assert how is not None
    if why := _obstacle(items, spec):
        raise _refused(spec, why)
    change = _CHANGES.get(how, _reworded)
    changes = [
        change(item, _Asked(doc, rendering, Draws(spec.seed, how, item.item_id), how))
        for item, doc in zip(items.items, docs, strict=True)
    ]
    asked = [c for c, item in zip(changes, items.items, strict=True) if item.requests]
    if asked and not any(c.possible for c in asked):
        raise _refused(spec, _WHY_NOT[how == "option_order"])
    notes = Counter(c.note for c in asked if c.note)
    said = "".join(f", {count} {note}" for note, count in sorted(notes.items()))
    count = sum(c.item != item for c, item in zip(changes, items.items, strict=True))
    return items.model_copy(
        update={
            "source": f"{items.source}; {how}: {count} of {len(asked)} items changed{said}",
            "items": tuple(c.item for c in changes),
        }
    )


def question_columns(doc: Doc, rendering: Rendering, *, lettered: bool = False) -> tuple[str, ...]:
    """The columns of text that the prompt shows and that are neither choices nor answers.

    Found by trying: with another text in the column the prompt must show that text, and choices
    and right answer must stay what they are. Where answers are letters (``lettered``) columns
    that hold an option each (``ans0``, ``ans1`` …) are not the question.
    """
    plain = rendering.answers(doc)
    shown = [
        name
        for name, value in doc.items()
        if isinstance(value, str) and value.strip() and _shows(doc, name, rendering, plain)
    ]
    stems = Counter(m[1] for name in shown if (m := _NUMBERED.fullmatch(name)))
    options = {n for n in shown if (m := _NUMBERED.fullmatch(n)) and stems[m[1]] > 1}
    return tuple(n for n in shown if not (lettered and n in options))


@dataclass(frozen=True, slots=True)
class _Asked:
    """One document, how it is rendered, and what its disturbance is drawn from."""

    doc: Doc
    rendering: Rendering
    draws: Draws
    how: Perturbation

    @property
    def prompt(self) -> str:
        """The question as it stands in the prompt; empty where that is no text."""
        text = self.rendering.prompt(self.doc)
        return text if isinstance(text, str) else ""


@dataclass(frozen=True, slots=True)
class _Change:
    """What became of one item."""

    item: Item
    possible: bool
    """Whether there was something that could have been changed."""
    note: str = ""


_NO_QUESTION = "no column of its documents is shown in the prompt as the question"
_NO_ORDER = (
    "its prompt shows no lettered list of options, so there is no order to change (choices that "
    "are scored one by one have none)"
)
_WHY_NOT = {False: _NO_QUESTION, True: _NO_ORDER}
_HINT = "leave {how} out of the task's perturb in its suite"


def _refused(spec: TaskSpec, why: str) -> UsageError:
    return UsageError(
        f"task {spec.task!r} cannot be asked with {spec.perturb}: {why}",
        hint=_HINT.format(how=spec.perturb),
    )


def _obstacle(items: ItemSet, spec: TaskSpec) -> str:
    """Why not, as far as the items tell; empty when it may be."""
    if spec.choices_only:
        return "choices_only leaves no question to disturb"
    requests = [r for item in items.items for r in item.requests]
    if any(not isinstance(r, LoglikelihoodRequest | GenerateRequest) for r in requests):
        return "it measures a text, not answers to questions"
    asked = [i.requests for i in items.items if len(i.requests) > 1 and i.gold is not None]
    if spec.perturb != "names" and any(len({_prompt_of(r) for r in one}) > 1 for one in asked):
        return "its choices stand in the contexts, and a change there would change the choices"
    return ""


def _reworded(item: Item, asked: _Asked) -> _Change:
    """Typing errors, letter case or synonyms in the question's columns."""
    columns = question_columns(asked.doc, asked.rendering, lettered=_lettered(item))
    if not item.requests or not columns or not asked.prompt:
        return _Change(item, possible=False)
    words, note = _rewording(asked, [str(asked.doc[name]) for name in columns])
    other = {**asked.doc, **{name: words(str(asked.doc[name])) for name in columns}}
    text = asked.rendering.prompt(other)
    assert isinstance(text, str)  # its marked version was
    return _Change(_with_question(item, asked.prompt, text), possible=True, note=note)


def _rewording(asked: _Asked, texts: Sequence[str]) -> tuple[Callable[[str], str], str]:
    draws = asked.draws
    if asked.how == "typos":
        return (lambda text: with_typos(text, draws)), ""
    if asked.how == "synonyms":
        return with_synonyms, ""
    upper = draws.below(2) == 1
    if all(in_case(text, upper=upper) == text for text in texts):
        upper = not upper  # it is written so already
    return (lambda text: in_case(text, upper=upper)), f"in {'upper' if upper else 'lower'} case"


def _reordered(item: Item, asked: _Asked) -> _Change:
    """The options in another order, and the right answer where it went."""
    found = next(_option_lists(item, asked), None) if _lettered(item) else None
    if not item.requests or found is None or item.gold is None:
        return _Change(item, possible=False)
    name, options = found
    if any(_NAMES_OPTIONS.search(option) for option in options):
        return _Change(item, possible=True, note="kept as their options name one another")
    order = _another_order(options, asked.draws)
    other = _with_options(asked.doc, name, [options[place] for place in order])
    text = asked.rendering.prompt(other)
    assert isinstance(text, str)
    moved = _with_question(item, asked.prompt, text)
    gold = order.index(item.gold)
    return _Change(moved.model_copy(update={"gold": gold}), possible=True)


def _renamed(item: Item, asked: _Asked) -> _Change:
    """The persons of question and choices with names of the other usual gender."""
    questions = _questions(item, asked)
    if not item.requests or not all(questions):
        return _Change(item, possible=False)
    pairs = tuple(zip(questions, map(_continuation, item.requests), strict=True))
    swap = swap_of(["".join(pair) for pair in pairs], asked.draws)
    swapped = tuple(swap.split(*pair) for pair in pairs)
    target, why = swap.text(item.target), swap.why_not
    if len({new for new, _ in swapped}) > len(set(questions)):
        why = HER  # it hangs on the choice that follows
    elif target != item.target and item.target[:1] in ("{", "["):
        why = "kept as their scorer's key holds a name"
    if why:
        return _Change(item, possible=True, note=why)
    both = tuple(zip(pairs, swapped, strict=True))
    requests = tuple(_swapped(r, *pair) for r, pair in zip(item.requests, both, strict=True))
    choices = tuple(
        _choice(choice, *pair) for choice, pair in zip(item.choices, both, strict=False)
    )
    update = {"requests": requests, "target": target, "choices": choices or item.choices}
    return _Change(item.model_copy(update=update), possible=True)


def _questions(item: Item, asked: _Asked) -> tuple[str, ...]:
    """What each request asks: the same question, or the contexts that are the choices."""
    if asked.prompt:
        return (asked.prompt,) * len(item.requests)
    return item.choices if len(item.choices) == len(item.requests) else ()


def _continuation(request: Request) -> str:
    return request.continuation if isinstance(request, LoglikelihoodRequest) else ""


def _swapped(request: Request, old: tuple[str, str], new: tuple[str, str]) -> Request:
    """The request with another question and another continuation."""
    changed = _replaced(request, old[0], new[0])
    if isinstance(changed, LoglikelihoodRequest):
        return changed.model_copy(update={"continuation": new[1]})
    return changed


def _choice(choice: str, old: tuple[str, str], new: tuple[str, str]) -> str:
    """The text of a choice as it stands in the new question or continuation."""
    if choice == old[0]:
        return new[0]
    blank = len(old[1]) - len(choice)
    return new[1][blank:] if choice and old[1].endswith(choice) else choice


_CHANGES: Mapping[Perturbation, Callable[[Item, _Asked], _Change]] = {
    "option_order": _reordered,
    "names": _renamed,
}
"""Those that are more than other words in the question's columns."""


def _lettered(item: Item) -> bool:
    """Whether the answers are labels of options: ``A``, ``(b)``, ``3.``."""
    labels = [choice.strip().strip("().:") for choice in item.choices]
    return bool(labels) and all(len(label) == 1 and label.isalnum() for label in labels)


def _option_lists(item: Item, asked: _Asked) -> Iterator[tuple[str, list[str]]]:
    """Columns that hold a list of options as long as the choices, all shown in the prompt."""
    for name, value in asked.doc.items():
        options = value.get("text") if isinstance(value, Mapping) else value
        if not isinstance(options, list) or len(options) != len(item.choices):
            continue
        marked = _with_options(asked.doc, name, [f"{_MARKER}{i}" for i in range(len(options))])
        text = _tried(asked.rendering.prompt, marked)
        if isinstance(text, str) and all(f"{_MARKER}{i}" in text for i in range(len(options))):
            yield name, [str(option) for option in options]


def _with_options(doc: Doc, name: str, options: list[str]) -> Doc:
    value = doc[name]
    return {**doc, name: {**value, "text": options} if isinstance(value, Mapping) else options}


def _another_order(options: Sequence[str], draws: Draws) -> list[int]:
    """Which option stands at each place; not the old order, unless all are written for theirs."""
    free = [i for i, option in enumerate(options) if not _PINNED.search(option)]
    order = list(range(len(options)))
    while len(free) > 1 and order == sorted(order):
        for place, taken in zip(free, draws.order(len(free)), strict=True):
            order[place] = free[taken]
    return order


def _shows(doc: Doc, name: str, rendering: Rendering, plain: str) -> bool:
    marked = {**doc, name: _MARKER}
    text = _tried(rendering.prompt, marked)
    if not isinstance(text, str) or _MARKER not in text:
        return False
    return _tried(rendering.answers, marked) == plain


def _tried(render: Callable[[Doc], object], doc: Doc) -> object:
    """None where the template cannot render it: the column is no free text then."""
    try:
        return render(doc)
    except Exception:  # noqa: BLE001 - templates and functions of tasks may raise anything
        return None


def _with_question(item: Item, old: str, new: str) -> Item:
    requests = tuple(_replaced(request, old, new) for request in item.requests)
    return item.model_copy(update={"requests": requests})


def _prompt_of(request: Request) -> Prompt:
    if isinstance(request, LoglikelihoodRequest):
        return request.context
    return request.prompt if isinstance(request, GenerateRequest) else request.text


def _replaced(request: Request, old: str, new: str) -> Request:
    """With the question in place of the plain one: the last that stands in the prompt."""
    prompt = _prompt_of(request)
    if isinstance(prompt, str):
        changed: Prompt = _last_replaced(prompt, old, new)
    else:
        last = max(i for i, turn in enumerate(prompt) if turn.role == "user")
        said = ChatMessage(role="user", content=_last_replaced(prompt[last].content, old, new))
        changed = (*prompt[:last], said, *prompt[last + 1 :])
    field = "context" if isinstance(request, LoglikelihoodRequest) else "prompt"
    return request.model_copy(update={field: changed})


def _last_replaced(text: str, old: str, new: str) -> str:
    before, found, after = text.rpartition(old)
    if not found:
        raise UsageError(
            f"a prompt does not hold its question as its template renders it: {old[:60]!r}",
            hint="leave perturb out of the task in its suite",
        )
    return f"{before}{new}{after}"
