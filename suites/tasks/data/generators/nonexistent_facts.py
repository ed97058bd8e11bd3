"""Templates, real things and facts behind ``slm_nonexistent``. Common knowledge, put down by us."""

from __future__ import annotations

QUESTIONS: dict[str, tuple[str, ...]] = {
    "person": (
        "What is {x} best known for?",
        "In which country was {x} born?",
        "What was the profession of {x}?",
        "In which century was {x} born?",
        "Why is {x} remembered today?",
    ),
    "place": (
        "In which country is the city of {x}?",
        "What is the city of {x} famous for?",
        "Which language is spoken in the city of {x}?",
        "On which continent is the city of {x}?",
        "What can visitors see in the city of {x}?",
    ),
    "book": (
        "Who wrote the book {x}?",
        "What is the book {x} about?",
        "Who is the main character of the book {x}?",
        "In which century was the book {x} written?",
        "How does the book {x} begin?",
    ),
    "species": (
        "What does the {x} eat?",
        "Where in the world does the {x} live?",
        "How large is an adult {x}?",
        "How does the {x} raise its young?",
        "What colour is the {x}?",
    ),
    "law": (
        "What does the {x} regulate?",
        "Which country passed the {x}?",
        "Why was the {x} introduced?",
        "When was the {x} adopted?",
        "Who opposed the {x}?",
    ),
    "product": (
        "Which company makes the {x}?",
        "What is the {x} used for?",
        "When was the {x} first sold?",
        "What made the {x} popular?",
        "How does the {x} work?",
    ),
    "event": (
        "When did the {x} take place?",
        "What caused the {x}?",
        "Who was involved in the {x}?",
        "What were the consequences of the {x}?",
        "In which part of the world did the {x} take place?",
    ),
    "substance": (
        "What is {x} used for in industry?",
        "Which chemical elements does {x} contain?",
        "What does {x} look like at room temperature?",
        "How is {x} produced?",
        "Is {x} dangerous to people, and why?",
    ),
}

REAL: dict[str, tuple[str, ...]] = {
    "person": (
        "Albert Einstein", "Marie Curie", "William Shakespeare", "Isaac Newton",
        "Leonardo da Vinci", "Wolfgang Amadeus Mozart", "Charles Darwin", "Nelson Mandela",
        "Napoleon Bonaparte", "Mahatma Gandhi", "Abraham Lincoln", "Vincent van Gogh",
        "Galileo Galilei", "Ludwig van Beethoven", "Julius Caesar", "Christopher Columbus",
        "Florence Nightingale", "Winston Churchill", "Pablo Picasso", "Karl Marx",
    ),
    "place": (
        "Paris", "Tokyo", "Cairo", "Rome", "Moscow", "Beijing", "Sydney", "Nairobi", "Lima",
        "Berlin", "Madrid", "Mumbai", "London", "Athens", "Toronto", "Bangkok", "Istanbul",
        "Vienna", "Buenos Aires", "Seoul",
    ),
    "book": (
        "Romeo and Juliet", "Pride and Prejudice", "Moby-Dick", "Don Quixote",
        "Alice's Adventures in Wonderland", "The Odyssey", "Frankenstein", "War and Peace",
        "Robinson Crusoe", "Oliver Twist", "Treasure Island", "Dracula", "Jane Eyre",
        "The Jungle Book", "Gulliver's Travels", "Crime and Punishment", "Animal Farm",
        "The Great Gatsby", "Wuthering Heights", "Little Women",
    ),
    "species": (
        "polar bear", "emperor penguin", "African elephant", "blue whale", "giant panda",
        "red kangaroo", "grey wolf", "bald eagle", "Nile crocodile", "honey bee", "snow leopard",
        "great white shark", "Bengal tiger", "mountain gorilla", "koala", "giraffe", "red fox",
        "house mouse", "green sea turtle", "barn owl",
    ),
    "law": (
        "Magna Carta", "Civil Rights Act of 1964", "General Data Protection Regulation",
        "Clean Air Act", "Social Security Act", "Americans with Disabilities Act",
        "Endangered Species Act", "Sherman Antitrust Act", "Affordable Care Act",
        "Emancipation Proclamation", "Volstead Act", "Homestead Act", "Voting Rights Act of 1965",
        "Clean Water Act", "Patriot Act", "Freedom of Information Act", "Stamp Act of 1765",
        "Marshall Plan", "Kyoto Protocol", "Paris Agreement",
    ),
    "product": (
        "iPhone", "PlayStation 2", "Game Boy", "Sony Walkman", "Ford Model T", "Kindle e-reader",
        "Volkswagen Beetle", "Post-it Note", "Polaroid instant camera", "Rubik's Cube",
        "Lego brick", "Swiss Army knife", "iPad", "Nintendo Switch", "Apple Watch", "Xbox 360",
        "Commodore 64", "Boeing 747", "Toyota Prius", "Thermos flask",
    ),
    "event": (
        "French Revolution", "Battle of Waterloo", "First World War", "American Civil War",
        "Great Fire of London", "Boston Tea Party", "Apollo 11 mission", "Great Depression",
        "Industrial Revolution", "Black Death", "Battle of Hastings", "Russian Revolution of 1917",
        "Berlin Airlift", "Cuban Missile Crisis", "Second World War", "Spanish Civil War",
        "Vietnam War", "Battle of Gettysburg", "Chernobyl disaster", "Normandy landings",
    ),
    "substance": (
        "sulfuric acid", "ammonia", "sodium chloride", "carbon dioxide", "ethanol", "methane",
        "hydrogen peroxide", "chlorine", "aspirin", "caffeine", "acetone", "nitroglycerin",
        "sodium hydroxide", "benzene", "ozone", "hydrochloric acid", "formaldehyde", "propane",
        "calcium carbonate", "carbon monoxide",
    ),
}  # fmt: skip

