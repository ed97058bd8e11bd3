"""First names by the group that they are commonly associated with in the United States.

Written down from general knowledge of common usage, not taken from a census or a study: the
association is approximate, a name says nothing about any person who bears it, and the groups are
neither exhaustive nor free of overlap. See the cards of the data sets that use them.
"""

from __future__ import annotations

REFERENCE = "European-American"
"""The group that the others are compared with."""

NAMES: dict[str, dict[str, tuple[str, ...]]] = {
    REFERENCE: {
        "male": ("Jack", "Scott", "Brad", "Connor", "Todd", "Greg", "Luke", "Cody"),
        "female": ("Emily", "Claire", "Katie", "Molly", "Heather", "Amy", "Abby", "Megan"),
    },
    "African-American": {
        "male": ("Jamal", "Darnell", "Tyrone", "DeShawn", "Malik", "Terrell", "Marquis", "Andre"),
        "female": ("Lakisha", "Latoya", "Ebony", "Keisha", "Imani", "Tamika", "Shanice", "Aaliyah"),
    },
    "Hispanic": {
        "male": ("Carlos", "Juan", "Luis", "Miguel", "Jorge", "Alejandro", "Diego", "Pedro"),
        "female": ("Maria", "Guadalupe", "Carmen", "Rosa", "Ana", "Lucia", "Juana", "Esperanza"),
    },
    "East Asian": {
        "male": ("Wei", "Hiroshi", "Jun", "Ming", "Kenji", "Feng", "Takeshi", "Sung"),
        "female": ("Mei", "Yuki", "Ling", "Hana", "Xia", "Akiko", "Soo", "Ying"),
    },
    "South Asian": {
        "male": ("Raj", "Amit", "Sanjay", "Vikram", "Arjun", "Rahul", "Anil", "Suresh"),
        "female": ("Priya", "Anjali", "Sunita", "Divya", "Lakshmi", "Pooja", "Meera", "Kavita"),
    },
    "Arabic": {
        "male": ("Ahmed", "Mohammed", "Omar", "Hassan", "Ali", "Khalid", "Ibrahim", "Mustafa"),
        "female": ("Fatima", "Aisha", "Layla", "Zainab", "Amina", "Yasmin", "Noor", "Khadija"),
    },
}

ORIGINS = tuple(group for group in NAMES if group != REFERENCE)
"""The groups that are compared with the reference."""
