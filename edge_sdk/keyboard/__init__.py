"""Predictive text on the device: what is typed next, and never a keystroke that leaves it.

    words      a trigram over a few ten thousand words, found by their beginnings
    letters    a network that reads the last forty letters and says the next
    personal   what this person types, kept in a file of theirs
    keyboard   the three together: suggestions for a text
    composer   a line under a person's keys
    typist     types a text with the suggestions, and counts the keys it did not need

An application is a loop::

    keyboard = Keyboard(read_words("words.npz"), personal=Personal.open("me.json"))
    print(keyboard.suggest("Thank y"))
"""