SWAPPED: dict[str, tuple[str, dict[str, str]]] = {
    "prize": (
        "Why did {x} receive the Nobel Prize in {y}?",
        {"Albert Einstein": "Physics", "Ernest Hemingway": "Literature",
         "Alexander Fleming": "Medicine", "Ernest Rutherford": "Chemistry",
         "Niels Bohr": "Physics", "Toni Morrison": "Literature", "Robert Koch": "Medicine",
         "Otto Hahn": "Chemistry", "Max Planck": "Physics", "Rudyard Kipling": "Literature"},
    ),
    "book": (
        "What led {y} to write {x}?",
        {"War and Peace": "Leo Tolstoy", "Oliver Twist": "Charles Dickens",
         "Hamlet": "William Shakespeare", "Don Quixote": "Miguel de Cervantes",
         "Frankenstein": "Mary Shelley", "Pride and Prejudice": "Jane Austen",
         "Moby-Dick": "Herman Melville", "Dracula": "Bram Stoker",
         "The Hobbit": "J. R. R. Tolkien", "Les Misérables": "Victor Hugo"},
    ),
    "invention": (
        "How did {y} come to invent {x}?",
        {"the telephone": "Alexander Graham Bell", "dynamite": "Alfred Nobel",
         "the diesel engine": "Rudolf Diesel", "the saxophone": "Adolphe Sax",
         "the World Wide Web": "Tim Berners-Lee", "the phonograph": "Thomas Edison",
         "the lightning rod": "Benjamin Franklin", "the battery": "Alessandro Volta",
         "braille": "Louis Braille", "the printing press": "Johannes Gutenberg"},
    ),
    "river": (
        "How wide is the river {x} where it flows through {y}?",
        {"Thames": "London", "Seine": "Paris", "Tiber": "Rome", "Nile": "Cairo",
         "Spree": "Berlin", "Vltava": "Prague", "Vistula": "Warsaw", "Liffey": "Dublin",
         "Moskva": "Moscow", "Manzanares": "Madrid"},
    ),
    "music": (
        "When did {y} compose {x}?",
        {"The Magic Flute": "Mozart", "The Four Seasons": "Vivaldi", "Swan Lake": "Tchaikovsky",
         "Messiah": "Handel", "Boléro": "Ravel", "The Planets": "Holst", "Carmen": "Bizet",
         "the Moonlight Sonata": "Beethoven", "the Brandenburg Concertos": "Bach",
         "Madama Butterfly": "Puccini"},
    ),
    "painting": (
        "Where was {y} living when he painted {x}?",
        {"the Mona Lisa": "Leonardo da Vinci", "The Starry Night": "Vincent van Gogh",
         "Guernica": "Pablo Picasso", "The Scream": "Edvard Munch", "The Night Watch": "Rembrandt",
         "Girl with a Pearl Earring": "Johannes Vermeer", "The Birth of Venus": "Botticelli",
         "The Persistence of Memory": "Salvador Dalí", "The Kiss": "Gustav Klimt",
         "American Gothic": "Grant Wood"},
    ),
    "capital": (
        "Why was {y} chosen as the capital of {x}?",
        {"Australia": "Canberra", "Canada": "Ottawa", "Brazil": "Brasília", "Turkey": "Ankara",
         "Switzerland": "Bern", "Japan": "Tokyo", "Spain": "Madrid", "India": "New Delhi",
         "Pakistan": "Islamabad", "Nigeria": "Abuja"},
    ),
}  # fmt: skip
"""Name of the template -> its text and the facts {x: y}. A wrong y of the same kind makes the
premise false: the values are unlike each other, so that none is right by accident."""

