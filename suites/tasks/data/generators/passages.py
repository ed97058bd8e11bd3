"""Kinds of short passages about invented things, for the tasks that ask about a given context.

A kind has an opening sentence and five attributes; an attribute has the sentence that states it,
the question that asks for it and the values it can have. No value is common knowledge about the
subject, since the subjects do not exist. All sentences are ours.
"""

from __future__ import annotations

from typing import NamedTuple


class Attribute(NamedTuple):
    """One thing that a passage can say of its subject."""

    sentence: str
    """With ``{v}`` for the value."""
    question: str
    """With ``{x}`` for the subject."""
    values: tuple[str, ...]


class Kind(NamedTuple):
    """One kind of passage."""

    opening: str
    """With ``{x}`` for the subject."""
    subjects: tuple[str, ...]
    """Fifteen."""
    attributes: tuple[Attribute, ...]
    """Five; values of different attributes share no word."""


_TOWNS = ("Ardenholt", "Brimsea", "Calwick", "Dunmarrow", "Estergate", "Fallowmere", "Greyhaven",
          "Hollinport", "Ivelstone", "Kestrelby", "Larkfield", "Mossbridge", "Northam Vale",
          "Oxenford Mills", "Pellworth")  # fmt: skip
_PEOPLE = ("Mara Ellwood", "Tobias Renn", "Ida Farrow", "Jonas Pickett", "Selma Brandt",
           "Oren Castell", "Petra Lund", "Hugo Vance", "Nadia Holm", "Felix Arden", "Greta Moss",
           "Silas Whitlock", "Dora Quill", "Emil Straker", "Lena Orchard")  # fmt: skip

