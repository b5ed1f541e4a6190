#!/usr/bin/env python3
"""Writes short English stories from a grammar: the text that tiny-llama is trained on.

    generate_text.py --stories 20000 --seed 1 > stories.txt

Every story keeps its own facts (who, what, where, which colour, which animal) from its first line to its last, so that a
model which learned the text has something to remember and a reader can tell whether it did. One story a line. The output
is a pure function of the arguments. Standard library only.
"""
import argparse
import random

PEOPLE = [("Anna", "she"), ("Ben", "he"), ("Clara", "she"), ("David", "he"), ("Emma", "she"), ("Felix", "he"),
          ("Grace", "she"), ("Henry", "he"), ("Iris", "she"), ("Jack", "he"), ("Kate", "she"), ("Leo", "he"),
          ("Mia", "she"), ("Noah", "he"), ("Olga", "she"), ("Paul", "he"), ("Rosa", "she"), ("Sam", "he")]
FORMS = {"she": ("she", "her", "her"), "he": ("he", "him", "his")}
PLACES = ["the garden", "the old house", "the forest", "the river", "the market", "the school", "the harbour",
          "the hill", "the library", "the kitchen", "the barn", "the bridge"]
COLOURS = ["red", "blue", "green", "yellow", "white", "black", "brown", "silver"]
SIZES = ["small", "big", "tiny", "long", "heavy", "round", "old", "new"]
THINGS = ["ball", "box", "book", "hat", "key", "lamp", "letter", "kite", "boat", "cup", "clock", "bell", "map", "coat"]
ANIMALS = ["dog", "cat", "bird", "horse", "rabbit", "fox", "duck", "goat", "mouse", "frog"]
WEATHER = [("sunny", "The sun was warm."), ("rainy", "The rain fell on the roof."),
           ("windy", "The wind moved the trees."), ("cold", "There was snow on the ground."),
           ("quiet", "No one was on the road."), ("foggy", "It was hard to see the path.")]
TIMES = ["morning", "afternoon", "evening"]
FEELINGS = [("happy", "smiled"), ("sad", "began to cry"), ("tired", "sat down"), ("proud", "laughed"),
            ("afraid", "stood very still"), ("curious", "looked again")]
FOOD = ["bread", "soup", "an apple", "cheese", "a cake", "warm milk", "honey"]
JOBS = ["teacher", "baker", "farmer", "doctor", "sailor", "painter"]
NUMBERS = ["two", "three", "four", "five", "six", "seven"]


def article(word):
    return ("an " if word[0] in "aeiou" else "a ") + word


def upper(text):
    return text[0].upper() + text[1:]


class Facts:
    """What stays true within one story."""

    def __init__(self, r):
        (self.name, sex), (self.friend, friend_sex) = r.sample(PEOPLE, 2)
        self.they, self.them, self.their = FORMS[sex]
        self.friend_they, self.friend_them, self.friend_their = FORMS[friend_sex]
        self.place, self.other_place = r.sample(PLACES, 2)
        self.colour, self.other_colour = r.sample(COLOURS, 2)
        self.size = r.choice(SIZES)
        self.thing, self.other_thing = r.sample(THINGS, 2)
        self.animal = r.choice(ANIMALS)
        self.weather, self.weather_line = r.choice(WEATHER)
        self.time = r.choice(TIMES)
        self.food = r.choice(FOOD)
        self.job = r.choice(JOBS)
        self.number = r.choice(NUMBERS)


def opening(r, f):
    who = r.choice([f.name, f"A {f.job} named {f.name}" if f.job[0] not in "aeiou" else f.name, f"Young {f.name}"])
    return r.choice([
        f"It was a {f.weather} {f.time}. {f.weather_line} {who} went to {f.place}.",
        f"One {f.weather} {f.time}, {f.name} went to {f.place}. {f.weather_line}",
        f"{who} lived near {f.place}. One {f.weather} {f.time}, {f.they} went for a walk.",
        f"Once there was {article(f.job)} named {f.name}. {upper(f.they)} lived near {f.place}."])