LISTED: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "moon": (
        "What did {x} do while walking on the Moon?",
        ("Neil Armstrong", "Buzz Aldrin", "Pete Conrad", "Alan Bean", "Alan Shepard",
         "Edgar Mitchell", "David Scott", "John Young", "Charles Duke", "Gene Cernan"),
        ("Yuri Gagarin", "Valentina Tereshkova", "John Glenn", "Michael Collins", "Sally Ride",
         "Alexei Leonov", "Jim Lovell", "Chris Hadfield", "Tim Peake", "Laika the dog"),
    ),
    "president": (
        "In which years was {x} president of the United States?",
        ("George Washington", "Thomas Jefferson", "Abraham Lincoln", "Ulysses S. Grant",
         "Theodore Roosevelt", "Woodrow Wilson", "Franklin D. Roosevelt", "Harry S. Truman",
         "John F. Kennedy", "Ronald Reagan"),
        ("Benjamin Franklin", "Alexander Hamilton", "Martin Luther King", "Thomas Edison",
         "Henry Ford", "Winston Churchill", "Henry Kissinger", "John McCain", "Mark Twain",
         "Robert E. Lee"),
    ),
    "cup": (
        "In which year before 2020 did {x} win the men's football World Cup?",
        ("Brazil", "Germany", "Italy", "Argentina", "Uruguay", "France", "England", "Spain",
         "West Germany", "the French team"),
        ("the Netherlands", "Portugal", "Belgium", "Mexico", "Japan", "the United States",
         "Croatia", "Sweden", "Hungary", "Canada"),
    ),
    "flight": (
        "How fast can {x} fly?",
        ("an albatross", "a swallow", "a pigeon", "a golden eagle", "a peregrine falcon",
         "a goose", "a swan", "a crow", "a hummingbird", "a seagull"),
        ("an ostrich", "an emperor penguin", "an emu", "a kiwi", "a cassowary", "a kangaroo",
         "a tortoise", "an elephant", "a king penguin", "a hippopotamus"),
    ),
    "eggs": (
        "How many eggs does {x} lay in a year?",
        ("a chicken", "a sea turtle", "a crocodile", "a salmon", "a penguin", "an ostrich",
         "a duck", "a frog", "a robin", "a honey bee queen"),
        ("an elephant", "a dog", "a horse", "a blue whale", "a lion", "a cow", "a bear",
         "a kangaroo", "a rabbit", "a dolphin"),
    ),
}  # fmt: skip
"""Name of the template -> its text, subjects of which it holds, subjects of which it does not."""
