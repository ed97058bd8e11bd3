"""Words that can nearly always stand for one another, written by hand for this project.

A pair is here only if the first word has one sense in plain text (no verb that is also a noun
unless both readings hold, nothing that is a term of science or mathematics: no "large intestine",
"odd number", "essential oil"), so that the question asked stays the same question. Forms are
listed one by one, hence nothing is inflected by rule. English only; small on purpose: many
questions keep every word, and results say how many changed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_PAIRS = """
begin, begins, began, begun > start, starts, started, started
commence, commences, commenced > start, starts, started
occur, occurs, occurred, occurring > happen, happens, happened, happening
happen, happens, happened, happening > occur, occurs, occurred, occurring
obtain, obtains, obtained, obtaining > acquire, acquires, acquired, acquiring
require, requires, required, requiring > need, needs, needed, needing
assisted, assisting > helped, helping
purchased, purchasing > bought, buying
constructed, constructing > built, building
demonstrate, demonstrates, demonstrating > show, shows, showing
indicate, indicates, indicating > show, shows, showing
illustrates, illustrating > shows, showing
attempted, attempting > tried, trying
discover, discovers, discovered, discovering > find, finds, found, finding
vanish, vanishes, vanished, vanishing > disappear, disappears, disappeared, disappearing
disappear, disappears, disappeared, disappearing > vanish, vanishes, vanished, vanishing
enable, enables, enabled, enabling > allow, allows, allowed, allowing
allow, allows, allowed, allowing > permit, permits, permitted, permitting
permitted, permitting > allowed, allowing
ensure, ensures, ensured, ensuring > make sure, makes sure, made sure, making sure
remain, remained > stay, stayed
utilize, utilizes, utilized, utilizing > use, uses, used, using
utilise, utilises, utilised, utilising > use, uses, used, using
reside, resides, resided, residing > live, lives, lived, living
possess, possesses > have, has
comprehend, comprehends > understand, understands
terminates, terminated > ends, ended
modify, modifies, modified, modifying > alter, alters, altered, altering
alter, alters, altered, altering > modify, modifies, modified, modifying
diminish, diminishes, diminished > decrease, decreases, decreased
yell, yells, yelled, yelling > shout, shouts, shouted, shouting
shout, shouts, shouted, shouting > yell, yells, yelled, yelling
wander, wanders, wandered, wandering > roam, roams, roamed, roaming
collects, collected, collecting > gathers, gathered, gathering
repaired, repairing > fixed, fixing
resemble, resembles, resembled > look like, looks like, looked like
seem, seems, seemed > appear, appears, appeared
produces, produced, producing > makes, made, making
prevents, prevented, preventing > stops, stopped, stopping
hurries, hurried, hurrying > rushes, rushed, rushing
leaps, leapt, leaped, leaping > jumps, jumped, jumped, jumping
glances, glanced, glancing > looks, looked, looking
located > situated
situated > located
needed > required
departs, departed > leaves, left
automobile, automobiles > car, cars
physician, physicians > doctor, doctors
attorney, attorneys > lawyer, lawyers
lawyer, lawyers > attorney, attorneys
sofa, sofas > couch, couches
couch, couches > sofa, sofas
movie, movies > film, films
photo, photos > photograph, photographs
bicycle, bicycles > bike, bikes
garbage > trash
trash > garbage
rubbish > trash
individuals > people
kids > children
children > kids
humans > human beings
mom, moms > mother, mothers
dad, dads > father, fathers
grandma > grandmother
grandpa > grandfather
location, locations > place, places
residence, residences > home, homes
illness, illnesses > sickness, sicknesses
opponents > rivals
buddy, buddies > friend, friends
pal, pals > friend, friends
teenager, teenagers > teen, teens
teen, teens > teenager, teenagers
airplane, airplanes > plane, planes
gasoline > petrol
cab, cabs > taxi, taxis
taxi, taxis > cab, cabs
television, televisions > TV, TVs
refrigerator, refrigerators > fridge, fridges
fridge, fridges > refrigerator, refrigerators
elevator, elevators > lift, lifts
apartment, apartments > flat, flats
faucet, faucets > tap, taps
trousers > pants
autumn > fall
beverage, beverages > drink, drinks
scientist, scientists > researcher, researchers
researcher, researchers > scientist, scientists
instructor, instructors > teacher, teachers
techniques > methods
drawback, drawbacks > disadvantage, disadvantages
outcome, outcomes > result, results
inhabitants > residents
objectives > goals
mistakes > errors
huge > very large
big, bigger, biggest > large, larger, largest
largest > biggest
tiny > very small
gigantic > huge
enormous > immense
fastest > quickest
quicker, quickest > faster, fastest
wealthy > rich
difficult > hard
entire > whole
entirely > completely
completely > entirely
totally > completely
clever > smart
intelligent > smart
brave > courageous
afraid > scared
frightened > scared
scared > frightened
fortunate > lucky
unusual > uncommon
weird > strange
strange > peculiar
silent > quiet
crucial > very important
famous > well-known
renowned > famous
dangerous > hazardous
hazardous > dangerous
harmful > damaging
useful > helpful
helpful > useful
delicious > tasty
tasty > delicious
horrible > terrible
awful > terrible
terrible > awful
messy > untidy
elderly > old
contemporary > modern
various > different
rapid > quick
rapidly > quickly
quickly > rapidly
immediately > instantly
instantly > immediately
suddenly > all of a sudden
approximately > about
nearly > almost
almost > nearly
often > frequently
frequently > often
rarely > seldom
seldom > rarely
usually > normally
normally > usually
typically > usually
generally > in general
mainly > mostly
mostly > mainly
primarily > mainly
chiefly > mainly
merely > only
solely > only
extremely > very
incredibly > very
certainly > definitely
definitely > certainly
barely > hardly
hardly > barely
simultaneously > at the same time
currently > at present
initially > at first
eventually > in the end
previously > earlier
additionally > in addition
furthermore > moreover
moreover > furthermore
nevertheless > nonetheless
nonetheless > nevertheless
consequently > as a result
therefore > thus
thus > therefore
hence > therefore
perhaps > maybe
maybe > perhaps
whereas > while
whilst > while
although > even though
toward > towards
towards > toward
amongst > among
among > amongst
beneath > under
underneath > under
beside > next to
atop > on top of
via > through
regarding > concerning
during > in the course of
anybody > anyone
anyone > anybody
somebody > someone
someone > somebody
everybody > everyone
everyone > everybody
due to > because of
because of > due to
in order to > so as to
next to > beside
known as > called
example of > instance of
composed of > made up of
instead of > rather than
has to > must
"""

_QUOTED = r"\"[^\"\n]*\"|“[^”\n]*”|«[^»\n]*»|`[^`\n]*`|(?<!\w)['‘][^'’\n]*['’](?!\w)"
QUOTED = re.compile(_QUOTED)
"""Text between quotation marks: cited words are nobody's to change."""