def lost_thing(r, f):
    """Something is lost, looked for and found."""
    item = f"{f.size} {f.colour} {f.thing}"
    yield f"{f.name} had {article(item)}. {upper(f.they)} liked the {f.thing} very much."
    yield r.choice([f"But that {f.time} the {f.thing} was gone.", f"Then {f.they} lost the {f.thing}.",
                    f"When {f.they} came home, the {f.thing} was not there."])
    yield f'"Where is my {f.thing}?" asked {f.name}.'
    yield r.choice([f"{f.friend} came to help.", f"{upper(f.their)} friend {f.friend} heard {f.them} and came to help."])
    yield f'"What colour is it?" asked {f.friend}. "It is {f.colour}," said {f.name}.'
    yield f"They looked in {f.place}, but they found only {article(f.other_colour)} {f.other_thing}."
    yield r.choice([f"Then they looked in {f.other_place}.", f"At last they went to {f.other_place}."])
    yield r.choice([f"{upper(article(f.animal))} was sitting on the {f.colour} {f.thing}!",
                    f"There was the {f.colour} {f.thing}, next to {article(f.animal)}."])
    yield f'"Thank you, {f.friend}," said {f.name}. {upper(f.they)} was happy again.'


def animal_help(r, f):
    """An animal needs help and becomes a friend."""
    beast = f"{f.colour} {f.animal}"
    yield f"There {f.they} saw {article(beast)}. The {f.animal} was {r.choice(['hungry', 'cold', 'alone', 'hurt'])}."
    feeling, act = r.choice(FEELINGS)
    yield f"{f.name} was {feeling} and {act}."
    yield r.choice([f"{upper(f.they)} gave the {f.animal} {f.food}.",
                    f"{upper(f.they)} put {f.food} on the ground, and the {f.animal} ate it."])
    yield f'"Do not be afraid," said {f.name}. "I will help you."'
    yield f"The next day {f.friend} came to {f.place}. \"Whose {f.animal} is this?\" {f.friend_they} asked."
    yield r.choice([f'"It is my friend," said {f.name}.', f'"It has no home," said {f.name}. "It can live with me."'])
    yield f"{f.name} and {f.friend} built a {r.choice(['small', 'warm', 'new'])} house for the {f.animal}."
    yield f"After that the {beast} followed {f.name} to {f.other_place} every {f.time}."


def counting(r, f):
    """Things are counted, some are given away, the rest is right."""
    total = r.randint(4, 9)
    given = r.randint(1, total - 2)
    words = "zero one two three four five six seven eight nine".split()
    many = lambda n: f"{words[n]} {f.thing}" + ("" if n == 1 else "es" if f.thing.endswith("x") else "s")
    yield f"{f.name} had {many(total)}. All of them were {f.colour}."
    yield f'{f.friend} had none. "May I have {words[given]}?" asked {f.friend}.'
    yield r.choice([f'"Yes," said {f.name}, "here you are."', f'"Of course," said {f.name}.'])
    yield f"{f.name} gave {f.friend_them} {many(given)}. Now {f.name} had {many(total - given)}."
    yield f"{f.friend} was happy and gave {f.them} {f.food}."
    yield f"They ate it together at {f.other_place}, and the {f.animal} watched them."


def journey(r, f):
    """A walk with a wish, a door and a reward."""
    yield f"{upper(f.they)} wanted to find {article(f.colour)} {f.thing} for {f.their} friend {f.friend}."
    yield f"{upper(f.they)} walked for {f.number} days. First {f.they} came to {f.other_place}."
    yield f'{upper(article(f.animal))} sat there. "Where are you going?" asked the {f.animal}.'
    yield f'"I am looking for {article(f.colour)} {f.thing}," said {f.name}.'
    yield r.choice([f'"I know where it is," said the {f.animal}. "Follow me."',
                    f'"Give me {f.food}, and I will show you," said the {f.animal}.'])
    yield f"The {f.animal} showed {f.them} a {f.size} door. Behind the door was the {f.colour} {f.thing}."
    yield f"{f.name} thanked the {f.animal} and went home."
    yield f'{f.friend} opened the door. "For me?" {f.friend_they} asked. "Yes," said {f.name}, "for you."'


ENDINGS = ["Then they all went home.", "It was a good day.", "That night they slept well.",
           "And the {animal} slept next to the {thing}.", "{name} never forgot that {time}.",
           "In the evening they told the story to the {job}.", "The end."]


def story(r):
    f = Facts(r)
    plot = r.choice([lost_thing, animal_help, counting, journey])
    lines = [opening(r, f), *plot(r, f)]
    lines.append(r.choice(ENDINGS).format(**vars(f)))
    return " ".join(lines)


def stories(count, seed):
    r = random.Random(seed)
    return [story(r) for _ in range(count)]


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--stories", type=int, default=20000)
    ap.add_argument("--seed", type=int, default=1)
    a = ap.parse_args()
    print("\n".join(stories(a.stories, a.seed)))


if __name__ == "__main__":
    main()
