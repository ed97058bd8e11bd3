"""First names and words by their usual gender in English texts, written by hand for this project.

A name is here only if nearly all who bear it in the United States have that gender. ``WORDS_TOO``
are names that are also words: they count only where a capital within a sentence shows a name.
Left out: names that are also places or months (Austin, Sydney, June), and names of either gender
(``EITHER``), which say nothing of whom they name and so are left as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

Gender = Literal["f", "m"]

_MALE = """
Aaron Abraham Adam Adrian Ahmed Alan Albert Alejandro Alexander Alfred Allen Andre Andrew Anthony
Antonio Arnold Arthur Barry Benjamin Ben Bernard Bob Bobby Brad Bradley Brandon Brendan Brett
Brian Bruce Bryan Byron Caleb Calvin Carl Carlos Cedric Charles Charlie Christopher Clarence Colin
Connor Craig Curtis Damien Dan Daniel Darren Darryl Dave David Dennis Derek Derrick Desmond Diego
Dominic Donald Donovan Doug Douglas Duncan Dustin Dwayne Dylan Earl Ed Eddie Edgar Edward Edwin
Eli Elijah Elliott Emmanuel Eric Ernest Ethan Eugene Evan Felipe Felix Fernando Francisco Fred
Frederick Gabriel Gareth Gary Gavin Geoffrey George Gerald Gilbert Glenn Gordon Graham Greg
Gregory Harold Harry Hector Henry Herbert Herman Howard Hugh Hugo Ian Ibrahim Isaac Ivan Jacob
Jake James Jamal Jared Jason Javier Jay Jeff Jeffrey Jeremiah Jeremy Jerome Jerry Jim Jimmy Joe
Joel John Johnny Jonathan Jose Joseph Joshua Josh Juan Julian Justin Karl Keith Ken Kenneth Kevin
Kirk Kurt Kyle Larry Lawrence Leonard Leo Leon Leroy Liam Lionel Logan Louis Lucas Luis Luke
Malcolm Manuel Marcus Mario Marshall Martin Marvin Matt Matthew Maurice Max Michael Miguel Mike
Mitchell Mohammed Nathan Nathaniel Neil Nicholas Nick Noah Norman Oliver Omar Oscar Owen Patrick
Paul Pedro Perry Peter Phil Philip Phillip Rafael Ralph Ramon Randall Randy Raymond Reginald
Ricardo Richard Rick Ricky Robert Roberto Rodney Roger Roland Ron Ronald Ross Roy Ruben Russell
Ryan Samuel Scott Sean Sebastian Seth Shane Shaun Simon Spencer Stanley Stephen Steve Steven
Stuart Ted Terrence Theodore Thomas Tim Timothy Todd Tom Tommy Tony Travis Trevor Tyler Tyrone
Vernon Victor Vincent Walter Warren Wayne Wesley William Xavier Zachary
"""
_FEMALE = """
Abby Abigail Ada Adriana Agnes Aisha Alana Alexandra Alexis Alice Alicia Alison Allison Alyssa
Amanda Amelia Amy Ana Andrea Angela Angelina Anita Ann Anna Anne Annie Antonia Ashley Audrey
Barbara Beatrice Becky Bella Bernice Beth Bethany Betsy Betty Beverly Bianca Bonnie Brenda Bridget
Brianna Brittany Caitlin Camille Candice Carla Carmen Caroline Carolyn Carrie Cassandra Catherine
Cathy Cecilia Celeste Celia Charlene Christina Christine Cindy Clara Claire Claudia Colleen Connie
Cynthia Daniela Danielle Daphne Deanna Debbie Deborah Debra Denise Diana Diane Dolores Donna Dora
Doris Dorothy Edith Edna Eileen Elaine Eleanor Elena Eliza Elizabeth Ella Ellen Elsie Emily Emma
Erica Erika Erin Esther Ethel Eva Evelyn Felicia Fiona Frances Francesca Gabriela Gabrielle Gail
Gertrude Gina Gladys Gloria Greta Gwendolyn Hannah Heather Heidi Helen Ida Ingrid Irene Isabel
Isabella Jacqueline Janet Janice Jane Jasmine Jeanette Jenna Jennifer Jenny Jessica Jill Joan
Joanna Joanne Josephine Joyce Juanita Judith Judy Julia Juliana Julie Juliet Karen Kara Karla Kate
Katelyn Katherine Kathleen Kathryn Kathy Katie Katrina Kayla Keisha Kimberly Kristen Kristin
Kristina Latoya Laura Lauren Leah Lena Lillian Linda Lindsay Lindsey Lisa Liz Lois Lori Lorraine
Louise Lucia Lucy Lydia Lynn Mabel Maggie Marcia Margaret Maria Mariah Marie Marilyn Marissa
Marjorie Martha Mary Maureen Megan Melanie Melinda Melissa Mia Michelle Mildred Miranda Molly
Monica Myra Nadia Nancy Naomi Natalie Natasha Nicole Nina Nora Norma Olivia Pamela Patricia Patty
Paula Pauline Peggy Phyllis Priscilla Rachel Rebecca Rita Roberta Rosa Rosalie Rosemary Roxanne
Ruth Sabrina Sally Samantha Sandra Sara Sarah Selena Serena Sharon Sheila Shelby Sherry Shirley
Sofia Sonia Sophia Sophie Stacey Stella Stephanie Susan Susie Suzanne Sylvia Tabitha Tamara Tanya
Teresa Theresa Tiffany Tina Tonya Ursula Valerie Vanessa Vera Veronica Vicky Victoria Vivian Wanda
Wendy Whitney Yolanda Yvette Yvonne Zoe
"""
_MALE_WORDS = """
Bill Chad Chase Christian Chuck Cliff Clay Dean Dick Don Drew Frank Gene Grant Guy Hank Harvey
Hunter Jack Lance Mark Mason Miles Nelson Pat Ray Rich Rob Rod Rusty Wade Will
"""
_FEMALE_WORDS = """
Amber Angel Brandy Brooke Candy Carol Crystal Daisy Dawn Destiny Eve Faith Ginger Grace Harmony
Hazel Holly Hope Iris Ivy Jade Jewel Joy Kitty Lily Melody Misty Olive Pearl Penny Rose Ruby Sandy
Sue Tammy Violet
"""
_EITHER = """
Addison Alex Ariel Ash Aubrey Avery Bailey Cameron Carson Casey Chris Charley Corey Dakota Dana
Devon Drew Elliot Emerson Finley Frankie Hayden Jackie Jaime Jamie Jan Jess Jesse Jessie Jodie
Jody Jordan Kai Kelly Kelsey Kendall Kerry Kim Kris Lee Leigh Leslie Loren Mackenzie Marion Mel
Morgan Nat Nicky Parker Pat Payton Peyton Quinn Reese Remy Riley River Robin Rory Rowan Sam Sasha
Shannon Shawn Shay Sidney Skyler Skylar Stevie Tatum Taylor Terry Toni Tracey Tracy Val
"""


def _gendered(male: str, female: str) -> Iterator[tuple[str, Gender]]:
    yield from ((name, "m") for name in male.split())
    yield from ((name, "f") for name in female.split())


EITHER = frozenset(_EITHER.split())
"""Names of either gender."""
WORDS_TOO: Mapping[str, Gender] = {
    name: gender for name, gender in _gendered(_MALE_WORDS, _FEMALE_WORDS) if name not in EITHER
}
"""Names that are also words -> their usual gender."""
NAMES: Mapping[str, Gender] = dict(_gendered(_MALE, _FEMALE))
"""Names that are seldom anything else -> their usual gender."""

_COMMON_MALE = """
Adam Andrew Benjamin Brandon Brian Daniel David Derek Eric Ethan George Gregory Henry Jacob Jason
Jeremy John Joseph Joshua Justin Kenneth Kevin Kyle Martin Matthew Michael Nathan Patrick Paul
Peter Richard Robert Ryan Samuel Scott Stephen Steven Timothy Tyler William
"""
_COMMON_FEMALE = """
Alice Amanda Amy Angela Anna Barbara Christina Christine Elizabeth Emily Emma Erica Hannah Heather
Jane Jennifer Jessica Julia Karen Katherine Kathleen Laura Lauren Linda Lisa Maria Mary Melissa
Michelle Natalie Nicole Olivia Patricia Rachel Rebecca Samantha Sarah Stephanie Susan Victoria
"""
COMMON: Mapping[Gender, tuple[str, ...]] = {
    "m": tuple(_COMMON_MALE.split()),
    "f": tuple(_COMMON_FEMALE.split()),
}
"""What stands in: forty common names of either gender that do not end in s."""
