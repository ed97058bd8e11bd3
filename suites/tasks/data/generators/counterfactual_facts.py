"""Relations and facts behind ``slm_counterfactual_context``. Common knowledge, put down by us."""

from __future__ import annotations

from typing import NamedTuple


class Relation(NamedTuple):
    """Facts of one kind, two passages that state one, and the question for it."""

    passages: tuple[str, str]
    """With ``{s}`` for the subject and ``{a}`` for what the passage says."""
    question: str
    facts: dict[str, str]
    """Subject -> what is true."""


RELATIONS: dict[str, Relation] = {
    "capital": Relation(
        (
            "The capital of {s} is {a}. The parliament of {s} has met there for many years.",
            "Every map shows {a} as the capital of {s}. The government of {s} sits there.",
        ),
        "What is the capital of {s}?",
        {"France": "Paris", "Japan": "Tokyo", "Italy": "Rome", "Spain": "Madrid",
         "Germany": "Berlin", "Russia": "Moscow", "Egypt": "Cairo", "Greece": "Athens",
         "Austria": "Vienna", "Norway": "Oslo", "Poland": "Warsaw", "Portugal": "Lisbon"},
    ),
    "currency": Relation(
        (
            "In {s}, people pay with the {a}. Shops in {s} take nothing else.",
            "Travellers to {s} should bring the {a}. It has been the money of {s} for many years.",
        ),
        "Which currency do people in {s} pay with?",
        {"Japan": "yen", "the United States": "dollar", "India": "rupee", "Russia": "ruble",
         "Mexico": "peso", "Germany": "euro", "the United Kingdom": "pound", "Poland": "zloty",
         "Switzerland": "franc", "Thailand": "baht", "South Korea": "won", "Brazil": "real"},
    ),
    "continent": Relation(
        (
            "The country of {s} lies in {a}. Its borders were drawn long ago.",
            "{s} is a country in {a}. Its neighbours lie in {a} too.",
        ),
        "On which continent is {s}?",
        {"Kenya": "Africa", "Brazil": "South America", "Canada": "North America", "China": "Asia",
         "France": "Europe", "Nigeria": "Africa", "Peru": "South America", "India": "Asia",
         "Sweden": "Europe", "Mexico": "North America", "Vietnam": "Asia", "Egypt": "Africa"},
    ),
    "author": Relation(
        (
            "{s} was written by {a}. It is still read in schools today.",
            "It was {a} who wrote {s}. The first edition was sold out quickly.",
        ),
        "Who wrote {s}?",
        {"Hamlet": "William Shakespeare", "Oliver Twist": "Charles Dickens",
         "War and Peace": "Leo Tolstoy", "Don Quixote": "Miguel de Cervantes",
         "The Odyssey": "Homer", "Frankenstein": "Mary Shelley", "Dracula": "Bram Stoker",
         "Pride and Prejudice": "Jane Austen", "The Hobbit": "J. R. R. Tolkien",
         "Faust": "Johann Wolfgang von Goethe", "Moby-Dick": "Herman Melville",
         "Les Misérables": "Victor Hugo"},
    ),
    "inventor": Relation(
        (
            "{a} is the inventor of {s}. The first one was shown to a small audience.",
            "History remembers {a} as the one who invented {s}. The patent hangs in a museum.",
        ),
        "Who invented {s}?",
        {"the telephone": "Alexander Graham Bell", "the light bulb": "Thomas Edison",
         "dynamite": "Alfred Nobel", "the printing press": "Johannes Gutenberg",
         "the diesel engine": "Rudolf Diesel", "Morse code": "Samuel Morse",
         "the World Wide Web": "Tim Berners-Lee", "the saxophone": "Adolphe Sax",
         "the battery": "Alessandro Volta", "braille": "Louis Braille",
         "the lightning rod": "Benjamin Franklin",
         "the mercury thermometer": "Daniel Fahrenheit"},
    ),
    "young": Relation(
        (
            "A young {s} is called a {a}. Farmers and zoo keepers all use this word.",
            "When a {s} has young ones, each of them is a {a}. The name is very old.",
        ),
        "What is a young {s} called?",
        {"dog": "puppy", "cat": "kitten", "cow": "calf", "sheep": "lamb", "horse": "foal",
         "bear": "cub", "duck": "duckling", "frog": "tadpole", "swan": "cygnet",
         "kangaroo": "joey", "chicken": "chick", "pig": "piglet"},
    ),
    "colour": Relation(
        (
            "The colour of {s} is {a}. Every child learns this early.",
            "If you look at {s}, you see that it is {a}. It has always been {a}.",
        ),
        "What colour is {s}?",
        {"fresh snow": "white", "a ripe banana": "yellow", "coal": "black", "grass": "green",
         "the clear sky": "blue", "a ripe tomato": "red", "a carrot": "orange",
         "chocolate": "brown", "a flamingo": "pink", "an aubergine": "purple",
         "an elephant": "grey", "fresh blood": "red"},
    ),
    "count": Relation(
        (
            "{s} has {a}. This has been counted many times.",
            "Look closely and you will find that {s} has {a}. Nobody has ever seen more or fewer.",
        ),
        "How many parts of this kind does {s} have?",
        {"A spider": "eight legs", "An insect": "six legs", "A dog": "four legs",
         "A bird": "two legs", "A bicycle": "two wheels", "A tricycle": "three wheels",
         "A car": "four wheels", "A triangle": "three sides", "A square": "four sides",
         "A hexagon": "six sides", "An octagon": "eight sides", "A pentagon": "five sides"},
    ),
    "symbol": Relation(
        (
            "In chemistry, the symbol for {s} is {a}. It is printed on every bottle.",
            "Chemists write {a} when they mean {s}. The short form was agreed long ago.",
        ),
        "What is the chemical symbol for {s}?",
        {"gold": "Au", "silver": "Ag", "iron": "Fe", "oxygen": "O", "hydrogen": "H",
         "carbon": "C", "sodium": "Na", "lead": "Pb", "copper": "Cu", "helium": "He",
         "calcium": "Ca", "tin": "Sn"},
    ),
    "made_from": Relation(
        (
            "{s} is made from {a}. Nothing else is used for it.",
            "To make {s}, you need {a}. Factories use nothing but {a} for it.",
        ),
        "What is {s} made from?",
        {"Cheese": "milk", "Bread": "flour", "Wine": "grapes", "Paper": "wood", "Glass": "sand",
         "Chocolate": "cocoa beans", "Ketchup": "tomatoes", "Guacamole": "avocados",
         "Tofu": "soybeans", "Leather": "animal skin", "Honey": "nectar", "Cider": "apples"},
    ),
    "workplace": Relation(
        (
            "If you look for {s} at work, go to the {a}. That is where they all work.",
            "You will find {s} at the {a}. The working day there is long.",
        ),
        "Where would you find {s} at work?",
        {"a teacher": "school", "a nurse": "hospital", "a judge": "courtroom",
         "a baker": "bakery", "a farmer": "field", "a librarian": "library",
         "a waiter": "restaurant", "an actor": "theatre", "a chemist": "laboratory",
         "a priest": "church", "a miner": "mine", "a mechanic": "garage"},
    ),
    "sense": Relation(
        (
            "People {s} with their {a}. Doctors explain this to children.",
            "To {s}, people use their {a}. Without their {a} they could not do it.",
        ),
        "What do people {s} with?",
        {"see": "eyes", "hear": "ears", "smell": "nose", "taste": "tongue", "chew": "teeth",
         "breathe": "lungs", "think": "brain", "walk": "feet", "grip": "hands",
         "digest": "stomach", "whistle": "lips", "type": "fingers"},
    ),
    "language": Relation(
        (
            "People in {s} speak {a}. Newspapers in {s} are printed in {a}.",
            "The main language of {s} is {a}. Children in {s} learn to read in it.",
        ),
        "Which language do people in {s} speak?",
        {"France": "French", "Germany": "German", "Russia": "Russian", "Japan": "Japanese",
         "Brazil": "Portuguese", "Mexico": "Spanish", "Italy": "Italian", "Poland": "Polish",
         "Turkey": "Turkish", "Greece": "Greek", "Sweden": "Swedish", "the Netherlands": "Dutch"},
    ),
    "painter": Relation(
        (
            "{s} was painted by {a}. It hangs in a famous museum.",
            "The artist behind {s} is {a}. Copies of the picture are sold everywhere.",
        ),
        "Who painted {s}?",
        {"the Mona Lisa": "Leonardo da Vinci", "The Starry Night": "Vincent van Gogh",
         "Guernica": "Pablo Picasso", "The Scream": "Edvard Munch",
         "The Night Watch": "Rembrandt", "Girl with a Pearl Earring": "Johannes Vermeer",
         "The Birth of Venus": "Sandro Botticelli", "The Persistence of Memory": "Salvador Dalí",
         "The Kiss": "Gustav Klimt", "American Gothic": "Grant Wood",
         "Las Meninas": "Diego Velázquez", "The Creation of Adam": "Michelangelo"},
    ),
    "composer": Relation(
        (
            "{s} was composed by {a}. It is still played every year.",
            "The music of {s} is by {a}. The first performance was a success.",
        ),
        "Who composed {s}?",
        {"The Magic Flute": "Wolfgang Amadeus Mozart", "The Four Seasons": "Antonio Vivaldi",
         "Swan Lake": "Pyotr Tchaikovsky", "Messiah": "George Frideric Handel",
         "Boléro": "Maurice Ravel", "The Planets": "Gustav Holst", "Carmen": "Georges Bizet",
         "the Moonlight Sonata": "Ludwig van Beethoven",
         "the Brandenburg Concertos": "Johann Sebastian Bach",
         "Madama Butterfly": "Giacomo Puccini", "La Traviata": "Giuseppe Verdi",
         "The Blue Danube": "Johann Strauss"},
    ),
    "landmark": Relation(
        (
            "{s} stands in {a}. Thousands of people go to {a} to see it.",
            "Visitors who want to see {s} travel to {a}. It is the best-known sight there.",
        ),
        "In which city is {s}?",
        {"the Eiffel Tower": "Paris", "the Colosseum": "Rome", "Big Ben": "London",
         "the Brandenburg Gate": "Berlin", "the Statue of Liberty": "New York",
         "the Opera House with the white shells": "Sydney", "the Acropolis": "Athens",
         "Red Square": "Moscow", "the Blue Mosque": "Istanbul",
         "the Sagrada Família": "Barcelona", "the Forbidden City": "Beijing",
         "the Golden Gate Bridge": "San Francisco"},
    ),
}  # fmt: skip