def _table() -> Mapping[str, str]:
    found: dict[str, str] = {}
    for line in _PAIRS.split("\n"):
        if not line.strip():
            continue
        left, right = line.split(" > ")
        pairs = zip(left.split(", "), right.split(", "), strict=True)
        for word, other in pairs:
            found.setdefault(word.strip(), other.strip())
    return found


SYNONYMS: Mapping[str, str] = _table()
"""Word or short phrase -> what stands for it, both in lower case but for abbreviations."""

_LONGEST_FIRST = sorted(SYNONYMS, key=lambda words: (-len(words), words))
_WORDS = re.compile(
    rf"(?P<quoted>{_QUOTED})|(?<![\w'’-])(?P<words>{'|'.join(_LONGEST_FIRST)})(?![\w'’-])",
    re.IGNORECASE,
)
_SENTENCE_START = re.compile(r"(?:^|[.!?:\n]\s*)$")
_ARTICLE = re.compile(r"\b(an?)\s+$", re.IGNORECASE)
_VOWELS = frozenset("aeiou")


def with_synonyms(text: str) -> str:
    """The text with every known word replaced, its capital kept.

    Left as they are: quoted words, words with a capital inside a sentence (names), and words
    after "a" or "an" where the other would need the other article.

    >>> with_synonyms("A scientist often finds it difficult. Big Ben is an enormous bell.")
    'A researcher frequently finds it hard. Large Ben is an immense bell.'
    >>> with_synonyms("The sign said 'Trash' near an elevator in Almost, Maine.")
    "The sign said 'Trash' near an elevator in Almost, Maine."
    """
    return _WORDS.sub(_other, text)


def _other(found: re.Match[str]) -> str:
    word = found["words"]
    if word is None:
        return found[0]
    other = SYNONYMS[word.lower()]
    before = found.string[: found.start()]
    article = _ARTICLE.search(before)
    if article and ("n" in article[1].lower()) != (other[0].lower() in _VOWELS):
        return word
    if word == word.lower():
        return other
    is_capital = word[0].isupper() and word[1:] == word[1:].lower()
    if is_capital and _SENTENCE_START.search(before):
        return other[0].upper() + other[1:]
    return word