KINDS: dict[str, Kind] = {
    "worker": Kind(
        "{x} has been with the same company for a long time.",
        _PEOPLE,
        (
            Attribute("The job there is that of {v}.", "What is the job of {x}?",
                      ("an accountant", "a welder", "a translator", "a surveyor", "a designer")),
            Attribute("The way to work is made by {v}.", "How does {x} get to work?",
                      ("bicycle", "tram", "ferry", "motorbike", "bus")),
            Attribute("Lunch is usually {v}.", "What does {x} usually have for lunch?",
                      ("lentil soup", "fried rice", "a cheese sandwich", "noodles", "a salad")),
            Attribute("After work there is time for {v}.", "What does {x} do after work?",
                      ("chess", "rowing", "pottery", "choir practice", "gardening")),
            Attribute("The desk stands next to {v}.", "What stands next to the desk of {x}?",
                      ("the window", "the printer", "the lift", "the kitchen", "the stairs")),
        ),
    ),
    "town": Kind(
        "{x} is a small town that few travellers visit.",
        _TOWNS,
        (
            Attribute("Most people there work in {v}.", "Where do most people in {x} work?",
                      ("a paper mill", "a brewery", "a shipyard", "a quarry", "a dairy")),
            Attribute("The town is known for its {v}.", "What is {x} known for?",
                      ("pear trees", "clock tower", "brass band", "wooden houses", "hot springs")),
            Attribute("The weekly market is on {v}.", "On which day is the weekly market in {x}?",
                      ("Monday", "Tuesday", "Thursday", "Friday", "Saturday")),
            Attribute("The mayor used to be {v}.", "What did the mayor of {x} use to be?",
                      ("a dentist", "a pilot", "a baker", "a judge", "a goalkeeper")),
            Attribute("The only railway line leads to {v}.",
                      "Where does the railway from {x} lead?",
                      ("the coast", "the border", "the mountains", "the airport", "the capital")),
        ),
    ),
    "ship": Kind(
        "The ship {x} has sailed under three owners.",
        ("Amber Star", "Blue Heron", "Cold Anna", "Dancing Bear", "Early Light", "Fair Wager",
         "Golden Oar", "Happy Return", "Iron Maud", "Jolly Tern", "Kind Rosa", "Long Promise",
         "Merry Widow", "New Venture", "Old Patience"),
        (
            Attribute("It mostly carries {v}.", "What does the ship {x} mostly carry?",
                      ("timber", "coffee", "cement", "bananas", "machine parts")),
            Attribute("It was built in {v}.", "When was the ship {x} built?",
                      ("1903", "1921", "1934", "1957", "1968")),
            Attribute("The hull is painted {v}.", "What colour is the hull of the ship {x}?",
                      ("green", "white", "orange", "black", "purple")),
            Attribute("The captain comes from {v}.",
                      "Where does the captain of the ship {x} come from?",
                      ("Iceland", "Chile", "Malta", "Kenya", "Vietnam")),
            Attribute("On board lives {v}.", "Which animal lives on board the ship {x}?",
                      ("a parrot", "a tabby cat", "a small dog", "a tortoise", "a goat")),
        ),
    ),
    "museum": Kind(
        "The {x} Museum opened its doors to the public two years ago.",
        _TOWNS,
        (
            Attribute("It shows a large collection of {v}.", "What does the {x} Museum collect?",
                      ("teapots", "typewriters", "umbrellas", "musical boxes", "maps")),
            Attribute("The building was once {v}.",
                      "What was the building of the {x} Museum once?",
                      ("a prison", "a bakery", "a school", "a chapel", "a warehouse")),
            Attribute("It is closed on {v}.", "On which day is the {x} Museum closed?",
                      ("Monday", "Tuesday", "Wednesday", "Thursday", "Sunday")),
            Attribute("A ticket costs {v}.", "How much is a ticket for the {x} Museum?",
                      ("four coins", "six coins", "nine coins", "twelve coins", "fifteen coins")),
            Attribute("Most of the money came from {v}.",
                      "Where did most of the money for the {x} Museum come from?",
                      ("a lottery", "a retired banker", "the city council", "a film studio",
                       "a farmers' union")),
        ),
    ),
    "concert": Kind(
        "The concert in {x} was sold out weeks before.",
        _TOWNS,
        (
            Attribute("The evening began with {v}.", "How did the concert in {x} begin?",
                      ("a drum solo", "a folk song", "a speech", "a waltz", "a minute of silence")),
            Attribute("The soloist played the {v}.",
                      "Which instrument did the soloist play at the concert in {x}?",
                      ("cello", "oboe", "harp", "trumpet", "accordion")),
            Attribute("It took place in {v}.", "Where did the concert in {x} take place?",
                      ("a barn", "the town hall", "a greenhouse", "the old harbour", "a cinema")),
            Attribute("The proceeds went to {v}.",
                      "Who got the proceeds of the concert in {x}?",
                      ("the fire brigade", "an animal shelter", "the library", "a youth club",
                       "the lifeboat crew")),
            Attribute("It was interrupted by {v}.", "What interrupted the concert in {x}?",
                      ("a power cut", "heavy rain", "a barking puppy", "a false alarm",
                       "a swarm of bees")),
        ),
    ),
    "journey": Kind(
        "{x} came back from a long journey last week.",
        _PEOPLE,
        (
            Attribute("The journey led through {v}.", "Through which landscape did {x} travel?",
                      ("a desert", "a rainforest", "a moor", "a chain of islands", "a steppe")),
            Attribute("Most nights were spent in {v}.", "Where did {x} spend most nights?",
                      ("a tent", "monasteries", "a camper van", "youth hostels", "tree houses")),
            Attribute("The hardest part was {v}.", "What was hardest on the journey of {x}?",
                      ("the heat", "the loneliness", "the mosquitoes", "the language", "the wind")),
            Attribute("The only companion was {v}.", "Who went along with {x}?",
                      ("a cousin", "a neighbour", "a former teacher", "an old friend",
                       "a photographer")),
            Attribute("The luggage weighed {v}.", "How heavy was the luggage of {x}?",
                      ("seven kilos", "nine kilos", "eleven kilos", "fourteen kilos",
                       "twenty kilos")),
        ),
    ),
    "school": Kind(
        "The school in {x} has changed a lot in recent years.",
        _TOWNS,
        (
            Attribute("Lessons now start at {v}.", "When do lessons start at the school in {x}?",
                      ("half past seven", "eight o'clock", "half past eight", "nine o'clock",
                       "half past nine")),
            Attribute("All pupils learn {v}.", "What do all pupils learn at the school in {x}?",
                      ("Latin", "swimming", "carpentry", "juggling", "sign language")),
            Attribute("The headteacher wears {v} every day.",
                      "What does the headteacher of the school in {x} wear every day?",
                      ("a bow tie", "red shoes", "a straw hat", "a silk scarf", "green gloves")),
            Attribute("On the roof there is {v}.",
                      "What is on the roof of the school in {x}?",
                      ("a telescope", "a beehive", "a solar panel", "a bell", "a weather station")),
            Attribute("The sports field is shared with {v}.",
                      "With whom does the school in {x} share its sports field?",
                      ("a circus", "the police", "a golf club", "a riding stable",
                       "the hospital staff")),
        ),
    ),
    "company": Kind(
        "{x} Works is a family business with forty employees.",
        _TOWNS,
        (
            Attribute("It makes {v}.", "What does {x} Works make?",
                      ("door handles", "kites", "rubber boots", "candles", "garden chairs")),
            Attribute("Its largest customer is {v}.",
                      "Who is the largest customer of {x} Works?",
                      ("the army", "a supermarket chain", "a hotel group", "the railway",
                       "a theatre")),
            Attribute("It was founded by {v}.", "Who founded {x} Works?",
                      ("two sisters", "a clockmaker", "a sailor", "an engineer", "a widow")),
            Attribute("The factory is heated with {v}.",
                      "What is the factory of {x} Works heated with?",
                      ("wood chips", "natural gas", "geothermal water", "coal", "biogas")),
            Attribute("Next year it will move to {v}.",
                      "Where will {x} Works move next year?",
                      ("the riverside", "a former airfield", "the suburbs", "an industrial park",
                       "a neighbouring valley")),
        ),
    ),
    "garden": Kind(
        "The garden of {x} can be seen from the road.",
        _PEOPLE,
        (
            Attribute("In the middle grows {v}.", "What grows in the middle of the garden of {x}?",
                      ("a walnut tree", "a rose bush", "a cherry tree", "bamboo", "a palm")),
            Attribute("The fence is made of {v}.",
                      "What is the fence of the garden of {x} made of?",
                      ("willow", "iron", "stone", "glass bricks", "old skis")),
            Attribute("It is watered with {v}.", "With what does {x} water the garden?",
                      ("rainwater", "a hose", "a watering can", "a sprinkler", "a small canal")),
            Attribute("The worst pest there is {v}.",
                      "What is the worst pest in the garden of {x}?",
                      ("the slug", "the mole", "the aphid", "the pigeon", "the vole")),
            Attribute("A corner is kept free for {v}.",
                      "What is a corner of the garden of {x} kept free for?",
                      ("hedgehogs", "a swing", "a barbecue", "compost", "a hammock")),
        ),
    ),
    "film": Kind(
        "The film {x} was shown at a festival in spring.",
        ("A Borrowed Coat", "Beneath the Pier", "Counting Geese", "Dust and Ribbon",
         "Eleven Letters", "Fog at Noon", "Good Night, Kiosk", "Her Other Violin", "Inland Gulls",
         "July Frost", "Keys for Nobody", "Little Dynamo", "Map of a Kitchen", "Nine Short Trains",
         "One Loud Window"),
        (
            Attribute("It tells the story of {v}.", "Whose story does the film {x} tell?",
                      ("a lighthouse keeper", "a postman", "a beekeeper", "a forger",
                       "a piano tuner")),
            Attribute("It was shot in {v}.", "In which season was the film {x} shot?",
                      ("winter", "autumn", "summer", "the rainy season", "the harvest weeks")),
            Attribute("The music was written by {v}.", "Who wrote the music of the film {x}?",
                      ("a street musician", "a monk", "a nurse", "a twelve-year-old",
                       "a computer scientist")),
            Attribute("Critics praised {v}.", "What did critics praise in the film {x}?",
                      ("the costumes", "the dialogue", "the lighting", "the ending",
                       "the stunts")),
            Attribute("It won a prize of {v}.", "What prize did the film {x} win?",
                      ("a bronze owl", "a crystal ball", "a wooden spoon", "a velvet cushion",
                       "a silver key")),
        ),
    ),
    "recipe": Kind(
        "The cake that is called {x} is baked for birthdays.",
        ("Anna's Cloud", "Baker's Brick", "Cousin's Pride", "Double Moon", "Easy Castle",
         "Forest Hat", "Grey Pillow", "Hundred Crumbs", "Island Wheel", "Jumping Bean",
         "King's Elbow", "Lazy Sunday", "Millstone", "Night Train", "Old Barrel"),
        (
            Attribute("The dough contains {v}.", "What does the dough of {x} contain?",
                      ("carrots", "poppy seeds", "buttermilk", "chestnuts", "coconut")),
            Attribute("It is baked for {v}.", "How long is {x} baked?",
                      ("twenty minutes", "thirty minutes", "forty minutes", "one hour",
                       "two hours")),
            Attribute("It is filled with {v}.", "What is {x} filled with?",
                      ("plum jam", "lemon cream", "chocolate mousse", "whipped cream",
                       "marzipan")),
            Attribute("It is served with {v}.", "What is {x} served with?",
                      ("mint tea", "cold milk", "espresso", "cider", "ginger ale")),
            Attribute("The recipe was found in {v}.", "Where was the recipe of {x} found?",
                      ("an attic", "a diary", "a hymn book", "a drawer", "a time capsule")),
        ),
    ),
    "match": Kind(
        "The match in {x} will be talked about for a long time.",
        _TOWNS,
        (
            Attribute("It was won by {v}.", "Who won the match in {x}?",
                      ("the visitors", "the home team", "the juniors", "the veterans",
                       "the students")),
            Attribute("The last point fell after {v}.",
                      "When did the last point fall in the match in {x}?",
                      ("ten minutes", "fifty minutes", "eighty minutes", "ninety minutes",
                       "a hundred minutes")),
            Attribute("The referee had forgotten {v}.",
                      "What had the referee of the match in {x} forgotten?",
                      ("the whistle", "the cards", "the watch", "the rule book", "the coin")),
            Attribute("The crowd was kept warm with {v}.",
                      "What kept the crowd warm at the match in {x}?",
                      ("blankets", "hot cocoa", "singing", "bonfires", "paper cups of soup")),
            Attribute("Next season the team will be trained by {v}.",
                      "Who will train the team after the match in {x}?",
                      ("a ballet dancer", "a retired miner", "a policewoman", "a butcher",
                       "a mountaineer")),
        ),
    ),
}  # fmt: skip
