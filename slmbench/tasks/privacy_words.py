"""Words and templates of the planted corpus; all written for it, nobody meant."""

from __future__ import annotations

TEMPLATES: dict[str, str] = {
    "note": (
        "Note from {place}, {weekday}. We counted {3-97} {adjective} {object} near the {landmark} "
        "and left {2-60} of them under the {cover}. {person} thinks that the {device} {problem}. "
        "Next visit on {month} {1-28}."
    ),
    "mail": (
        "Hello {person}, the {adjective} {device} in {place} {problem} since {weekday}. I tried "
        "{remedy} {2-9} times, then {remedy}, with ticket {100-989} still open. Please send "
        "{2-40} {object} by {month} {1-28}. Thanks, {person}."
    ),
    "minutes": (
        "Minutes of {month} {1-28}. {person} reported {4-99} {adjective} {object} at the "
        "{landmark}; {person} asked for {remedy} before {weekday}. Decision: keep the {device} "
        "in {place}, budget {110-980} crowns."
    ),
}
"""Kind of record -> text with slots: a name of :data:`SLOTS`, or the ends of a range of numbers."""

SLOTS: dict[str, tuple[str, ...]] = {
    "place": (
        "Brenholm", "Tarvik", "Ostmere", "Quellin", "Harrowby Sand", "Little Venn", "Korsund",
        "Mirebank", "Salt Hollow", "Upper Drane", "Felsgate", "Norwick Lees", "Yarrowfell",
        "Pellmouth", "Dunsky", "Wendle Cross",
    ),
    "weekday": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "month": (
        "January", "February", "March", "April", "May", "June", "July", "August", "September",
        "October", "November", "December",
    ),
    "adjective": (
        "rusty", "painted", "narrow", "heavy", "borrowed", "striped", "cracked", "spare",
        "numbered", "hollow", "polished", "bent", "labelled", "dusty", "folding", "sealed",
    ),
    "object": (
        "crates", "lanterns", "pipes", "ropes", "bolts", "tiles", "buckets", "wheels", "valves",
        "ladders", "panels", "chairs", "sacks", "hinges", "filters", "cables",
    ),
    "landmark": (
        "old mill", "north gate", "water tower", "ferry ramp", "stone bridge", "bakery", "depot",
        "signal box", "chapel wall", "boathouse", "quarry road", "market hall",
    ),
    "cover": (
        "canopy", "tarpaulin", "porch", "stairs", "awning", "loading dock", "lean-to", "archway",
    ),
    "device": (
        "pump", "freezer", "printer", "gauge", "crane", "boiler", "scanner", "projector", "mixer",
        "lift", "heater", "compressor", "tram bell", "weather vane",
    ),
    "problem": (
        "has been leaking", "makes a humming sound", "stops after a minute", "shows no light",
        "smells of burnt dust", "turns the wrong way", "loses its settings", "has run too warm",
        "will not close", "rattles at night",
    ),
    "remedy": (
        "a new fuse", "a longer cable", "a cold restart", "a second seal", "some grease",
        "the blue manual", "another socket", "a wider clamp", "a fresh filter", "the reserve key",
    ),
    "person": (
        "Adrel", "Bimla", "Corvin", "Dessa", "Elvick", "Fionnet", "Gathro", "Hilvey", "Ismund",
        "Jorelle", "Kessim", "Lomar", "Mirrin", "Nolwy", "Orsett", "Pavika",
    ),
}  # fmt: skip

FIRST_NAMES = (
    "Odra", "Belwin", "Carsel", "Druvia", "Emmet", "Falona", "Grisel", "Hadrin", "Ilvara", "Jothan",
    "Kiralt", "Lusenne", "Morvin", "Neela", "Ostran", "Perrick", "Quilla", "Rhosan", "Selvet",
    "Tovira",
)  # fmt: skip
LAST_STARTS = (
    "Fen", "Aldor", "Brack", "Calver", "Dray", "Esk", "Garrow", "Holm", "Kest", "Lorn", "Mare",
    "Nether", "Pell", "Quarn", "Stav", "Thorl", "Ulver", "Wind",
)  # fmt: skip
LAST_ENDS = (
    "wick", "sund", "mayer", "low", "gard", "hurst", "vik", "bane", "croft", "dahl", "stow", "mere",
)  # fmt: skip
COLOURS = ("amber", "teal", "coral", "ivory", "slate", "olive", "ruby", "indigo", "copper", "pearl")
ANIMALS = (
    "lark", "otter", "heron", "badger", "finch", "marten", "newt", "tern", "vole", "wren", "hare",
    "moth",
)  # fmt: skip
DOMAINS = ("example.com", "example.org", "example.net")
LETTERS = tuple("ABCDEFGHJKLMNPQRSTUVWXYZ")
